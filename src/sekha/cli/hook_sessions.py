"""Read the messages of a session of a coding agent, without recalled memories."""

from __future__ import annotations

import os
from typing import NamedTuple

from sekha._api.prompts import remove_blocks
from sekha.cli.hook_state import Message
from sekha.errors import SekhaConfigError
from sekha.exports._building import ReadConversation
from sekha.exports._files import ExportReader

AGENTS = ("Claude Code", "Codex")


class Session(NamedTuple):
    """A session, as far as it could be read.

    Attributes:
        id: ID of the session; None if the file does not contain it.
        directory: Working directory of the agent; empty if the file does not contain it.
        messages: Messages of user and assistant.
        problems: Parts that could not be read, each with its position.
    """

    id: str | None
    directory: str
    messages: list[Message]
    problems: list[str]


def read_session(path: str) -> Session:
    """Read a session: the messages of user and assistant in the current branch.

    Tool results, reasoning, messages inserted by the program, summaries, messages of subagents and blocks of memories
    are omitted.

    Raises:
        OSError: The file cannot be opened.
    """
    id, directory = None, ""
    messages: list[Message] = []
    problems: list[str] = []
    is_read = False
    try:
        for item in ExportReader(path, None):
            is_read = True
            if not isinstance(item, ReadConversation):
                problems.append(f"{getattr(item, 'place', path)}: {getattr(item, 'problem', 'cannot be read')}")
            elif item.application not in AGENTS:
                kind = f"found {item.application}" if item.application else "found another format"
                problems.append(f"{os.path.basename(path)}: not a session of {' or '.join(AGENTS)}; {kind}")
            else:
                id, directory = id or item.source_id, directory or item.directory or ""
                messages += _messages(item)
    except SekhaConfigError as error:
        problems.append(f"{os.path.basename(path)}: {error.message}")
    if not is_read and os.path.getsize(path):
        problems.append(f"{os.path.basename(path)}: not a session of {' or '.join(AGENTS)}")
    return Session(id, directory, messages, problems)


def _messages(session: ReadConversation) -> list[Message]:
    found: list[Message] = []
    for message in session["messages"]:
        content = remove_blocks(message["content"])
        if message["role"] in ("user", "assistant") and content.strip():
            found.append(Message(message["role"], content, message.get("timestamp", "")))
    return found
