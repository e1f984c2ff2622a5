"""Arguments that are refused before a byte is sent: the method, its arguments, and the field that the error names."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Tuple

from support.facts import ID, MESSAGES

Refusal = Tuple[str, List[Any], Dict[str, Any], str]
"""Method, positional arguments, keywords, and the field."""

NAN, INFINITY, HALF = float("nan"), float("inf"), "\ud800"
USER = {"role": "user", "content": "Hi"}


def messages(*faulty: Any) -> Dict[str, Any]:
    """Good messages, and bad ones behind them."""
    return {"messages": [USER, *faulty]}


REFUSED: List[Refusal] = [
    # messages
    ("controller.create_conversation", [], {}, "messages"),
    ("controller.create_conversation", [{"label": "L"}], {}, "messages"),
    ("controller.create_conversation", ["text"], {}, "conversation"),
    ("controller.create_conversation", [], {"messages": "Hi"}, "messages"),
    ("controller.create_conversation", [], {"messages": b"Hi"}, "messages"),
    ("controller.create_conversation", [], messages({"content": "Hi"}), "messages[1].role"),
    ("controller.create_conversation", [], messages({"role": 5, "content": "Hi"}), "messages[1].role"),
    ("controller.create_conversation", [], messages({"role": "", "content": "Hi"}), "messages[1].role"),
    *(
        (call, [], messages({"role": role, "content": "Hi"}), "messages[1].role")
        for call in ("controller.create_conversation", "mcp.memory_store")
        for role in ("ai", "User", "human", "developer", " user", "bot\n")
    ),
    ("controller.create_conversation", [], messages({"role": "user"}), "messages[1].content"),
    ("controller.create_conversation", [], messages({"role": "user", "content": None}), "messages[1].content"),
    ("controller.create_conversation", [], messages({"role": "user", "content": 5}), "messages[1].content"),
    ("controller.create_conversation", [], messages({"role": "user", "content": NAN}), "messages[1].content"),
    ("controller.create_conversation", [], messages({"role": "user", "content": HALF}), "messages[1].content"),
    ("controller.create_conversation", [], messages({"role": "user", "content": "\0"}), "messages[1].content"),
    ("controller.create_conversation", [], messages({**USER, "extra": INFINITY}), "messages[1].extra"),
    ("controller.create_conversation", [], messages({**USER, "extra": [{"deep": NAN}]}), "messages[1].extra[0].deep"),
    ("controller.create_conversation", [], messages({**USER, "extra": object()}), "messages[1].extra"),
    ("controller.create_conversation", [], messages({**USER, 5: "x"}), "messages[1]"),
    ("controller.create_conversation", [], messages("Hi"), "messages[1]"),
    (
        "controller.create_conversation",
        [],
        messages({"role": "user", "content": [{"type": "text", "text": 5}]}),
        "messages[1].content[0].text",
    ),
    ("controller.create_conversation", [], messages({"role": "user", "content": [{}]}), "messages[1].content[0].type"),
    ("controller.create_conversation", [{"messages": [USER], "lable": "L"}], {}, "lable"),
    ("controller.create_conversation", [], {"messages": [USER], "label": ""}, "label"),
    ("controller.create_conversation", [], {"messages": [USER], "label": 5}, "label"),
    ("controller.create_conversation", [], {"messages": [USER], "label": HALF}, "label"),
    ("controller.create_conversation", [], {"messages": [USER], "folder": ""}, "folder"),
    *(
        ("controller.create_conversation", [], {"messages": [USER], "importance_score": bad}, "importance_score")
        for bad in (0, 11, 7.0, "7", True, NAN)
    ),
    ("mcp.memory_store", [], {}, "messages"),
    ("mcp.memory_store", [], messages({"role": "user"}), "messages[1].content"),
    ("mcp.memory_store", [], {"messages": [USER], "importance_score": 0}, "importance_score"),
    ("mcp.memory_store", [5], {}, "request"),
    ("bridge.complete", [[]], {}, "messages"),
    ("bridge.complete", [[{"role": 5, "content": "Hi"}]], {}, "messages[0].role"),
    ("bridge.stream_complete", [[{"content": "Hi"}]], {}, "messages[0].role"),
    *(("bridge.complete", [[USER]], {"temperature": bad}, "temperature") for bad in (-0.1, 2.1, NAN, "1", True)),
    *(("bridge.complete", [[USER]], {"max_tokens": bad}, "max_tokens") for bad in (0, -1, 1.5, "9")),
    ("bridge.complete", [[USER]], {"model": ""}, "model"),
    # ids
    *(
        (f"controller.{method}", [bad], more, "conversation_id")
        for bad in ("", "count", "../count", "3f0c1a52-8d1e-4c55-9d0a", 5, None, ID + "/pin", ID + "\n", "٣" * 32)
        for method, more in (("get_conversation", {}), ("update_label", {"label": "L", "folder": "/"}))
    ),
    *(
        (f"controller.{method}", ["no id"], more, "conversation_id")
        for method, more in (
            ("get_messages", {}),
            ("update_folder", {"folder": "/"}),
            ("pin_conversation", {}),
            ("archive_conversation", {}),
            ("delete_conversation", {}),
            ("summarize", {}),
            ("suggest_labels", {}),
        )
    ),
    *(
        (f"mcp.{method}", ["no id"], more, "conversation_id")
        for method, more in (("memory_update", {"label": "L"}), ("memory_get_context", {}), ("memory_export", {}))
    ),
    ("controller.prune_execute", [[ID, "x"]], {}, "conversation_ids[1]"),
    ("controller.prune_execute", [ID], {}, "conversation_ids"),
    ("controller.prune_execute", [None], {}, "conversation_ids"),
    # queries
    *(("controller.query", [bad], {}, "query") for bad in ("", " \n", 5, None, HALF, "\0")),
    *(("controller.query", ["x"], {"limit": bad}, "limit") for bad in (0, -1, 1.0, "5", True, 2**32, NAN)),
    *(("controller.query", ["x"], {"offset": bad}, "offset") for bad in (-1, 1.5, "0")),
    ("controller.query", ["x"], {"filters": {"lable": "A"}}, "filters.lable"),
    ("controller.query", ["x"], {"filters": {"labels": "A"}}, "filters.labels"),
    ("controller.query", ["x"], {"filters": {"min_importance": 11}}, "filters.min_importance"),
    ("controller.query", ["x"], {"filters": {"min_importance": "7"}}, "filters.min_importance"),
    ("controller.query", ["x"], {"filters": {"start_date": "yesterday"}}, "filters.start_date"),
    ("controller.query", ["x"], {"filters": {"end_date": "2026-02-30"}}, "filters.end_date"),
    (
        "controller.query",
        ["x"],
        {"filters": {"start_date": "2026-02-02", "end_date": "2026-02-01"}},
        "filters.end_date",
    ),
    ("controller.query", ["x"], {"filters": ["A"]}, "filters"),
    ("controller.full_text_search", [" "], {}, "query"),
    ("controller.full_text_search", ["x"], {"limit": 0}, "limit"),
    ("controller.full_text_search", ["x"], {"raw": 1}, "raw"),
    ("controller.assemble_context", [""], {}, "query"),
    ("controller.assemble_context", ["x"], {"context_budget": -1}, "context_budget"),
    ("controller.assemble_context", ["x"], {"context_budget": 1.5}, "context_budget"),
    ("controller.assemble_context", ["x"], {"preferred_labels": "A"}, "preferred_labels"),
    ("controller.assemble_context", ["x"], {"excluded_folders": [5]}, "excluded_folders[0]"),
    ("mcp.memory_search", [], {}, "query"),
    ("mcp.memory_search", [{"query": ""}], {}, "query"),
    ("mcp.memory_search", [{"query": "x", "limit": -1}], {}, "limit"),
    ("mcp.memory_search", [{"query": "x", "labls": ["A"]}], {}, "labls"),
    ("mcp.memory_search", ["x"], {}, "request"),
    ("mcp.memory_search", [], {"query": "x", "end_date": "soon"}, "end_date"),
    ("mcp.memory_stats", [{"lables": ["A"]}], {}, "lables"),
    ("mcp.memory_stats", [{"labels": "A"}], {}, "labels"),
    ("mcp.memory_stats", [{"start_date": "soon"}], {}, "start_date"),
    ("mcp.memory_stats", [], {"start_date": "2026-02-02", "end_date": "2026-02-01"}, "end_date"),
    ("mcp.memory_stats", [["A"]], {}, "request"),
    # the rest
    ("controller.update_label", [ID], {}, "label"),
    ("controller.update_label", [ID], {"label": ""}, "label"),
    ("controller.update_folder", [ID], {"folder": None}, "folder"),
    ("controller.update_folder", [ID], {"folder": ""}, "folder"),
    ("controller.list_conversations", [], {"page": 0}, "page"),
    ("controller.list_conversations", [], {"page_size": 0}, "page_size"),
    ("controller.list_conversations", [], {"page_size": -5}, "page_size"),
    ("controller.list_conversations", [], {"pinned": "yes"}, "pinned"),
    ("controller.count_conversations", [], {"label": "a", "label_contains": "b"}, "label and label_contains"),
    ("controller.count_conversations", [], {"folder": ""}, "folder"),
    ("controller.summarize", [ID], {"level": "yearly"}, "level"),
    *(("controller.prune_dry_run", [], {"threshold_days": bad}, "threshold_days") for bad in (-1, 36501, 1.5, "9")),
    *(("controller.prune_dry_run", [], {"limit": bad}, "limit") for bad in (0, 2**32, 1.5, "9")),
    ("mcp.memory_prune", [], {"threshold_days": -1}, "threshold_days"),
    ("mcp.memory_prune", [], {"importance_threshold": 11}, "importance_threshold"),
    ("mcp.memory_prune", [], {"importance_threshold": NAN}, "importance_threshold"),
    ("mcp.memory_update", [ID], {}, "label"),
    ("mcp.memory_update", [ID], {"status": "deleted"}, "status"),
    ("mcp.memory_update", [ID], {"importance_score": 11}, "importance_score"),
    ("mcp.memory_export", [ID], {"format": "pdf"}, "format"),
    ("mcp.memory_export", [ID], {"include_metadata": "no"}, "include_metadata"),
    ("bridge.embed", [], {}, "input"),
    ("bridge.embed", [""], {}, "input"),
    ("bridge.embed", [[]], {}, "input"),
    ("bridge.embed", [["a", ""]], {}, "input[1]"),
    ("bridge.embed", [["a", 5]], {}, "input[1]"),
    ("bridge.embed", ["a"], {"text": "b"}, "input"),
    ("bridge.route", [""], {}, "task"),
    ("bridge.route", ["embedding"], {"max_cost": INFINITY}, "max_cost"),
    ("bridge.route", ["embedding"], {"require_vision": "yes"}, "require_vision"),
    ("bridge.summarize", [[]], {}, "messages"),
    ("bridge.summarize", ["text"], {}, "messages"),
    ("bridge.summarize", [["a"]], {"level": "yearly"}, "level"),
    ("bridge.extract", [" "], {}, "text"),
    ("bridge.score", [""], {}, "conversation"),
    ("bridge.score", [{"role": "user"}], {}, "conversation"),
]

WORKFLOWS: List[Refusal] = [
    ("store_and_query", [MESSAGES, ""], {}, "query"),
    ("store_and_query", [MESSAGES, "x"], {"limit": -1}, "limit"),
    ("store_and_query", [MESSAGES, "x"], {"filters": {"lable": "A"}}, "filters.lable"),
    ("store_and_query", [MESSAGES, "x"], {"filters": {"start_date": "soon"}}, "filters.start_date"),
    ("store_and_query", [[{"role": "user"}], "x"], {}, "messages[0].content"),
    ("complete_with_context", ["", "x"], {}, "prompt"),
    ("complete_with_context", ["x", " "], {}, "context_query"),
    ("complete_with_context", ["x", "x"], {"context_budget": -1}, "context_budget"),
    ("complete_with_context", ["x", "x"], {"system": ""}, "system"),
    ("complete_with_context", ["x", "x"], {"temperature": 3}, "temperature"),
    ("complete_with_context", ["x", "x"], {"max_tokens": 0}, "max_tokens"),
    ("stream_with_context", ["x", "x"], {"model": ""}, "model"),
    ("stream_with_context", ["x", 5], {}, "context_query"),
    ("complete_with_memory", [None, "x"], {}, "prompt"),
    ("complete_with_memory", ["x", ""], {}, "search_query"),
    ("complete_with_memory", ["x", "x"], {"limit": 0}, "limit"),
    ("complete_with_memory", ["x", "x"], {"temperature": NAN}, "temperature"),
    ("stream_with_memory", [], {"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
    ("stream_with_memory", [], {"search_query": "x"}, "prompt"),
    ("build_messages", ["x", "x"], {"limit": 5}, "limit"),
    ("build_messages", ["x"], {"search_query": "x", "roles": ["user"]}, "roles"),
]


def one_of_each(table: Iterable[Refusal]) -> List[Refusal]:
    """The first row of each method: the samples that are made on the wire."""
    first: Dict[str, Refusal] = {}
    for row in table:
        first.setdefault(row[0], row)
    return list(first.values())
