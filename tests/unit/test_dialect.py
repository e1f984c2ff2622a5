"""What each server says differently, and its translation; D numbers are those of the decisions."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Dict, List, Optional, Type

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sekha._api import compat as dialect
from sekha._api import endpoints
from sekha._api.error_response import error_from_response
from sekha._api.model import Endpoint, Service
from sekha.errors import (
    SekhaAPIError,
    SekhaAuthError,
    SekhaClosedError,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaTimeoutError,
    SekhaValidationError,
)
from sekha.types import ConversationListItem
from unit.vectors import Exchange, answer, exchanges, recorded

UNKNOWN = "1a111111-2222-4333-8444-55555555555a"
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def user(content: Any, role: str = "user") -> Dict[str, Any]:
    return {"role": role, "content": content}


def text_part(text: str) -> Dict[str, Any]:
    return {"type": "text", "text": text}


def image(url: str) -> Dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


# ---- labels (D2) -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "label"),
    [
        ([], "Conversation"),
        ([user("Hi", "assistant")], "Conversation"),
        ([user("")], "Conversation"),
        ([user(" \n\t ")], "Conversation"),
        ([user("Plan the release\nand more")], "Plan the release"),
        ([user("\n\n   Indented first line\nsecond")], "Indented first line"),
        ([user("no", "system"), user("First"), user("Second")], "First"),
        ([user("x" * 100)], "x" * 60),
        ([user("x" * 59 + "  y")], "x" * 59),
        ([user("日" * 100)], "日" * 60),
        ([user([image("https://x.org/a.png"), text_part("Look at this")])], "Look at this"),
        ([user([image("https://x.org/a.png")])], "Conversation"),
    ],
)
def test_a_label_is_the_first_line_of_the_first_user_message(messages: List[Dict[str, Any]], label: str) -> None:
    assert dialect.label_for(messages) == label


@given(st.lists(st.builds(user, texts, st.sampled_from(["user", "assistant"])), max_size=3))
def test_a_label_is_one_line_of_1_to_60_characters(messages: List[Dict[str, Any]]) -> None:
    label = dialect.label_for(messages)
    assert 1 <= len(label) <= 60
    assert label == label.strip()
    assert len(label.splitlines()) == 1


# ---- byte 100 (D51) ----------------------------------------------------------------------------------------------


def kills(text: str) -> bool:
    """Whether the controller 0.1 dies of this message; from the contract."""
    data = text.encode()
    return len(data) > 100 and (data[100] & 0xC0) == 0x80


@given(texts.map(lambda text: text * 9), st.integers(0, 5))
def test_a_message_that_kills_the_controller_gets_one_to_three_spaces_and_no_other(text: str, shift: int) -> None:
    text = "x" * shift + text
    sent = dialect.padded([user(text)])[0]["content"]
    assert not kills(sent)
    assert sent.endswith(text)
    spaces = len(sent) - len(text)
    assert sent[:spaces] == " " * spaces
    assert spaces <= 3
    assert (spaces > 0) == kills(text)


@pytest.mark.parametrize("character", ["é", "日", "\U0001f600"])
@pytest.mark.parametrize("before", range(90, 101))
def test_every_position_of_a_long_character_is_survived(character: str, before: int) -> None:
    text = "a" * before + character * 10
    sent = dialect.padded([user(text)])[0]["content"]
    assert not kills(sent)
    assert (sent != text) == kills(text)


def test_the_message_that_was_recorded_to_kill_the_controller_is_padded_and_its_neighbour_is_not() -> None:
    aligned = recorded("create_emoji_aligned").body["messages"]
    assert dialect.padded(aligned) == aligned
    shifted = [user("x" + str(aligned[0]["content"]))]
    assert kills(shifted[0]["content"])
    assert dialect.padded(shifted) != shifted


def test_content_parts_and_other_keys_are_left_alone_and_the_callers_messages_unchanged() -> None:
    mine = [{**user("é" * 99 + "日" * 9), "name": "Ada"}, user([text_part("x")])]
    before = json.dumps(mine)
    sent = dialect.padded(mine)
    assert json.dumps(mine) == before
    assert sent[0]["name"] == "Ada"
    assert sent[1] == mine[1]


# ---- content parts (D4) ------------------------------------------------------------------------------------------


def test_parts_become_lines_of_text_and_addresses() -> None:
    parts = [text_part("Look:"), image("https://x.org/a.png"), {"type": "image_url", "image_url": "https://x.org/b"}]
    messages = [user("plain"), {**user(parts), "name": "Ada"}]
    assert dialect.has_parts(messages)
    flat = dialect.as_text(messages, drop_images=False)
    assert flat == [user("plain"), {**user("Look:\nhttps://x.org/a.png\nhttps://x.org/b"), "name": "Ada"}]
    assert not dialect.has_parts(flat)


@pytest.mark.parametrize("url", ["data:image/png;base64,AAAA", "DATA:image/png,x"])
def test_an_image_that_would_be_lost_is_refused_by_its_place_unless_it_may(url: str) -> None:
    messages = [user("plain"), user([text_part("Look:"), image(url), text_part("Nice")])]
    with pytest.raises(SekhaValidationError, match="drop_images=True") as caught:
        dialect.as_text(messages, drop_images=False)
    assert caught.value.field == "messages[1].content[1]"
    assert caught.value.sent is False
    assert dialect.as_text(messages, drop_images=True)[1]["content"] == "Look:\nNice"


def test_a_part_that_no_text_can_stand_for_is_not_lost_silently() -> None:
    messages = [user([text_part("Listen:"), {"type": "input_audio", "input_audio": {"data": "AAAA"}}])]
    with pytest.raises(SekhaValidationError) as caught:
        dialect.as_text(messages, drop_images=False)
    assert caught.value.field == "messages[0].content[1]"


@pytest.mark.parametrize(
    ("status", "words", "refused"),
    [
        (422, "Failed to deserialize: messages[0].content: invalid type: sequence, expected a string", True),
        (422, "Failed to deserialize the JSON body into the target type: missing field `label`", False),
        (400, "content", False),
        (500, "content", False),
    ],
)
def test_only_a_422_that_names_content_means_text_only(status: int, words: str, refused: bool) -> None:
    assert dialect.refuses_parts(error_from_response("POST", "/x", status, {}, words.encode())) is refused


# ---- chats (D8, D61) ---------------------------------------------------------------------------------------------


def test_a_remembered_message_is_sent_to_a_model_without_what_only_the_memory_knows() -> None:
    remembered = {**user("Hi"), "id": "x", "timestamp": "t", "metadata": {"citation": {}}, "name": "Ada"}
    assert dialect.chat_messages([remembered]) == [{**user("Hi"), "name": "Ada"}]


@pytest.mark.parametrize(("given_", "sent"), [(0, 1e-6), (0.0, 1e-6), (0.5, 0.5), (2, 2)])
def test_a_temperature_of_zero_stays_cold(given_: float, sent: float) -> None:
    assert dialect.temperature(given_) == sent


# ---- full text (D53) ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fts() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute("create virtual table m using fts5(content)")
    return database


@pytest.mark.parametrize("words", ["C++", "it's", "re-index", "what?", 'say "hi"', "AND", "(x", "label:x", "*", '"'])
def test_words_that_fts_trips_over_find_themselves(words: str) -> None:
    with sqlite3.connect(":memory:") as database:
        database.execute("create virtual table m using fts5(content)")
        database.execute("insert into m values (?)", (f"before {words} after",))
        found = database.execute("select 1 from m where m match ?", (dialect.full_text_query(words),)).fetchall()
    assert bool(found) == any(c.isalnum() for c in words)
    database.close()


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_no_words_are_an_fts_syntax_error(words: str) -> None:
    assume(words.strip())
    database = sqlite3.connect(":memory:")
    try:
        database.execute("create virtual table m using fts5(content)")
        database.execute("select 1 from m where m match ?", (dialect.full_text_query(words),)).fetchall()
    finally:
        database.close()


@pytest.mark.parametrize(
    "exchange", [e for e in exchanges("controller") if e.name.startswith("fts_syntax")], ids=lambda e: str(e.name)
)
def test_every_recorded_fts_syntax_error_is_a_validation_error_and_final(exchange: Exchange) -> None:
    with pytest.raises(SekhaValidationError, match="raw=True") as caught:
        endpoints.FULL_TEXT_SEARCH.read(exchange.answer)
    assert caught.value.status_code == 500
    assert not caught.value._retryable


# ---- scores (D18) ------------------------------------------------------------------------------------------------


def page(scores: List[float], number: int = 1) -> Dict[str, Any]:
    hits = [
        {
            "conversation_id": "c",
            "message_id": "m",
            "score": s,
            "content": "",
            "label": "",
            "folder": "",
            "timestamp": "",
        }
        for s in scores
    ]
    return {"results": hits, "total": len(hits), "page": number, "page_size": 10}


@pytest.mark.parametrize(
    ("scores", "number", "found"),
    [
        ([0.1, 0.4], 1, [0.9, 0.6]),
        ([0.1, 0.4], 0, [0.9, 0.6]),
        ([0.9, 0.6], 0, [0.9, 0.6]),
        ([0.9, 0.6], 1, [0.9, 0.6]),
        ([0.2], 0, [0.8]),
        ([0.2], 1, [0.2]),
        ([0.3, 0.3], 0, [0.7, 0.7]),
        ([0.3, 0.3], 1, [0.3, 0.3]),
        ([0.0, 0.0, 1.5], 1, [1.0, 1.0, -0.5]),
        ([], 0, []),
    ],
)
def test_scores_are_similarities_whatever_the_server_means(
    scores: List[float], number: int, found: List[float]
) -> None:
    result = endpoints.QUERY.read(answer(page(scores, number)))
    assert [hit["score"] for hit in result["results"]] == pytest.approx(found)
    distances: List[Any] = [hit.get("distance") for hit in result["results"]]
    turned = scores != [] and found != pytest.approx(scores)
    assert distances == [score if turned else None for score in scores]


@given(st.lists(st.floats(0, 2), max_size=6), st.booleans())
def test_the_order_stays_and_higher_is_better(scores: List[float], distances: bool) -> None:
    ranked = sorted(scores, reverse=not distances)
    result = endpoints.QUERY.read(answer(page(ranked, 0 if distances else 1)))
    assert [hit.get("distance", hit["score"]) for hit in result["results"]] == ranked
    found = [hit["score"] for hit in result["results"]]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("name", ["query_docker", "query_all", "query_offset_ignored"])
def test_recorded_distances_become_similarities(name: str) -> None:
    exchange = recorded(name, "story")
    said = json.loads(exchange.answer.body)["results"]
    found = endpoints.QUERY.read(exchange.answer)["results"]
    assert [hit.get("distance") for hit in found] == [hit["score"] for hit in said]
    assert [hit["score"] for hit in found] == [1 - hit["score"] for hit in said]
    assert [hit["message_id"] for hit in found] == [hit["message_id"] for hit in said]


@pytest.mark.parametrize(("stamp", "score"), [("2026-01-01 00:00:00.123", 0.8), ("2026-01-01T00:00:00.123", 0.2)])
def test_one_hit_of_the_tool_is_judged_by_its_time_stamp(stamp: str, score: float) -> None:
    data = {"query": "x", "total_results": 1, "limit": 10, "results": page([0.2])["results"]}
    data["results"][0]["timestamp"] = stamp
    for body in (data, {"success": True, "data": data, "error": None}):
        hit = endpoints.MEMORY_SEARCH.read(answer(body))["results"][0]
        assert hit["score"] == pytest.approx(score)
        assert hit["timestamp"] == "2026-01-01T00:00:00.123000+00:00"


# ---- shapes of several servers (D5, D7, D9, D22, D23, D29-D33, D43) ------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True])
def test_lists_come_bare_or_wrapped(wrapped: bool) -> None:
    message = {"role": "user", "content": "x"}
    label = {"label": "L", "confidence": 0.9, "reason": "r"}
    assert endpoints.ASSEMBLE_CONTEXT.read(answer({"messages": [message]} if wrapped else [message])) == [message]
    assert endpoints.SUGGEST_LABELS.read(answer({"suggestions": [label]} if wrapped else [label])) == [label]


@pytest.mark.parametrize(
    "message",
    [
        {"metadata": {"citation": {"label": "L", "folder": "/f"}}},
        {"metadata": {"label": "L", "folder": "/f"}},
        {"label": "L", "folder": "/f"},
        {"label": "L", "folder": "/f", "metadata": None},
        {"label": "other", "folder": "/other", "metadata": {"citation": {"label": "L", "folder": "/f"}}},
    ],
)
def test_a_citation_is_found_wherever_a_server_puts_it(message: Dict[str, Any]) -> None:
    assert dialect.citation_of(message) == {"label": "L", "folder": "/f"}


@pytest.mark.parametrize("message", [{}, {"metadata": None}, {"metadata": {"citation": None}}, {"label": 5}])
def test_no_citation_is_no_citation(message: Dict[str, Any]) -> None:
    assert dialect.citation_of(message) == {}


def test_a_count_that_admits_an_error_is_one() -> None:
    with pytest.raises(SekhaValidationError, match="Cannot specify both") as caught:
        endpoints.COUNT_CONVERSATIONS.read(recorded("count_both").answer)
    assert caught.value.status_code == 200, "the one on the wire"


@pytest.mark.parametrize(
    ("envelope", "cls"),
    [
        ({"success": False, "data": None, "error": "Conversation not found"}, SekhaNotFoundError),
        ({"success": False, "error": "Cannot specify both label and folder"}, SekhaValidationError),
        ({"success": False, "error": "the disk is full"}, SekhaServerError),
        ({"success": False}, SekhaServerError),
        ({"success": None, "data": {}}, SekhaServerError),
    ],
)
def test_a_tool_that_does_not_succeed_is_an_error(envelope: Dict[str, Any], cls: Type[SekhaAPIError]) -> None:
    with pytest.raises(SekhaAPIError) as caught:
        endpoints.MEMORY_STATS.read(answer(envelope))
    assert type(caught.value) is cls
    assert caught.value.message
    assert caught.value.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"embedding": [0.5, 1], "model": "m", "tokens_used": 3, "dimension": 2},
        {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1]}], "model": "m"},
    ],
)
def test_an_embedding_has_both_shapes(body: Dict[str, Any]) -> None:
    found = endpoints.EMBED.read(answer(body))
    assert found["embedding"] == found["data"][0]["embedding"] == [0.5, 1]
    assert (found["object"], found["model"], found["dimension"]) == ("list", "m", 2)
    assert found["usage"]["total_tokens"] == body.get("tokens_used")


def test_embeddings_of_several_texts_become_one_answer_in_order() -> None:
    answers = [endpoints.EMBED.read(answer({"embedding": [n], "model": "m"})) for n in (1, 2)]
    assert dialect.joined_embeddings(answers)["usage"] == {"prompt_tokens": None, "total_tokens": None}
    answers = [endpoints.EMBED.read(answer({"embedding": [n], "model": "m", "tokens_used": n})) for n in (1, 2, 3)]
    joined = dialect.joined_embeddings(answers)
    assert [item["index"] for item in joined["data"]] == [0, 1, 2]
    assert [item["embedding"] for item in joined["data"]] == [[1], [2], [3]]
    assert joined["embedding"] == [1]
    assert joined["usage"] == {"prompt_tokens": 6, "total_tokens": 6}


@pytest.mark.parametrize(
    ("endpoint", "body", "status", "expected"),
    [
        (endpoints.CONTROLLER_HEALTH, "OK", 200, ("healthy", {})),
        (endpoints.CONTROLLER_HEALTH, {"status": "healthy", "version": "2", "uptime_seconds": 0}, 200, ("healthy", {})),
        (endpoints.CONTROLLER_HEALTH, b"", 503, ("unhealthy", {})),
        (endpoints.CONTROLLER_HEALTH, {"status": "healthy"}, 503, ("unhealthy", {})),
        (endpoints.CONTROLLER_HEALTH, {"status": "degraded"}, 200, ("degraded", {})),
        (endpoints.CONTROLLER_HEALTH, {"status": "healthy", "checks": {"db": True, "llm": "slow"}}, 200,
         ("healthy", {"db": {"status": "ok"}, "llm": {"status": "slow"}})),
        (endpoints.CONTROLLER_HEALTH, {"status": "healthy", "checks": None}, 200, ("healthy", {})),
        (endpoints.BRIDGE_HEALTH, {"detail": "no provider"}, 503, ("unhealthy", {})),
        (endpoints.BRIDGE_HEALTH, b"", 500, ("unhealthy", {})),
        (endpoints.BRIDGE_HEALTH, {"status": "degraded", "checks": {"a": False}}, 200,
         ("degraded", {"a": {"status": "failed"}})),
    ],
)  # fmt: skip
def test_health_has_one_shape_and_is_never_an_error(
    endpoint: Endpoint[Any], body: Any, status: int, expected: Any
) -> None:
    found = endpoint.read(answer(body, status))
    assert (found["status"], found["checks"]) == expected
    if status >= 400:
        assert found["error"]
    else:
        assert not found.get("error")


@pytest.mark.parametrize("endpoint", [endpoints.CONTROLLER_HEALTH, endpoints.BRIDGE_HEALTH])
@pytest.mark.parametrize("body", ["<html>Please log in</html>", "[]", "5"])
def test_a_200_from_somebody_else_is_not_healthy(endpoint: Endpoint[Any], body: str) -> None:
    found = endpoint.read(answer(body, content_type="text/html"))
    assert found["status"] == "unhealthy"
    assert found["error"]


@pytest.mark.parametrize(
    ("name", "status", "checks"),
    [
        ("health", "healthy", {"stub": {"status": "ok"}}),
        ("breaker_half_open_health", "degraded", {"stub": {"status": "half_open"}}),
        ("down_health_after", "degraded", {"stub": {"status": "open"}}),
    ],
)
def test_the_checks_of_a_bridge_are_its_providers(name: str, status: str, checks: Dict[str, Any]) -> None:
    found = endpoints.BRIDGE_HEALTH.read(recorded(name, "bridge").answer)
    assert (found["status"], found["checks"]) == (status, checks)


# ---- models that are down (D64), and other answers that mean something else (D15, D16, D49, D59) -------------------


def test_an_answer_that_only_looks_like_a_summary_or_a_score_is_an_error() -> None:
    body = {"conversation_id": "x", "level": "daily", "summary": "3 messages (LLM offline) ", "generated_at": "t"}
    with pytest.raises(SekhaServerError, match="model behind the controller is down"):
        endpoints.SUMMARIZE.read(answer(body))
    with pytest.raises(SekhaServerError, match="model behind the bridge is down"):
        endpoints.SCORE.read(recorded("breaker_open_score", "bridge").answer)


@pytest.mark.parametrize(
    ("endpoint", "status", "words", "cls", "hint"),
    [
        (endpoints.PIN_CONVERSATION, 500, "Entity not found: x", SekhaNotFoundError, ""),
        (endpoints.SUMMARIZE, 500, "Entity not found: x", SekhaNotFoundError, ""),
        (endpoints.UPDATE_LABEL, 404, "Entity not found: x", SekhaNotFoundError, ""),
        (endpoints.UPDATE_LABEL, 404, "Database error: locked", SekhaServerError, ""),
        (endpoints.UPDATE_LABEL, 500, "Database error: locked", SekhaServerError, ""),
        (endpoints.DELETE_CONVERSATION, 404, "Conversation not found", SekhaNotFoundError, ""),
        (
            endpoints.DELETE_CONVERSATION,
            500,
            "Chroma error: Collection not found: messages",
            SekhaServerError,
            "archive_conversation",
        ),
        (endpoints.DELETE_CONVERSATION, 500, "Chroma error: down", SekhaServerError, ""),
        (endpoints.FULL_TEXT_SEARCH, 500, "Database error: disk", SekhaServerError, ""),
        (endpoints.MEMORY_PRUNE, 500, "", SekhaServerError, "prune_dry_run"),
        (endpoints.MEMORY_GET_CONTEXT, 404, "", SekhaNotFoundError, ""),
    ],
)
def test_what_an_error_means_is_told_where_the_status_misleads(
    endpoint: Endpoint[Any], status: int, words: str, cls: Type[SekhaAPIError], hint: str
) -> None:
    with pytest.raises(SekhaAPIError) as caught:
        endpoint.read(answer({"error": words} if words else b"", status))
    assert type(caught.value) is cls
    assert caught.value.status_code == status
    assert words in caught.value.message
    assert hint in caught.value.message


def test_what_cannot_be_deleted_says_what_to_do_and_is_final() -> None:
    with pytest.raises(SekhaServerError, match="named `messages`") as caught:
        endpoints.DELETE_CONVERSATION.read(recorded("delete_embedded", "story").answer)
    assert not caught.value._retryable


# ---- what only our side knows (D27, D38) ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["auth_wrong", "auth_short", "auth_missing"])
def test_a_401_of_the_tools_says_which_key_was_sent_and_which_is_needed(name: str) -> None:
    found = recorded(name, "mcp").answer
    error = error_from_response("POST", "/x", found.status, found.headers, found.body)
    dialect.explain(error, Service.MCP, key_name="api_key")
    assert json.loads(found.text)["error"] in error.message
    assert "The key sent was api_key" in error.message
    assert "SEKHA_MCP_API_KEY" in error.message


@pytest.mark.parametrize(
    ("service", "asked", "told"),
    [
        (Service.CONTROLLER, None, 60.0),
        (Service.MCP, None, 60.0),
        (Service.BRIDGE, None, None),
        (Service.CONTROLLER, "7", 7.0),
    ],
)
def test_a_429_of_the_controller_says_when_to_come_back(
    service: Service, asked: Optional[str], told: Optional[float]
) -> None:
    error = error_from_response("GET", "/x", 429, {"retry-after": asked} if asked else {}, b"Rate limit exceeded.")
    dialect.explain(error, service, key_name="api_key")
    assert isinstance(error, SekhaRateLimitError)
    assert error.retry_after == told


def test_an_error_of_another_kind_is_not_explained() -> None:
    for service, status in ((Service.CONTROLLER, 401), (Service.MCP, 500), (Service.BRIDGE, 401)):
        error = error_from_response("GET", "/x", status, {}, b"words")
        dialect.explain(error, service, key_name="api_key")
        assert error.message == "words"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SekhaConfigError("no bridge_url"), "not_configured"),
        (SekhaAuthError("no", status_code=401), "unauthorized"),
        (SekhaPermissionError("no", status_code=403), "unauthorized"),
        (SekhaConnectionError("refused"), "unreachable"),
        (SekhaTimeoutError("slow"), "unreachable"),
        (SekhaClosedError("closed"), "unreachable"),
        (SekhaServerError("down", status_code=500), "unhealthy"),
        (SekhaRateLimitError("many", status_code=429), "unhealthy"),
        (SekhaDecodeError("odd"), "unhealthy"),
    ],
)
def test_the_error_of_a_health_check_becomes_a_status(error: SekhaError, status: str) -> None:
    assert dialect.health_of(error) == {"status": status, "checks": {}, "error": str(error)}


@pytest.mark.parametrize(
    ("words", "id"),
    [
        (f"Entity not found: Conversation {UNKNOWN.upper()} not found", UNKNOWN),
        ("no id here", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_conversation_that_an_error_speaks_of_is_found(words: str, id: Optional[str]) -> None:
    assert dialect.id_in(words) == id


# ---- statistics and exports (D24, D25, D45) ------------------------------------------------------------------------


def row(label: str, folder: str, importance: Optional[float]) -> ConversationListItem:
    return {
        "conversation_id": label,
        "label": label,
        "folder": folder,
        "timestamp": "",
        "metadata": {"importance_score": importance},
    }


def test_what_a_server_does_not_count_is_counted_here_and_messages_are_none_not_zero() -> None:
    rows = [row("b", "/x", 4), row("a", "/x", 7), row("a", "/", 10)]
    assert dialect.stats({}, rows) == {
        "total_conversations": 3,
        "total_messages": None,
        "average_importance": 7.0,
        "folders": ["/", "/x"],
        "labels": ["a", "b"],
    }
    assert dialect.stats({}, [])["average_importance"] == 0.0


def test_what_a_server_counts_stays_and_null_is_not_counted() -> None:
    answer = {"total_conversations": 9, "average_importance": 5.5, "folders": ["/s"], "labels": None, "new": 1}
    found = dialect.stats(answer, [row("a", "/x", 4)])
    assert (found["total_conversations"], found["average_importance"], found["folders"]) == (9, 5.5, ["/s"])
    assert found["labels"] == ["a"]
    assert found["new"] == 1  # type: ignore[typeddict-item]


def test_an_export_is_as_it_was_asked_for() -> None:
    def exported() -> Any:
        return endpoints.MEMORY_EXPORT.read(recorded("mcp_export", "story").answer)

    plain = dialect.export(exported(), "json", include_metadata=False)
    assert (plain["format"], plain.get("include_metadata")) == ("json", False)
    assert "content" not in plain
    assert all("metadata" not in message for message in plain["messages"])
    rich = dialect.export(exported(), "markdown", include_metadata=True)
    assert "metadata" in rich["messages"][0]
    content = rich["content"]
    assert content.startswith(f"# {rich['conversation']['label']}\n")
    for message in rich["messages"]:
        assert f"## {message['role'].capitalize()}\n\n{message['content']}\n" in content
