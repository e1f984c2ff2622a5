"""Sessions of Codex: lines with events (for the user) and items (for the model); both contain the messages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Union

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._agent_sessions import SUBAGENTS, period_of_messages, project_folder, strip_begin, tag_pattern
from sekha.exports._building import (
    BRANCHES,
    ERRORS,
    HIDDEN,
    SYSTEM,
    THINKING,
    TOOLS,
    ConversationBuilder,
    ReadConversation,
    role_of,
)
from sekha.exports._content import read_parts
from sekha.exports._file_words import IMAGE

_LINES = frozenset({"session_meta", "event_msg", "response_item", "turn_context", "compacted"})
_NO_MESSAGES = frozenset(
    {"ghost_snapshot", "compaction", "context_compaction", "compaction_summary", "other", "world_state"}
)
_CALLS = ("_call", "_output", "_tool_call", "_search")
_EVENTS = re.compile(
    r"(?:token_|task_|turn_|exec_|mcp_|patch_|web_search|view_image|image_gen|background_|stream_|context_|item_|plan_"
    r"|agent_reasoning|agent_message_|entered_|exited_|session_|shutdown|raw_|collab_|undo_|list_|get_|skills_|hook_"
    r"|apply_patch|dynamic_tool|elicitation|request_|deprecation|thread_|model_|guardian_|realtime_|warning|sub_agent)\w*"
)
"""Kinds of events that are not messages."""
_INJECTED = tag_pattern((
    "environment_context", "user_instructions", "INSTRUCTIONS", "turn_aborted", "user_shell_command", "skill",
    "subagent_notification", "collaboration_mode", "permissions instructions", "model_switch", "recommended_plugins",
    "apps_instructions", "skills_instructions", "personality_spec", "user_action",
))  # fmt: skip
"""Messages of the program with the role of the user."""
_AGENTS = re.compile(r"\s*# AGENTS\.md instructions\b.*", re.DOTALL)
_REQUEST = re.compile(r"\s*# Context from my IDE setup:.*?^## My request for Codex:\s*", re.DOTALL | re.MULTILINE)
_DIRECTORY = re.compile(
    r"<cwd>\s*(.*?)\s*</cwd>|^\s*Current working directory: ([^\n]+?)\s*$", re.DOTALL | re.MULTILINE
)
_IMAGE_TAG = re.compile(r"\s*</?image(?:\s[^>]*)?>\s*")


class _Said(NamedTuple):
    """A message.

    Attributes:
        role: The role.
        texts: The texts.
        time: The timestamp.
        is_event: Whether it is from an event; otherwise from an item.
    """

    role: str
    texts: list[str]
    time: object
    is_event: bool

    @property
    def key(self) -> tuple[str, str]:
        """A key that is equal for the event and the item of the same message."""
        return self.role, " ".join(" ".join(text for text in self.texts if text != IMAGE).split())


class _Rewind(NamedTuple):
    """A rollback of questions by the user."""

    number: int


def is_codex(data: dict[str, Any]) -> bool:
    """Return whether an object is a line of a session; sessions of 2025 have no payload, but a header line."""
    kind: object = data.get("type")
    if isinstance(kind, str) and kind in _LINES:
        return "payload" in data
    return "record_type" in data or (kind is None and all(key in data for key in ("id", "timestamp", "instructions")))


def is_codex_session(data: dict[str, Any]) -> bool:
    """Return whether an object is a complete session in the format of the first versions."""
    return as_object(data.get("session")) is not None and as_list(data.get("items")) is not None


def parse_codex_session(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Return the conversation of a session of the first versions."""
    return next(parse_codex([data.get("session"), *(as_list(data.get("items")) or ())], folder))


def parse_codex(records: Iterable[Any], folder: str | None) -> Iterator[ReadConversation]:
    """Yield the conversation of a session."""
    session = _Session()
    for record in records:
        session.read(record)
    built = ConversationBuilder(session.title, folder or project_folder("/codex", session.directory))
    built.include(session.built)
    built.leave_out(THINKING, max(session.thoughts.values(), default=0))
    said = _without_copies(session.said, built)
    for one in said:
        if session.is_subagent:
            built.leave_out(SUBAGENTS)
        else:
            built.add(one.role, one.texts, one.time)
    first, last = period_of_messages(built.messages)
    found = built.finish(source_id=session.id, created_at=session.time or first, updated_at=last)
    found.directory = session.directory
    yield found


