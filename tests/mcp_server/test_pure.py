"""Decisions without a server: pages, previews, options, tokens, and what a model is told of an error."""

from __future__ import annotations

import unicodedata
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha.errors import (
    SekhaAuthError,
    SekhaConnectionError,
    SekhaError,
    SekhaNotFoundError,
    SekhaServerError,
    SekhaTimeoutError,
    SekhaValidationError,
)
from sekha.mcp_server.http import HTTPOptions, is_authorized
from sekha.mcp_server.options import OptionError, ServerOptions
from sekha.mcp_server.pages import page_of, split, take
from sekha.mcp_server.previews import preview_of, text_of
from sekha.mcp_server.server import describe
from sekha.mcp_server.stdio import replace_halves

# Pages

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=600)


@given(st.lists(texts, max_size=8), st.integers(200, 700))
def test_the_pieces_of_all_pages_make_up_the_texts(said: List[str], size: int) -> None:
    messages = [{"role": "user", "content": text, "timestamp": "t"} for text in said]
    pages = list(split(messages, size))
    assert pages
    whole = ["" for _ in said]
    for page in pages:
        assert page or not said
        assert sum(len(piece["content"].encode()) for piece in page) <= size
        for piece in page:
            whole[piece["number"] - 1] += piece["content"]
    assert whole == said
    order = [piece["number"] for page in pages for piece in page]
    assert order == sorted(order)
    assert set(order) == set(range(1, len(said) + 1))


def test_a_page_is_taken_by_its_number() -> None:
    messages = [{"role": "user", "content": "x" * 250, "timestamp": None} for _ in range(3)]
    pages = [page_of(messages, number, size=450) for number in (1, 2, 3)]
    assert [[piece["number"] for piece in page] for page, _ in pages] == [[1], [2], [3]]
    assert {count for _, count in pages} == {3}
    assert page_of([], 1) == ([], 1)
    with pytest.raises(SekhaValidationError, match="page: must be at most 3"):
        page_of(messages, 4, size=450)


@pytest.mark.parametrize(
    ("text", "size", "beginning"),
    [
        ("abc", 2, "ab"),
        ("abc", 3, "abc"),
        ("aé", 2, "a"),
        ("é", 1, ""),
        ("\N{SAILBOAT}x", 3, "\N{SAILBOAT}"),
        ("a", -5, ""),
    ],
)
def test_the_beginning_of_a_text(text: str, size: int, beginning: str) -> None:
    assert take(text, size) == beginning


# Previews


def result(content: str, **more: Any) -> Any:
    """A search result."""
    about = {"conversation_id": "c", "message_id": "m", "label": "L", "folder": "/", "timestamp": "2026-01-31"}
    return {**about, "score": 0.123456, "content": content, **more}


@pytest.mark.parametrize(
    ("length", "shown", "is_truncated"),
    [(0, 0, None), (399, 399, None), (400, 400, None), (401, 400, True), (10**6, 400, True)],
)
def test_a_preview_has_at_most_400_characters(length: int, shown: int, is_truncated: Optional[bool]) -> None:
    preview = preview_of(result("x" * length), [])
    assert len(preview["preview"]) == shown
    assert preview.get("truncated") == is_truncated
    assert preview["preview"].endswith("\N{HORIZONTAL ELLIPSIS}") == bool(is_truncated)
    assert preview["score"] == 0.123


@pytest.mark.parametrize(
    ("metadata", "role"), [({"role": "assistant"}, "assistant"), ({}, None), (None, None), ({"role": 4}, None)]
)
def test_the_role_of_a_preview(metadata: Any, role: Optional[str]) -> None:
    assert preview_of(result("x", metadata=metadata), [])["role"] == role


def test_long_names_are_shortened() -> None:
    preview = preview_of(result("x", label="l" * 300, folder="/" + "f" * 300), [])
    assert (len(preview["label"]), len(preview["folder"])) == (200, 200)


def image(url: str) -> Dict[str, Any]:
    """A part of a message."""
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ([{"type": "text", "text": "a"}, image("https://example.org/a.png")], "a\n[image: https://example.org/a.png]"),
        ([image("data:image/png;base64,AAAA")], "[image]"),
        ([], ""),
    ],
)
def test_the_text_of_a_message(content: Any, text: str) -> None:
    assert text_of(content) == text


# Options


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        (ServerOptions(), set()),
        (ServerOptions(folder="/a"), {"memory_prune"}),
        (ServerOptions(read_only=True), {"memory_store", "memory_update"}),
        (ServerOptions(folder="/a", read_only=True), {"memory_prune", "memory_store", "memory_update"}),
    ],
)
def test_which_tools_are_left_out(options: ServerOptions, left_out: set[str]) -> None:
    assert set(ServerOptions().offered()) - set(options.offered()) == left_out


