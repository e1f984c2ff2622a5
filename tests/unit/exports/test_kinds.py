"""Which reader is taken for what: one small sample of every form, and no other reader for it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from sekha.exports import read_export
from sekha.exports._building import ReadConversation
from sekha.exports._kinds import KINDS, find_kind
from unit.exports import test_grok, test_librechat, test_lm_studio, test_open_webui

HELLO: Dict[str, Any] = {"role": "user", "content": "Hello"}
SHELL: Dict[str, Any] = {"id": "1", "title": "A", "create_time": 1, "update_time": 2}
NODE: Dict[str, Any] = {"id": "1", "parent": None, "message": {"author": {"role": "user"}, "content": {"parts": ["A"]}}}
SAMPLES: List[Tuple[str, Dict[str, Any]]] = [
    ("ChatGPT", {"title": "A", "mapping": {"1": NODE}, "current_node": "1"}),
    ("ChatGPT", {**SHELL, "mapping": None}),
    ("ChatGPT", SHELL),
    ("Claude", {"uuid": "1", "name": "A", "chat_messages": [{"sender": "human", "text": "A"}]}),
    ("DeepSeek", {"id": "1", "title": "A", "inserted_at": "2025-05-01", "mapping": {"root": {"message": None}}}),
    ("Grok", {"conversation": {"id": "1", "title": "A"}, "responses": [{"response": {"message": "A"}}]}),
    ("Grok", {"conversation": None, "responses": None}),
    ("Open WebUI", {"id": "1", "title": "A", "chat": {"history": {"messages": {}, "currentId": None}, "messages": []}}),
    ("Open WebUI", {"id": "", "title": "A", "history": {"messages": {}, "currentId": None}, "messages": [HELLO]}),
    ("Open WebUI", {"chat": {"messages": [HELLO]}}),
    ("LibreChat", {"conversationId": "1", "recursive": True, "messagesTree": [{"text": "A", "children": []}]}),
    ("LibreChat", {"conversationId": "1", "title": "A", "messages": [{"isCreatedByUser": True, "text": "A"}]}),
    ("LM Studio", {"name": "A", "createdAt": 1, "messages": [{"versions": [], "currentlySelected": 0}]}),
    ("LM Studio", {"name": "A", "messages": [], "userLastMessagedAt": 1}),
    ("Le Chat", {"id": "1", "chatId": "2", "role": "user", "content": "A", "createdAt": "2025-05-01"}),
    ("VS Code's chat", {"requesterUsername": "a", "requests": [{"message": {"text": "A"}, "response": []}]}),
    ("VS Code's log of a chat", {"kind": 1, "k": ["customTitle"], "v": "A"}),
    ("Claude Code", {"type": "user", "uuid": "1", "sessionId": "2", "message": HELLO}),
    ("Codex", {"timestamp": "2025-05-01", "type": "session_meta", "payload": {"id": "1"}}),
    ("Codex", {"session": {"id": "1"}, "items": [HELLO]}),
    ("Gemini", {"header": "Gemini Apps", "title": "Prompted A", "time": "2025-05-01", "products": ["Gemini Apps"]}),
    ("Claude's memories", {"conversations_memory": "A", "account_uuid": "1"}),
    ("a project of Claude", {"uuid": "1", "name": "A", "docs": []}),
    ("Sekha's own full form", {"conversation": {"id": "1", "status": "active"}, "messages": [HELLO]}),
    ("a chat of a data set", {"conversations": [{"from": "human", "value": "A"}]}),
    ("the plain form", {"messages": [HELLO]}),
    ("the plain form", {"conversationId": "1", "messages": [HELLO]}),
    ("the plain form", {"name": "A", "createdAt": 1, "messages": [HELLO]}),
    ("the plain form", {"conversation": {"label": "A"}, "messages": [HELLO]}),
    ("a list of messages", HELLO),
    ("Telegram's history", {"name": "A", "type": "personal_chat", "messages": [{"date_unixtime": "1", "text": "A"}]}),
    ("Discord's history", {"guild": {}, "channel": {}, "messages": [{"content": "A"}]}),
    ("Slack's history", {"type": "message", "ts": "1.2", "user": "U", "text": "A"}),
]
SHARED = {"the plain form", "a chat of a data set", "a list of messages"}
"""Wide kinds, which come last."""


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_the_first_that_fits_is_the_right_one(name: str, sample: Dict[str, Any]) -> None:
    kind = find_kind(sample)
    assert kind is not None
    assert kind.name == name


@pytest.mark.parametrize(("name", "sample"), SAMPLES)
def test_no_other_kind_fits_but_the_wide_ones(name: str, sample: Dict[str, Any]) -> None:
    others = {kind.name for kind in KINDS if kind.fits(sample)} - SHARED - {name}
    assert others == ({"ChatGPT"} if name == "DeepSeek" else set()), "DeepSeek's tree is that of ChatGPT too"


@pytest.mark.parametrize(
    "other", [{}, {"a": 1}, {"user": {"email": "a@example.org"}}, {"balance": 0}, {"responses": []}]
)
def test_what_is_no_kind(other: Dict[str, Any]) -> None:
    assert find_kind(other) is None


SAID: List[Tuple[str, Dict[str, Any]]] = [
    ("grok", test_grok.SAMPLE),
    ("open-webui", test_open_webui.SAMPLE),
    ("open-webui", test_open_webui.SAMPLE["chat"]),
    ("librechat", test_librechat.flat(*test_librechat.LINE)),
    ("librechat", test_librechat.tree(*test_librechat.LINE)),
    ("lm-studio", test_lm_studio.SAMPLE),
]


@pytest.mark.parametrize("form", ["object", "pretty", "list", "lines", "wrapped", "zip"])
@pytest.mark.parametrize(("kind", "sample"), SAID)
def test_a_conversation_is_read_in_whatever_it_comes(
    kind: str, sample: Dict[str, Any], form: str, tmp_path: Path
) -> None:
    path = tmp_path / ("x.zip" if form == "zip" else "x.json")
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/b/x.json", json.dumps(sample))
    else:
        text = json.dumps(sample)
        forms = {
            "object": text,
            "pretty": json.dumps(sample, indent=2),
            "list": f"[{text}, {text}]",
            "lines": f"{text}\n{text}\n",
            "wrapped": f'{{"version": 1, "chats": [{text}, {text}]}}',
        }
        path.write_text(forms[form], encoding="utf-8")
    found = list(read_export(path))
    assert len(found) == (1 if form in ("object", "pretty", "zip") else 2)
    for item in found:
        assert isinstance(item, ReadConversation), item
        assert len(item["messages"]) >= 3
        assert item.get("folder", "open-webui") == kind
        assert item["label"] == "Plans"
