"""Chats of Claude's designs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from sekha.exports import read_export
from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._claude_design import is_claude_design, parse_claude_design
from unit.exports.wrong_types import broken

pytestmark = pytest.mark.promise("W13")

DAY = "2025-05-01T09:00:00Z"
BLOCKS: List[Any] = [
    {"type": "thinking", "text": "hm"},
    {"type": "text", "text": "I begin."},
    {"type": "tool_call", "toolCall": {"name": "write", "input": {}}},
    {"type": "user_interjection", "message": {"content": "And red"}},
    {"type": "text", "text": "Done."},
]
CHAT: Dict[str, Any] = {
    "uuid": "d1",
    "title": "Landing page",
    "project": {"uuid": "x", "name": "Site"},
    "created_at": DAY,
    "updated_at": DAY,
    "messages": [
        {
            "uuid": "m1",
            "role": "user",
            "created_at": DAY,
            "content": {"content": "Make it blue", "attachments": [{"name": "a.md", "content": "Sky"}]},
        },
        {"uuid": "m2", "role": "assistant", "content": {"contentBlocks": BLOCKS, "timestamp": DAY}},
    ],
}


def test_a_chat_of_designs(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(json.dumps(CHAT))
    (found,) = read_export(tmp_path / "d.json")
    assert isinstance(found, ReadConversation)
    assert (found["label"], found["folder"], found.source_id, found.created_at) == ("Landing page", "claude", "d1", DAY)
    assert [(one["role"], one["content"], one.get("timestamp")) for one in found["messages"]] == [
        ("user", "Make it blue\n[a.md]\nSky", DAY),
        ("assistant", "I begin.", DAY),
        ("user", "And red", DAY),
        ("assistant", "Done.", DAY),
    ]
    assert found.left_out == {"thinking": 1, "tools": 1}


@pytest.mark.parametrize("block", [{"type": "new"}, 7, None, {"type": "error", "message": "Oops"}])
def test_what_is_not_understood_is_counted(block: Any) -> None:
    message = {"role": "assistant", "content": {"contentBlocks": [block, {"type": "text", "text": "Hi"}]}}
    found = parse_claude_design({**CHAT, "title": None, "messages": [message]}, "/old")
    assert (found["label"], [one["content"] for one in found["messages"]]) == ("Site", ["Hi"])
    assert sum(found.left_out.values()) == 1


def test_whatever_stands_there_is_read_or_counted() -> None:
    assert is_claude_design(CHAT)
    for data in broken(CHAT):
        if not is_claude_design(data):
            continue
        try:
            found = parse_claude_design(data, None)
        except Unreadable:
            continue
        assert found["messages"] or found.left_out
