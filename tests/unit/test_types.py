"""The public types: documented, open or closed, optional keys (C6), and time stamps."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import Literal, NotRequired, Required, get_type_hints, is_typeddict

import sekha.types
from sekha.types import _bridge, _controller, _mcp, _messages, _requests
from sekha.types._base import normalize_folder, normalize_timestamp
from support.mutants import MAPS, at, objects

# ---- newer servers do not break us (C6) --------------------------------------------------------------------------


def typed_dicts() -> List[Any]:
    modules = (_bridge, _controller, _mcp, _messages)
    found = [
        t for module in modules for t in vars(module).values() if is_typeddict(t) and t.__module__ == module.__name__
    ]
    assert len(found) > 30
    return found


@pytest.mark.parametrize(
    ("given", "regular"),
    [
        ("/", "/"),
        ("work", "/work"),
        ("/work", "/work"),
        ("/work/", "/work"),
        ("/work//a", "/work/a"),
        ("//work///a//", "/work/a"),
        (" /work ", "/work"),
        ("\t/work\n", "/work"),
        ("/ work /a b", "/ work /a b"),
        ("/Work/Ä/日本", "/Work/Ä/日本"),
        ("/A\u030a", "/A\u030a"),  # no Unicode normalization
        ("/a\\b/%2e%2e", "/a\\b/%2e%2e"),
        ("/...", "/..."),
        ("/.hidden", "/.hidden"),
        ("///", "/"),
    ],
)
def test_folders_have_one_form(given: str, regular: str) -> None:
    assert normalize_folder(given) == regular
    assert normalize_folder(regular) == regular


@pytest.mark.parametrize(
    "given", ["", " ", "\n", ".", "..", "/work/../x", "/./a", "a/..", "/a\x00", "/a\nb", "/\u2028a", "/\x85a"]
)
def test_what_is_no_folder(given: str) -> None:
    with pytest.raises(ValueError, match="must not"):
        normalize_folder(given)


SAMPLES: Dict[Any, Any] = {str: "x", int: 5, float: 0.5, bool: True}


def sample(shape: Any) -> Any:
    """Something that fits a type, with every key there is."""
    if is_typeddict(shape):
        hints = get_type_hints(shape)
        return {key: sample(hint) for key, hint in hints.items()}
    origin, args = get_origin(shape), get_args(shape)
    if origin in (NotRequired, Required):
        return sample(args[0])
    if origin in (list, List):
        return [sample(args[0])]
    if origin in (dict, Dict):
        return {"key": sample(args[1])}
    if origin is Literal:
        return args[0]
    if args:
        return sample(args[0])  # Union, Optional, Annotated
    return SAMPLES[shape]


@pytest.mark.promise("C6")
@pytest.mark.parametrize("shape", typed_dicts(), ids=lambda t: str(t.__name__))
def test_every_optional_key_may_be_missing_or_null_and_unknown_keys_are_kept(shape: Any) -> None:
    from pydantic import TypeAdapter

    adapter = TypeAdapter(shape)
    full = sample(shape)
    assert adapter.validate_python(full, strict=True) == full
    ours = {"truncated", "below_min_score", "distance", "score", "found_by", "words_error"}
    ours |= {"already_stored", "replaced"} | ({"content"} if shape is _mcp.MemoryExport else set())
    for key in shape.__optional_keys__:
        without = {name: value for name, value in full.items() if name != key}
        assert adapter.validate_python(without, strict=True) == without
        if key not in ours:
            null = {**full, key: None}
            assert adapter.validate_python(null, strict=True) == null
    for path in [path for path, _ in objects(full) if path[-1:] not in MAPS]:
        more = copy.deepcopy(full)
        at(more, path)["added_later"] = {"a": [None]}
        assert adapter.validate_python(more, strict=True) == more
        assert adapter.validate_json(json.dumps(more), strict=True) == more


def test_every_public_type_is_documented_and_either_open_or_closed() -> None:
    closed = {
        "ContextAssembleRequest", "CreateConversationRequest", "Filters", "MemorySearchRequest", "MemoryStatsRequest",
        "PruneRequest", "QueryRequest",
    }  # fmt: skip
    for name in sekha.types.__all__:
        value = getattr(sekha.types, name)
        if is_typeddict(value):
            extra = value.__pydantic_config__["extra"]
            assert extra == ("forbid" if name in closed else "allow"), name
            assert value.__doc__
            assert not value.__doc__.startswith("dict(")


def test_the_documented_types_are_public() -> None:
    documented = [
        "Message",
        "MessageContent",
        "ContentPart",
        "Conversation",
        "ConversationStatus",
        "MessageRole",
        "CreateConversationRequest",
        "QueryRequest",
        "ContextAssembleRequest",
        "PruneRequest",
        "QueryResponse",
        "SearchResult",
        "PruneResponse",
        "SummaryResponse",
        "LabelSuggestion",
        "SummaryLevel",
        "PruneRecommendation",
        "ClientConfig",
        "ChatCompletion",
        "ChatCompletionChunk",
        "Embedding",
        "MemoryStats",
        "ServiceHealth",
    ]
    assert set(documented) <= set(sekha.types.__all__)
    assert sorted(sekha.types.__all__) == list(sekha.types.__all__)
    assert _requests.InputMessage is sekha.types.InputMessage


# ---- time stamps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "regular"),
    [
        ("2026-11-22T18:47:33.017260144+00:00", "2026-11-22T18:47:33.017260+00:00"),
        ("2026-11-22T18:47:33.017260144", "2026-11-22T18:47:33.017260+00:00"),
        ("2026-11-22 18:47:33.017260144", "2026-11-22T18:47:33.017260+00:00"),
        ("2026-11-22T18:47:33.270", "2026-11-22T18:47:33.270000+00:00"),
        ("2026-11-22T18:47:33", "2026-11-22T18:47:33.000000+00:00"),
        ("2026-11-22T18:47:33Z", "2026-11-22T18:47:33.000000+00:00"),
        ("2026-11-22T18:47:33.5z", "2026-11-22T18:47:33.500000+00:00"),
        ("2026-11-22 18:47:33 UTC", "2026-11-22T18:47:33.000000+00:00"),
        ("2026-11-22T18:47:33-00:00", "2026-11-22T18:47:33.000000+00:00"),
        ("2026-11-22T18:47:33.25+02:00", "2026-11-22T16:47:33.250000+00:00"),
        ("2026-11-22T18:47:33+0530", "2026-11-22T13:17:33.000000+00:00"),
        ("2026-11-22T23:30:00-01:00", "2026-11-23T00:30:00.000000+00:00"),
        ("2026-11-22T18:47:33,5", "2026-11-22T18:47:33.500000+00:00"),
        # No time stamps: they come back as they are.
        ("", ""),
        ("yesterday", "yesterday"),
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22T18:47", "2026-11-22T18:47"),
        ("2026-13-22T18:47:33", "2026-13-22T18:47:33"),
        ("2026-02-30T18:47:33Z", "2026-02-30T18:47:33Z"),
        ("2026-11-22T18:47:99", "2026-11-22T18:47:99"),
        ("0000-11-22T18:47:33", "0000-11-22T18:47:33"),
        ("2026-11-22T18:47:33+99:99", "2026-11-22T18:47:33+99:99"),
        ("0001-01-01T00:00:00+10:00", "0001-01-01T00:00:00+10:00"),
        (" 2026-11-22T18:47:33", " 2026-11-22T18:47:33"),
        ("2026-11-22T18:47:33\n", "2026-11-22T18:47:33\n"),
        ("٢٠٢٦-11-22T18:47:33", "٢٠٢٦-11-22T18:47:33"),
    ],
)
def test_time_stamps_of_all_servers_become_regular(text: str, regular: str) -> None:
    assert normalize_timestamp(text) == regular
    assert normalize_timestamp(regular) == regular


moments = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1))
zones = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, zones, st.booleans())
def test_a_regular_time_stamp_is_the_same_moment_with_six_digits(moment: datetime, zone: timezone, space: bool) -> None:
    aware = moment.replace(tzinfo=timezone.utc)
    regular = normalize_timestamp(aware.astimezone(zone).isoformat(" " if space else "T"))
    assert len(regular) == 32
    assert datetime.fromisoformat(regular) == aware
    assert regular == aware.isoformat(timespec="microseconds")


@given(moments, moments)
def test_regular_time_stamps_sort_as_their_moments_do(one: datetime, other: datetime) -> None:
    first, second = (normalize_timestamp(moment.isoformat()) for moment in (one, other))
    assert (first < second) == (one < other)


@given(st.one_of(st.text(), st.from_regex(r"\A\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?\Z")))
def test_any_text_comes_back_unchanged_or_as_a_time_that_python_3_9_reads(text: str) -> None:
    regular = normalize_timestamp(text)
    if regular != text:
        assert datetime.fromisoformat(regular).utcoffset() == timedelta(0)
        assert normalize_timestamp(regular) == regular
