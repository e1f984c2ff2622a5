"""JSON in the words of the real controller; most of them are compared with its recorded answers, here is the rest."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha.local.controller import IdBody, SearchBody
from sekha.local.controller_0_1 import CreateBody, QueryBody, StatsBody
from sekha.local.mcp import ExportBody, PruneBody
from sekha.local.serde import decode
from sekha.local.uuids import no_uuid, read_uuid
from sekha.local.web import Body, Refused

KIND = {
    400: "Failed to parse the request body as JSON: ",
    422: "Failed to deserialize the JSON body into the target type: ",
}


class Anything(Body):
    value: Any
    other: Optional[List[str]] = None


@pytest.mark.parametrize(
    ("model", "text", "status", "reason"),
    [
        (QueryBody, '{"query": "x"} x', 400, "trailing characters at line 1 column 16"),
        (QueryBody, '{"query": "x",}', 400, "trailing comma at line 1 column 15"),
        (QueryBody, '{"query": "x" "limit": 1}', 400, "expected `,` or `}` at line 1 column 15"),
        (QueryBody, '\n{"query":\n "x', 400, "query: EOF while parsing a string at line 3 column 3"),
        (QueryBody, '{"query": "\n"}', 400, "query: control character (\\u0000-\\u001F) found while parsing a string"),
        (QueryBody, '{"query": "\\x"}', 400, "query: invalid escape at line 1 column 13"),
        (QueryBody, '{"query": "\\u12"}', 400, "query: invalid escape at line 1 column 17"),
        (QueryBody, '{"query": "\\', 400, "query: EOF while parsing a string at line 1 column 12"),
        (QueryBody, '{"query": "\\udc00"}', 400, "query: lone leading surrogate in hex escape at line 1 column 17"),
        (QueryBody, '{"query": "x", "limit": 01}', 400, "limit: invalid number at line 1 column 26"),
        (QueryBody, '{"query": "x", "limit": -}', 400, "limit: invalid number at line 1 column 26"),
        (QueryBody, '{"query": "x", "limit": 1.}', 400, "limit: invalid number at line 1 column 27"),
        (QueryBody, '{"query": "x", "limit": 1e999}', 400, "limit: number out of range at line 1 column 29"),
        (QueryBody, '{"query": "x", "limit": tru}', 400, "limit: expected ident at line 1 column 28"),
        (QueryBody, '{"query": "x", "limit": tr', 400, "limit: EOF while parsing a value at line 1 column 26"),
        (QueryBody, '{"query": "x", "limit": NaN}', 400, "limit: expected value at line 1 column 25"),
        (QueryBody, '{"query"', 400, "EOF while parsing an object at line 1 column 8"),
        (CreateBody, '{"messages": [', 400, "messages: EOF while parsing a list at line 1 column 14"),
        (QueryBody, '{"query": "x", "limit": 1e2}', 422, "limit: invalid type: floating point `100.0`, expected u32"),
        (QueryBody, '{"query": true}', 422, "query: invalid type: boolean `true`, expected a string"),
        (QueryBody, '{"query": [1]}', 422, "query: invalid type: sequence, expected a string at line 1 column 10"),
        (SearchBody, '{"query": "", "limit": 18446744073709551616}', 422, "limit: invalid type: floating point"),
        (CreateBody, '{"messages": [["user"]]}', 422, "messages[0]: invalid length 1, expected struct"),
        (CreateBody, '["a", "b"]', 422, "invalid length 2, expected struct CreateBody with 3 elements at line 1"),
        (CreateBody, '["a", "b", [], 4]', 400, "trailing characters at line 1 column 16"),
        (StatsBody, "7", 422, "invalid type: integer `7`, expected struct MemoryStatsArgs at line 1 column 1"),
        (IdBody, '{"conversation_id": "a\\"b"}', 422, "conversation_id: UUID parsing failed: invalid"),
        (ExportBody, '{"include_metadata": 1}', 422, "include_metadata: invalid type: integer `1`, expected a boolean"),
        (PruneBody, '{"importance_threshold": "x"}', 422, "importance_threshold: invalid type: string "),
    ],
)
def test_refusals(model: Any, text: str, status: int, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        decode(text.encode(), model)
    response = refused.value.response
    assert response.status_code == status
    assert bytes(response.body).decode().startswith(KIND[status] + reason)


def test_bytes_that_are_no_text() -> None:
    for body, status in (
        (b'{"query": "\xff"}', 400),
        (b"\xff", 400),
        (b'{"query": "\xc3\xbc", "limit": "\xc3\xbc"}', 422),
    ):
        with pytest.raises(Refused) as refused:
            decode(body, QueryBody)
        assert refused.value.response.status_code == status


def test_what_is_too_deep() -> None:
    with pytest.raises(Refused) as refused:
        decode(b'{"filters": ' + b"[" * 100_000, QueryBody)
    assert bytes(refused.value.response.body).endswith(b": recursion limit exceeded at line 1 column 139")


def test_defaults_and_numbers() -> None:
    found = decode(b'{"importance_threshold": 0.1, "unknown": [1, {"a": null}]}', PruneBody)
    assert (found.threshold_days, found.importance_threshold) == (30, 0.10000000149011612)
    assert decode(b'{"importance_threshold": 1e300}', PruneBody).importance_threshold == float("inf")
    assert decode(b'["x", null, null]', QueryBody).model_dump() == {
        "query": "x",
        "filters": None,
        "limit": None,
        "offset": None,
    }


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


ID = "11111111-2222-4333-8444-55555555abCD"


@pytest.mark.parametrize("text", [ID, ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}"])
def test_forms_of_an_id(text: str) -> None:
    assert str(read_uuid(text)) == ID.lower()


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
    assert no_uuid(text) == reason
    with pytest.raises(ValueError, match="UUID parsing failed: "):
        read_uuid(text)
