"""What spans of operations say, against a copy of the conventions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Set
from uuid import UUID

import pytest

from sekha._transport import conventions, operations
from sekha._transport.operations import AttributeValue, Operation, captures_content, span_name

yaml: Any = pytest.importorskip("yaml", reason="it comes with the extra `cli`")

DATA = Path(__file__).parents[2] / "data" / "genai-conventions.yaml"
COPY: Dict[str, Any] = yaml.safe_load(DATA.read_text(encoding="utf-8"))
SPANS: Dict[str, Dict[str, Any]] = {
    operation: next(span for span in COPY["spans"] if span["type"] == type_of_span)
    for type_of_span, members in COPY["operations"].items()
    for operation in members
}
TYPES: Dict[str, Any] = {"string": str, "int": int, "double": float, "boolean": bool, "string[]": list, "any": str}
NAMES: Dict[str, Any] = {name: value for name, value in vars(conventions).items() if name.isupper()}
OPERATIONS: Dict[str, Operation] = {name: row for name, row in vars(operations).items() if isinstance(row, Operation)}
ID = "3f0c1a52-8d1e-4c55-9d0a-2f6f0b1c7e11"
MESSAGES = [{"role": "user", "content": "Hello"}]
ARGUMENTS: Dict[str, Any] = {
    "query": "q",
    "conversation_id": ID,
    "conversation_ids": [ID, ID],
    "messages": MESSAGES,
    "dry_run": False,
    "model": "m",
    "temperature": 1,
    "max_tokens": 5,
    "extra_body": {"top_p": 1, "frequency_penalty": 0, "presence_penalty": 0.5, "seed": 3, "n": 2, "stop": "x"},
}
RESULT: Dict[str, Any] = {
    "id": "i1",
    "found": 3,
    "results": [{"message_id": "m1", "content": "Hello", "score": 0.5, "label": "L"}],
    "choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "dimension": 2,
}


def all_attributes(row: Operation) -> Dict[str, AttributeValue]:
    return {
        **row.asked(ARGUMENTS),
        **row.asked_texts(ARGUMENTS),
        **row.found(RESULT),
        **row.found_texts(RESULT),
    }


def test_the_revision_is_that_of_the_copy() -> None:
    assert conventions.REVISION.endswith(COPY["revision"])
    assert COPY["status"].capitalize() == conventions.STATUS


def test_each_name_is_one_of_the_conventions() -> None:
    known: Set[str] = {*COPY["types"], *SPANS, *(name for span in COPY["spans"] for name in span["attributes"])}
    ours = set(NAMES.values()) - {NAMES[name] for name in ("REVISION", "STATUS", "PROVIDER", "CONTENT_VARIABLE")}
    assert ours <= known
    assert len(ours) == len(NAMES) - 4


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_attributes_of_its_span_alone(name: str) -> None:
    row = OPERATIONS[name]
    allowed = SPANS[row.name]["attributes"]
    for attribute, value in all_attributes(row).items():
        assert attribute in allowed
        assert type(value) is TYPES[COPY["types"][attribute]], attribute
    opt_in = {attribute for attribute, level in allowed.items() if level == "opt_in"}
    assert not opt_in & {*row.asked(ARGUMENTS), *row.found(RESULT)}
    assert {*row.asked_texts(ARGUMENTS), *row.found_texts(RESULT)} <= opt_in


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_name_of_a_span_is_that_of_the_conventions(name: str) -> None:
    row = OPERATIONS[name]
    values = {"gen_ai.operation.name": row.name, **all_attributes(row)}
    assert span_name(row, values) == SPANS[row.name]["name"].replace("{", "{0[").replace("}", "]}").format(values)
    assert span_name(row, {}) == row.name


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("odd", [{}, {"messages": "x", "query": 1, "conversation_ids": 3, "extra_body": 1, "model": 0}])
def test_arguments_that_will_be_refused_are_no_trouble(name: str, odd: Dict[str, Any]) -> None:
    row = OPERATIONS[name]
    row.asked(odd)
    row.asked_texts(odd)
    for result in (None, [], {}, {"choices": [3], "results": [None], "id": 3}, object()):
        row.found(result)
        row.found_texts(result)


def test_parts_of_messages_are_named_and_only_texts_are_shown() -> None:
    parts = ["a", {"type": "text", "text": "b"}, {"type": "image_url", "image_url": {"url": "data:..."}}]
    shown = operations.CREATE.asked_texts({"conversation": {"messages": [{"role": "user", "content": parts}]}})
    assert json.loads(str(shown["gen_ai.memory.records"])) == [
        {
            "content": [{"type": "text", "content": "a"}, {"type": "text", "content": "b"}, {"type": "image_url"}],
            "metadata": {"role": "user"},
        }
    ]


def test_what_is_no_id_is_not_shown() -> None:
    assert operations.UPDATE.asked({"conversation_id": "CANARY"}) == {}
    assert operations.DELETE.asked({"conversation_id": UUID(ID)}) == {"gen_ai.memory.record.id": ID}


def test_one_choice_is_not_said() -> None:
    assert operations.COMPLETE.asked({"extra_body": {"n": 1}}) == {}


def test_a_switch_is_no_number() -> None:
    assert operations.COMPLETE.asked({"temperature": True, "max_tokens": False}) == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", False),
        ("NO_CONTENT", False),
        ("event_only", False),
        ("False", False),
        ("0", False),
        ("true", True),
        ("1", True),
        (" Span_Only ", True),
        ("SPAN_AND_EVENT", True),
        ("yes", None),
    ],
)
def test_values_of_the_variable(value: str, expected: Any) -> None:
    assert captures_content(value) is expected
