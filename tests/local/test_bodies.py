"""JSON bodies of the controller 0.1: what it accepts, and the status of a refusal.

Most refusals are compared with recorded ones, here is the rest. Their wording is that of a library of the real
controller; only the status, its kind and the name of the field count.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha.local.documented.controller import IdBody, SearchBody
from sekha.local.documented.mcp import ExportBody, PruneBody
from sekha.local.http import Body, Refused
from sekha.local.uuids import explain_invalid_uuid, parse_uuid
from sekha.local.v0_1.bodies import decode
from sekha.local.v0_1.controller import CreateBody
from sekha.local.v0_1.mcp import QueryBody, StatsBody
from sekha.local.v0_1.memory import to_float32

KIND = {
    400: "Failed to parse the request body as JSON: ",
    422: "Failed to deserialize the JSON body into the target type: ",
}


ID = "11111111-2222-4333-8444-55555555abCD"


class Anything(Body):
    value: Any
    other: Optional[List[str]] = None


@pytest.mark.parametrize(
    ("model", "text", "status", "field"),
    [
        (QueryBody, '{"query": "x"} x', 400, ""),
        (QueryBody, '{"query": "x",}', 400, ""),
        (QueryBody, '{"query": "x" "limit": 1}', 400, ""),
        (QueryBody, '\n{"query":\n "x', 400, ""),
        (QueryBody, '{"query": "\n"}', 400, ""),
        (QueryBody, '{"query": "\\x"}', 400, ""),
        (QueryBody, '{"query": "\\u12"}', 400, ""),
        (QueryBody, '{"query": "\\', 400, ""),
        (QueryBody, '{"query": "\\udc00"}', 400, ""),
        (QueryBody, '{"query": "x", "limit": 01}', 400, ""),
        (QueryBody, '{"query": "x", "limit": -}', 400, ""),
        (QueryBody, '{"query": "x", "limit": 1.}', 400, ""),
        (QueryBody, '{"query": "x", "limit": 1e999}', 400, ""),
        (QueryBody, '{"query": "x", "limit": tru}', 400, ""),
        (QueryBody, '{"query": "x", "limit": tr', 400, ""),
        (QueryBody, '{"query": "x", "limit": NaN}', 400, ""),
        (QueryBody, '{"query"', 400, ""),
        (CreateBody, '{"messages": [', 400, ""),
        (QueryBody, '{"query": "x", "limit": 1e2}', 422, "limit: invalid type: "),
        (QueryBody, '{"query": true}', 422, "query: invalid type: "),
        (QueryBody, '{"query": [1]}', 422, "query: invalid type: "),
        (QueryBody, '{"query": "x", "query": "y"}', 422, "duplicate field `query`"),
        (SearchBody, '{"query": "", "limit": 18446744073709551616}', 422, "limit: invalid "),
        (
            CreateBody,
            '{"label": "", "folder": "", "messages": [["user"]]}',
            422,
            "messages[0]: missing field `content`",
        ),
        (CreateBody, '{"messages": [["user"]]}', 422, "missing field `label`"),
        (CreateBody, '["a", "b"]', 422, "missing field `messages`"),
        (CreateBody, '["a", "b", [], 4]', 400, ""),
        (CreateBody, '["a", "b", [["user", "x", 1]]]', 400, ""),
        (
            CreateBody,
            '["a", "b", [["user", [{"type": "text", "text": "x"}]]]]',
            422,
            "messages[0].content: invalid type",
        ),
        (StatsBody, "7", 422, "invalid type: "),
        (IdBody, '{"conversation_id": "a\\"b"}', 422, "conversation_id: UUID parsing failed: invalid"),
        (ExportBody, f'{{"conversation_id": "{ID}", "include_metadata": 1}}', 422, "include_metadata: invalid type: "),
        (PruneBody, '{"importance_threshold": "x"}', 422, "importance_threshold: invalid type: "),
    ],
)
def test_refusals(model: Any, text: str, status: int, field: str) -> None:
    with pytest.raises(Refused) as refused:
        decode(text.encode(), model)
    response = refused.value.response
    assert response.status_code == status
    assert bytes(response.body).decode().startswith(KIND[status] + field)


def test_bytes_that_are_no_text() -> None:
    for body, status in (
        (b'{"query": "\xff"}', 400),
        (b"\xff", 400),
        (b'{"query": "\xc3\xbc", "limit": "\xc3\xbc"}', 422),
    ):
        with pytest.raises(Refused) as refused:
            decode(body, QueryBody)
        assert refused.value.response.status_code == status


@pytest.mark.parametrize("beginning", [b"[" * 100_000, b"[" * 127 + b"]" * 127])
def test_what_is_too_deep(beginning: bytes) -> None:
    with pytest.raises(Refused) as refused:
        decode(b'{"filters": ' + beginning + b', "query": "x"}', QueryBody)
    assert refused.value.response.status_code == 400
    assert b": recursion limit exceeded" in bytes(refused.value.response.body)


def test_what_is_not_too_deep() -> None:
    assert decode(b'{"filters": ' + b"[" * 126 + b"]" * 126 + b', "query": "x"}', QueryBody).query == "x"


def test_defaults_and_numbers() -> None:
    found = decode(b'{"importance_threshold": 0.1, "unknown": [1, {"a": null}], "unknown": 2}', PruneBody)
    assert (found.threshold_days, found.importance_threshold) == (30, 0.1)
    assert to_float32(0.1) == 0.10000000149011612
    assert to_float32(1e300) == float("inf")
    expected = {"query": "x", "filters": None, "limit": None, "offset": None}
    assert decode(b'["x", null, null]', QueryBody).model_dump() == expected


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # a text with half a surrogate pair cannot be sent
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.booleans(), st.sampled_from([None, 2]))
def test_what_python_writes_is_read(value: Any, ascii_only: bool, indent: Optional[int]) -> None:
    given: Dict[str, Any] = {"value": value, "other": ["x", "\N{OLD PERSIAN NUMBER ONE}"]}
    found = decode(json.dumps(given, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "replace"), Anything)
    assert {"value": found.value, "other": found.other} == given


@given(st.binary() | st.text(alphabet='{}[]",:\\u0dtrue1.e- ').map(str.encode))
def test_whatever_comes_is_refused_or_read(data: bytes) -> None:
    with suppress(Refused):
        decode(data, Anything)


@pytest.mark.parametrize("text", [ID, ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}"])
def test_forms_of_an_id(text: str) -> None:
    assert str(parse_uuid(text)) == ID.lower()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "invalid length: expected length 32 for simple format, found 0"),
        ("1234", "invalid length: expected length 32 for simple format, found 4"),
        (
            "nope",
            "invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `n` at 1",
        ),
        (
            "1ü",
            "invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `ü` at 2",
        ),
        ("{12}", "invalid group count: expected 5, found 1"),
        (ID[:-13], "invalid group count: expected 5, found 4"),
        (ID[1:], "invalid group length in group 0: expected 8, found 7"),
        (ID + "0", "invalid group length in group 4: expected 12, found 13"),
    ],
)
def test_what_is_no_id(text: str, reason: str) -> None:
    assert explain_invalid_uuid(text) == reason
    with pytest.raises(ValueError, match="UUID parsing failed: "):
        parse_uuid(text)
