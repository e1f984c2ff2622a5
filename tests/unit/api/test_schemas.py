"""The validators that are built here, beside those of `pydantic.TypeAdapter` for the same types."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import threading
from typing import Any, Iterator, List, Optional, Set, Tuple, Union

import pytest
from pydantic import TypeAdapter
from pydantic_core import SchemaValidator, ValidationError
from typing_extensions import Literal, get_args, get_origin, get_type_hints, is_typeddict

from sekha._api import arguments, schemas
from sekha._api.endpoints import ENDPOINTS
from sekha._api.schemas import schema_for, validator_for
from sekha.types import ChatCompletionChunk, _requests

REQUESTS = [value for module in (arguments, _requests) for value in vars(module).values() if is_typeddict(value)]
RESPONSES = [endpoint.parser._schema for endpoint in ENDPOINTS if endpoint.parser._schema is not None]
TYPES = {str(one): one for one in (*REQUESTS, *RESPONSES, ChatCompletionChunk)}

VALUES: List[Any] = ["", " ", "text", "daily", "2025-01-02 03:04:05", 0, 1, -1, 11, 2**32, 1.5, 10.5, True, None]
VALUES += [[], [""], ["text"], [None], {}, {"type": "text"}, {"key": "value"}]
SAMPLES = {str: "text", int: 1, float: 0.5, bool: True, Any: "anything"}


def sample(annotation: Any) -> Any:
    """A value of a type, with every key and one item in each list."""
    if is_typeddict(annotation):
        return {name: sample(hint) for name, hint in get_type_hints(annotation).items()}
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is list:
        return [sample(args[0])]
    if origin is dict:
        return {"key": sample(args[1])}
    if origin is Literal:
        return args[0]
    return sample(args[0]) if args else SAMPLES[annotation]


def variants(value: Any) -> Iterator[Any]:
    """The value, others in its place, and the same for each part of it; without keys, and with one more."""
    yield value
    yield from VALUES
    if isinstance(value, dict):
        yield {**value, "added_later": None}
        for key, item in value.items():
            yield {name: other for name, other in value.items() if name != key}
            yield from ({**value, key: variant} for variant in variants(item))
    elif isinstance(value, list):
        yield from ([variant] for variant in variants(value[0]))


def outcome(validator: Union[SchemaValidator, TypeAdapter[Any]], data: Any, *, as_json: bool) -> Tuple[str, str]:
    """What is returned or reported, to the type of each value."""
    try:
        if as_json:
            return "returned", repr(validator.validate_json(json.dumps(data), strict=True))
        return "returned", repr(validator.validate_python(copy.deepcopy(data), strict=True))
    except ValidationError as error:
        return "reported", repr(error.errors(include_url=False))


@pytest.mark.parametrize("annotation", TYPES.values(), ids=list(TYPES))
def test_they_accept_return_and_report_the_same(annotation: Any) -> None:
    ours, pydantics = validator_for(annotation), TypeAdapter(annotation)
    seen: Set[str] = set()
    for data in variants(sample(annotation)):
        for as_json in (False, True):
            expected = outcome(pydantics, data, as_json=as_json)
            assert outcome(ours, data, as_json=as_json) == expected, data
            seen.add(expected[0])
    assert seen == {"returned", "reported"}


def test_a_validator_is_built_once() -> None:
    assert validator_for(ChatCompletionChunk) is validator_for(ChatCompletionChunk)
    assert validator_for(List[str]) is validator_for(List[str])


def test_no_lock_is_held_while_a_validator_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork at that moment would leave it taken in the child for ever."""
    begun, resume = threading.Event(), threading.Event()

    def build(schema: Any) -> SchemaValidator:
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            assert resume.wait(10)
        return SchemaValidator(schema)

    monkeypatch.setattr(schemas, "SchemaValidator", build)
    thread = threading.Thread(target=validator_for, args=(List[float],))
    thread.start()
    assert begun.wait(10)
    assert validator_for(List[float]).validate_python([0.5]) == [0.5]
    resume.set()
    thread.join()


def test_a_union_may_have_none_in_it() -> None:
    assert schema_for(Optional[str]) == {"type": "nullable", "schema": {"type": "str"}}
    assert schema_for(Union[int, str]) == {"type": "union", "choices": [{"type": "int"}, {"type": "str"}]}


OTHER_PACKAGE = """
from typing_extensions import Any, Dict, List, Literal, NotRequired, Required, is_typeddict

for kind in (NotRequired, Required):
    for one in (str, int, float, bool, List[str], Dict[str, Any]):
        kind[one | None]

from sekha._api import arguments, schemas
from sekha.types import _requests

requests = [one for module in (arguments, _requests) for one in vars(module).values() if is_typeddict(one)]
for one in requests:
    schemas.validator_for(one)
assert len(requests) > 10
"""


@pytest.mark.skipif(sys.version_info < (3, 10), reason="`str | None` is no type there")
def test_another_package_has_written_the_same_types_in_another_way() -> None:
    """`typing` keeps one object for `NotRequired[Optional[str]]` and `NotRequired[str | None]`: that of the first."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", OTHER_PACKAGE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_type_without_a_rule_is_refused_when_its_validator_is_built() -> None:
    with pytest.raises(TypeError, match="bytes"):
        validator_for(List[bytes])