class _Session:
    """The contents of a session."""

    def __init__(self) -> None:
        self.built = ConversationBuilder(None, None)
        self.said: list[Union[_Said, _Rewind]] = []
        self.id: str | None = None
        self.title: str | None = None
        self.directory: str | None = None
        self.time: object = None
        self.is_subagent = False
        self.thoughts: Counter[bool] = Counter()  # from events and from items: the same messages may occur twice
        self._is_known = False

    def read(self, record: object) -> None:
        """Read a line."""
        found = as_object(record)
        if found is None:
            self.built.not_understood(None)
            return
        kind, payload, time = found.get("type"), as_object(found.get("payload")), found.get("timestamp")
        if "payload" not in found:  # the format of 2025
            if kind is None and "id" in found and "timestamp" in found:
                self._read_meta(found)
            elif "record_type" not in found:
                self._read_item(found, time)
        elif payload is None:
            self.built.not_understood(found)
        elif kind == "session_meta":
            self._read_meta(payload)
        elif kind == "event_msg":
            self._read_event(payload, time)
        elif kind == "response_item":
            self._read_item(payload, time)
        elif kind == "turn_context":
            self._note_directory(payload.get("cwd"))
        elif kind != "compacted":
            self.built.not_understood(f"line {kind}" if isinstance(kind, str) and kind else found)

    def _note_directory(self, directory: object) -> None:
        if self.directory is None and isinstance(directory, str) and directory.strip():
            self.directory = directory

    def _read_meta(self, meta: dict[str, Any]) -> None:
        """Read session metadata from the first line of its kind; later ones are of a resumed session."""
        self._note_directory(meta.get("cwd"))
        if self._is_known:
            return
        self._is_known = True
        id: object = meta.get("id")
        self.id, self.time = id if isinstance(id, str) else None, meta.get("timestamp")
        self.is_subagent = get(meta, "source", "subagent") is not None

    def _read_event(self, event: dict[str, Any], time: object) -> None:
        kind: object = event.get("type")
        if kind in ("user_message", "agent_message"):
            message: object = event.get("message")
            if not isinstance(message, str):
                self.built.not_understood(f"{kind} that is no text")
                return
            images = [image for key in ("images", "local_images") for image in as_list(event.get(key)) or ()]
            self._say("user" if kind == "user_message" else "assistant", [IMAGE] * len(images) + [message], time, True)
        elif kind == "thread_name_updated" and isinstance(name := event.get("thread_name"), str):
            self.title = name
        elif kind == "thread_rolled_back" and isinstance(number := event.get("num_turns"), int):
            self.said.append(_Rewind(number))
        elif kind in ("agent_reasoning", "agent_reasoning_raw_content"):
            self.thoughts[True] += 1
        elif kind == "error":
            self.built.leave_out(ERRORS)
        elif not isinstance(kind, str) or not _EVENTS.fullmatch(kind):
            self.built.not_understood(f"event {kind}" if isinstance(kind, str) and kind else event)

    def _read_item(self, item: dict[str, Any], time: object) -> None:
        kind: object = "message" if "type" not in item and "role" in item else item.get("type")
        if kind == "reasoning":
            self.thoughts[False] += 1
        elif isinstance(kind, str) and kind.endswith(_CALLS):
            self.built.leave_out(TOOLS)
        elif isinstance(kind, str) and kind in _NO_MESSAGES:
            pass
        elif kind != "message":
            self.built.not_understood(f"item {kind}" if isinstance(kind, str) and kind else item)
        elif (role := role_of(item.get("role"))) is None or "content" not in item:
            self.built.not_understood(item)
        elif role in ("system", "tool"):
            self.built.leave_out(SYSTEM if role == "system" else TOOLS)
        else:
            before = self.built.counted
            texts = read_parts(item["content"], self.built)
            if texts or self.built.counted == before:
                self._say(role, texts, time, False)

    def _say(self, role: str, texts: list[str], time: object, is_event: bool) -> None:
        words = [word for text in texts for word in self._words_of(text)] if role == "user" else texts
        if words or not texts:
            self.said.append(_Said(role, words, time, is_event))

    def _words_of(self, text: str) -> Iterator[str]:
        """Yield the texts of the user."""
        if _IMAGE_TAG.fullmatch(text):
            return
        request = _REQUEST.match(text)
        words, number = strip_begin(text[request.end() :] if request else text, _INJECTED)
        if number or request or _AGENTS.match(text):
            directory = _DIRECTORY.search(text)
            self._note_directory(directory and (directory[1] or directory[2]))
            self.built.leave_out(HIDDEN, max(number, 1))
        if not _AGENTS.match(words) and (words.strip() or not number):
            yield words


def _without_copies(said: list[Union[_Said, _Rewind]], built: ConversationBuilder) -> list[_Said]:
    """Return the messages without duplicates, and without rolled-back ones."""
    events = Counter(one.key for one in said if isinstance(one, _Said) and one.is_event)
    has_questions = any(role == "user" for role, _ in events)
    found: list[_Said] = []
    for one in said:
        if isinstance(one, _Rewind):
            questions = [number for number, other in enumerate(found) if other.role == "user"]
            begin = questions[-one.number] if 0 < one.number <= len(questions) else 0 if one.number > 0 else len(found)
            built.leave_out(BRANCHES, len(found) - begin)
            del found[begin:]
        elif one.is_event:
            found.append(one)
        elif events[one.key] > 0:
            events[one.key] -= 1
        elif one.role == "user" and has_questions:  # inserted by the program: messages of the user are events
            built.leave_out(HIDDEN)
        else:
            found.append(one)
    return found
