"""The ids by which an import knows chats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Optional

import pytest

from sekha._importing.chat_ids import chat_id
from sekha.exports import read_export
from sekha.exports._building import ConversationBuilder, ReadConversation

UUID = "7b1c9d3e-52a4-4f60-8e1d-0a9b6c5f4e32"


def chat(*texts: str, created_at: Optional[str] = None, application: str = "X") -> ReadConversation:
    builder = ConversationBuilder("L", "/f")
    builder.add("system", ["Be brief."])
    for text in texts:
        builder.add("user", [text])
    found = builder.finish(created_at=created_at)
    found.application = application
    return found


@pytest.mark.parametrize(
    "id",
    [
        UUID, UUID.upper(), UUID.replace("-", ""), f"{UUID}/document/1", f"agent-{UUID}",
        "665f0c2ab7d94e1f83a6d052", "1746090123456", "gemini 2025-05-01T09:00:00",
    ],
)  # fmt: skip
def test_a_unique_id_is_enough(id: str) -> None:
    assert chat_id(chat("Q"), id) == chat_id(chat("another", created_at="2025-05-01T09:00:00Z"), id) == f"X/{id}"
    assert chat_id(chat("Q", application="Y"), id) != chat_id(chat("Q"), id)


@pytest.mark.parametrize(
    "id",
    [
        "1", "conv-1", "conversation-000001", "000000000000000001", "a-conversation-about-printers-and-ports",
        "2025-05-01", "00000000-0000-0000-0000-000000000001", "deadbeef", "=x",
    ],
)  # fmt: skip
def test_what_may_be_a_counter_holds_with_the_beginning(id: str) -> None:
    assert chat_id(chat("Q"), id) == chat_id(chat("Q", "grown"), id)
    others = [chat("x"), chat("Q", created_at="2025-05-01T09:00:00Z"), chat("Q", application="Y"), chat()]
    ids = {chat_id(one, id) for one in [*others, chat("Q")]}
    assert len(ids) == 5
    assert not any(one.startswith("=") for one in ids)


def test_the_readers_say_of_which_application_a_chat_is(tmp_path: Path) -> None:
    session: Dict[str, Any] = {"sessionId": "1", "version": 3, "requests": [{"message": {"text": "Q"}}]}
    message = {"role": "user", "content": "Q", "chatId": UUID, "createdAt": "2025-05-01T09:00:00Z"}
    files: Dict[str, Any] = {
        "Claude": {"uuid": "1", "chat_messages": [{"sender": "human", "text": "Q"}]},
        "VS Code's chat": {"kind": 0, "v": session},
        "Le Chat": [message],
    }
    for application, data in files.items():
        (tmp_path / "one.json").write_text(json.dumps(data))
        (found,) = read_export(tmp_path / "one.json")
        assert isinstance(found, ReadConversation)
        assert found.application == application
