"""The messages of a session of a coding agent, without what was recalled."""

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
    """What was read of a session.

    Attributes:
        id: Its id; None if the file does not say it.
        directory: Where the agent worked; empty if the file does not say it.
        messages: What user and assistant have said.
        problems: What could not be read, each with its place.
    """

    id: str | None
    directory: str
    messages: list[Message]
    problems: list[str]


def read_session(path: str) -> Session:
    """Read a session: what user and assistant have said, in the branch that was shown last.

    Results of tools, thoughts, what the program has put in, summaries, the work of subagents and blocks of memories are
    left out.

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
                kind = f"looks like {item.application}" if item.application else "is of another form"
                problems.append(f"{os.path.basename(path)}: is no session of {' or '.join(AGENTS)}; it {kind}")
            else:
                id, directory = id or item.source_id, directory or item.directory or ""
                messages += _messages(item)
    except SekhaConfigError as error:
        problems.append(f"{os.path.basename(path)}: {error.message}")
    if not is_read and os.path.getsize(path):
        problems.append(f"{os.path.basename(path)}: is no session of {' or '.join(AGENTS)}")
    return Session(id, directory, messages, problems)


def _messages(session: ReadConversation) -> list[Message]:
    found: list[Message] = []
    for message in session["messages"]:
        content = remove_blocks(message["content"])
        if message["role"] in ("user", "assistant") and content.strip():
            found.append(Message(message["role"], content, message.get("timestamp", "")))
    return found