def test_chosen_tools_are_in_the_usual_order() -> None:
    assert list(ServerOptions(tools=["memory_stats", "memory_search"]).offered()) == ["memory_search", "memory_stats"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "LOCALHOST", "localhost.", "a.localhost", "[::1]"])
def test_this_machine_alone_needs_no_token(host: str) -> None:
    HTTPOptions(host, 0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.example", "example.org", ""])
def test_other_machines_need_a_token(host: str) -> None:
    with pytest.raises(OptionError, match="SEKHA_MCP_TOKEN"):
        HTTPOptions(host, 0)
    HTTPOptions(host, 0, "a-token-for-tests")


def test_an_empty_token_is_refused() -> None:
    """Which a command that failed has left: it is not meant to let everybody in."""
    with pytest.raises(OptionError, match="SEKHA_MCP_TOKEN is empty"):
        HTTPOptions("127.0.0.1", 0, "")


def test_the_names_of_a_server() -> None:
    assert {"box", "anns-mac.local"} <= HTTPOptions("127.0.0.1", 0, None, ["box", "Anns-Mac.local"]).names()
    with pytest.raises(OptionError, match=r"--allow-host: must be a name without scheme and port, .* not 'a@b'"):
        HTTPOptions("127.0.0.1", 0, None, ["a@b"])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (r'"\ud83d"', r'"\ufffd"'),
        (r'"\uDE80 x"', r'"\ufffd x"'),
        (r'"\ud83d\ud83d\ude80"', r'"\ufffd\ud83d\ude80"'),
        (r'"\ude80\ud83d"', r'"\ufffd\ufffd"'),
        (r'"\\ud83d"', r'"\\ud83d"'),
        (r'"\\\ud83d"', r'"\\\ufffd"'),
        (r'"\u00e9 \n"', r'"\u00e9 \n"'),
    ],
)
def test_half_of_a_surrogate_pair_is_replaced(line: str, expected: str) -> None:
    assert replace_halves(line) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([b"Bearer a-token-for-tests"], True),
        ([b"bearer a-token-for-tests"], True),
        ([b"Bearer  a-token-for-tests "], True),
        ([], False),
        ([b"Bearer a-token-for-test"], False),
        ([b"Basic a-token-for-tests"], False),
        ([b"a-token-for-tests"], False),
        ([b"Bearer \xe9"], False),
        ([b"Bearer a-token-for-tests", b"Bearer a-token-for-tests"], False),
    ],
)
def test_who_is_authorized(headers: List[bytes], expected: bool) -> None:
    scope = {"headers": [(b"host", b"x"), *((b"authorization", value) for value in headers)]}
    assert is_authorized(scope, "a-token-for-tests") is expected
    assert is_authorized(scope, None) is True


# Errors

WAYS: Dict[str, Any] = {"method": "POST", "path": "/api/v1/conversations", "attempts": 1, "elapsed": 1.0}


@pytest.mark.parametrize(
    ("error", "writes", "said"),
    [
        (
            SekhaValidationError("limit: must be\n at most 20", sent=False, field="limit"),
            False,
            "limit: must be at most 20",
        ),
        (SekhaValidationError("filters.folder: must not be blank", sent=False), False, "folder: must not be blank"),
        (SekhaNotFoundError("no", path="/mcp/tools/memory_export"), False, "conversation_id: there is no conversation"),
        (SekhaNotFoundError("no route", path="/api/v1/query"), False, "no route (status 404). That does not mean"),
        (SekhaAuthError("wrong key", path="/mcp/tools/memory_stats"), False, "has to set SEKHA_MCP_API_KEY for"),
        (SekhaAuthError("wrong key", path="/api/v1/query"), True, "has to set SEKHA_API_KEY for this server"),
        (SekhaServerError("broken", status_code=500), False, "broken (status 500). That does not mean that nothing is"),
        (SekhaConnectionError("refused"), True, "refused. Nothing was changed."),
        (SekhaTimeoutError("too long", may_have_been_applied=True, **WAYS), True, "Do not call the tool again for it"),
    ],
)
def test_what_a_model_is_told_of_an_error(error: SekhaError, writes: bool, said: str) -> None:
    told = describe(error, writes=writes)
    assert said in told
    assert not any(unicodedata.category(letter) == "Cc" for letter in told)


def test_a_long_error_is_shortened() -> None:
    assert len(describe(SekhaServerError("x" * 9000, status_code=500))) < 1100
