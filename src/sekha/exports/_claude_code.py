"""Sessions of Claude Code: a line for each message, with the ID of the previous one; a rewind starts a branch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sekha._utils.json_access import as_object, first_text, get
from sekha.exports._agent_sessions import SUBAGENTS, period_of_messages, project_folder
from sekha.exports._building import BRANCHES, ERRORS, HIDDEN, ConversationBuilder, ReadConversation
from sekha.exports._claude_code_words import words_of
from sekha.exports._containers import COPIES
from sekha.exports._tree import ROOT, Link, latest_branch

_SPEAKERS = ("user", "assistant")
_TITLES = {"custom-title": "customTitle", "ai-title": "aiTitle", "summary": "summary"}
"""Kinds of lines with a title, best first, with the key of the title."""
_ABOUT = frozenset({
    *_TITLES, "agent-color", "agent-name", "agent-setting", "attribution-snapshot", "bridge-session",
    "content-replacement", "file-history-delta", "file-history-snapshot", "last-prompt", "marble-origami-commit",
    "mode", "permission-mode", "pr-link", "progress", "queue-operation", "result", "speculation-accept",
    "stream_event", "tag", "task-summary", "worktree-state",
})  # fmt: skip
"""Kinds of lines that are not messages."""


class _Line(NamedTuple):
    """A line of a session.

    Attributes:
        link: Its position in the tree.
        built: Its content, with counts of omitted items.
        group: The ID of the answer that it is a part of.
    """

    link: Link
    built: ConversationBuilder
    group: str | None


def is_claude_code(data: dict[str, Any]) -> bool:
    """Return whether an object is a line of a session."""
    kind: object = data.get("type")
    if kind in _SPEAKERS:
        return "content" in (as_object(data.get("message")) or {})
    if not any(key in data for key in ("sessionId", "session_id", "uuid", "leafUuid", "messageId")):
        return False
    if kind == "system":
        return "subtype" in data or "parentUuid" in data
    return kind == "attachment" or (isinstance(kind, str) and kind in _ABOUT)


def parse_claude_code(records: Iterable[Any], folder: str | None) -> Iterator[ReadConversation]:
    """Yield the conversation of a session: the branch with the latest message."""
    lines: list[_Line] = []
    about = _About()
    aside = ConversationBuilder(None, None)  # omitted items that are on no branch
    seen: dict[str, ConversationBuilder] = {}
    session: object = None
    for record in records:
        found = as_object(record)
        if found is None:
            aside.not_understood(None)
            continue
        about.note(found)
        kind: object = found.get("type")
        if isinstance(kind, str) and kind in _ABOUT and "uuid" not in found:
            continue
        id = first_text(found, "uuid")
        if found.get("isSidechain") is True:
            aside.leave_out(SUBAGENTS, int(kind in _SPEAKERS))
            continue
        is_new = session is not None and found.get("sessionId") not in (None, session)
        session = found.get("sessionId") or session
        line = _read_line(found, id, is_new, seen)
        if id is not None and id in seen:
            if line.built.messages == seen[id].messages:
                aside.leave_out(COPIES, int(kind in _SPEAKERS))
                continue
            line = line._replace(link=line.link._replace(id=None))  # it has another content
        elif id is not None:
            seen[id] = line.built
        lines.append(line)
    built = ConversationBuilder(about.title(seen), folder or project_folder("/claude-code", about.directory))
    built.include(aside)
    _add_lines(lines, built)
    first, last = period_of_messages(built.messages)
    found = built.finish(source_id=session if built.messages else None, created_at=first, updated_at=last)
    found.directory = about.directory
    yield found


class _About:
    """Metadata of a session."""

    def __init__(self) -> None:
        self.directory: str | None = None
        self._titles: dict[str, tuple[str, object]] = {}

    def note(self, record: dict[str, Any]) -> None:
        """Record the metadata of a line."""
        self.directory = self.directory or first_text(record, "cwd")
        kind: object = record.get("type")
        title: object = record.get(_TITLES.get(kind, "")) if isinstance(kind, str) else None
        if isinstance(kind, str) and isinstance(title, str) and title.strip():
            self._titles[kind] = (title, record.get("leafUuid"))

    def title(self, ids: Collection[str]) -> str | None:
        """Return the title; a summary may be the one of another session, without its messages."""
        for kind in _TITLES:
            title, leaf = self._titles.get(kind, ("", None))
            if title and (leaf is None or leaf in ids):
                return title
        return None


def _read_line(record: dict[str, Any], id: str | None, is_new: bool, seen: Collection[str]) -> _Line:
    """Parse a line.

    Args:
        record: The line.
        id: Its ID.
        is_new: Whether another session starts with it.
        seen: The IDs of the lines before it.

    Returns:
        The line.
    """
    built = ConversationBuilder(None, None)
    parent: object = record.get("parentUuid")
    logical: object = record.get("logicalParentUuid")
    follows = record.get("subtype") == "compact_boundary" or record.get("isCompactSummary") is True or is_new
    if "parentUuid" in record and not first_text(record, "parentUuid"):
        parent = ROOT
        if follows:  # the conversation continues, although the model gets a summary of the previous messages
            parent = logical if isinstance(logical, str) and logical in seen else None
    link = Link(id, parent if isinstance(parent, str) else None, None)
    _read_message(record, built)
    return _Line(link, built, first_text(record.get("message"), "id"))


def _read_message(record: dict[str, Any], built: ConversationBuilder) -> None:
    kind, message = record.get("type"), as_object(record.get("message"))
    if kind == "attachment":
        attachment = as_object(record.get("attachment")) or {}
        if _is_typed(attachment):  # while the agent was busy
            _add("user", attachment.get("prompt"), record, built)
        else:
            built.leave_out(HIDDEN)
    elif kind == "system":
        built.leave_out(HIDDEN)
    elif not isinstance(kind, str) or kind not in _SPEAKERS:
        if not isinstance(kind, str) or kind not in _ABOUT:
            built.not_understood(f"line {kind}" if isinstance(kind, str) and kind else record)
    elif message is None:
        built.not_understood(record)
    elif record.get("isApiErrorMessage") is True:
        built.leave_out(ERRORS)
    elif any(record.get(key) is True for key in ("isMeta", "isCompactSummary", "isVisibleInTranscriptOnly")) or (
        message.get("model") == "<synthetic>"
    ):
        built.leave_out(HIDDEN)
    elif "content" not in message:
        built.not_understood(message)
    else:
        _add(kind, message["content"], record, built)


def _add(role: str, content: object, record: dict[str, Any], built: ConversationBuilder) -> None:
    texts = words_of(content, role == "user", built)
    if texts or not built.left_out:
        built.add(role, texts, record.get("timestamp"))


def _is_typed(attachment: dict[str, Any]) -> bool:
    return (
        attachment.get("type") == "queued_command"
        and attachment.get("commandMode") in (None, "prompt")
        and attachment.get("isMeta") is not True
        and get(attachment, "origin", "kind") in (None, "human")
    )


def _add_lines(lines: list[_Line], built: ConversationBuilder) -> None:
    shown = [line.link.id for line in lines if line.built.messages]
    branch = latest_branch([line.link for line in lines], shown[-1] if shown else None)
    numbers, others = _with_turns(lines, branch.numbers)
    group: str | None = None
    for number in numbers:
        line = lines[number]
        built.include(line.built)
        for message in line.built.messages:
            if line.group is not None and line.group == group:  # an answer is written in parts
                before = built.messages[-1]
                before["content"] = _joined(before["content"], message["content"])
            else:
                built.messages.append(message)
            group = line.group
    for number in others:
        if lines[number].built.messages:
            built.leave_out(BRANCHES)
        else:
            built.include(lines[number].built)


def _with_turns(lines: Sequence[_Line], branch: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the lines of a branch with all lines of its turns, and the lines of other branches.

    Only user messages start a branch: simultaneous tool calls, and parts of an answer, are siblings.
    """
    known = {line.link.id: number for number, line in enumerate(lines) if line.link.id is not None}
    on_branch = set(branch)
    kept: dict[int, bool] = dict.fromkeys(branch, True)
    for number in range(len(lines)):
        way: list[int] = []
        at: int | None = number
        while at is not None and at not in kept:
            way.append(at)
            kept[at] = all(message["role"] != "user" for message in lines[at].built.messages)
            at = known.get(lines[at].link.parent or "") if kept[at] else None
        is_kept = kept[way[-1] if at is None else at]
        kept.update(dict.fromkeys(way, is_kept))
    others = [number for number in range(len(lines)) if not kept[number]]
    more = [number for number in range(len(lines)) if kept[number] and number not in on_branch]
    if any(lines[number].built.messages for number in more):
        return sorted([*branch, *more]), others
    return [*branch, *more], others


def _joined(before: str, text: str) -> str:
    """Join a text and its continuation, which may contain the text again."""
    if text.startswith(before):
        return text
    return before if before.endswith(text) else f"{before}\n{text}"
