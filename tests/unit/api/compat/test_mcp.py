"""Results of the MCP tools: the envelope, hits, statistics and exports."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Type

import pytest

from sekha._api import endpoints
from sekha._api.compat.mcp import apply_export_options, complete_stats
from sekha.errors import SekhaAPIError, SekhaNotFoundError, SekhaServerError, SekhaValidationError
from sekha.types import ConversationListItem
from unit.vectors import answer, parse, recorded

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


@pytest.mark.parametrize(("stamp", "score"), [("2026-01-01 00:00:00.123", 0.8), ("2026-01-01T00:00:00.123", 0.2)])
def test_one_hit_of_the_tool_is_judged_by_its_time_stamp(stamp: str, score: float) -> None:
    data = {"query": "x", "total_results": 1, "limit": 10, "results": page([0.2])["results"]}
    data["results"][0]["timestamp"] = stamp
    for body in (data, {"success": True, "data": data, "error": None}):
        hit = parse(endpoints.MEMORY_SEARCH, answer(body))["results"][0]
        assert hit["score"] == pytest.approx(score)
        assert hit["timestamp"] == "2026-01-01T00:00:00.123000+00:00"


# ---- shapes of several servers (D5, D7, D9, D22, D23, D29-D33, D43) ------------------------------------------------


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
        parse(endpoints.MEMORY_STATS, answer(envelope))
    assert type(caught.value) is cls
    assert caught.value.message
    assert caught.value.status_code == 200


# ---- statistics and exports (D24, D25, D45) ------------------------------------------------------------------------


def row(label: str, folder: str, importance: Optional[float]) -> ConversationListItem:
    return {
        "id": label,
        "conversation_id": label,
        "label": label,
        "folder": folder,
        "timestamp": "",
        "metadata": {"importance_score": importance},
    }


def test_what_a_server_does_not_count_is_counted_here_and_messages_are_none_not_zero() -> None:
    rows = [row("b", "/x", 4), row("a", "/x", 7), row("a", "/", 10)]
    assert complete_stats({}, rows) == {
        "total_conversations": 3,
        "total_messages": None,
        "average_importance": 7.0,
        "folders": ["/", "/x"],
        "labels": ["a", "b"],
    }
    assert complete_stats({}, [])["average_importance"] == 0.0


def test_what_a_server_counts_stays_and_null_is_not_counted() -> None:
    answer = {"total_conversations": 9, "average_importance": 5.5, "folders": ["/s"], "labels": None, "new": 1}
    found = complete_stats(answer, [row("a", "/x", 4)])
    assert (found["total_conversations"], found["average_importance"], found["folders"]) == (9, 5.5, ["/s"])
    assert found["labels"] == ["a"]
    assert found["new"] == 1  # type: ignore[typeddict-item]


def test_an_export_is_as_it_was_asked_for() -> None:
    def exported() -> Any:
        return parse(endpoints.MEMORY_EXPORT, recorded("mcp_export", "story").answer)

    plain = apply_export_options(exported(), "json", include_metadata=False)
    assert (plain["format"], plain.get("include_metadata")) == ("json", False)
    assert "content" not in plain
    assert all("metadata" not in message for message in plain["messages"])
    rich = apply_export_options(exported(), "markdown", include_metadata=True)
    assert "metadata" in rich["messages"][0]
    content = rich["content"]
    assert content.startswith(f"# {rich['conversation']['label']}\n")
    for message in rich["messages"]:
        assert f"## {message['role'].capitalize()}\n\n{message['content']}\n" in content
