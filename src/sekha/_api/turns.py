"""The messages of a turn: position of a block of memories, and selection of messages to store."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, cast

from sekha._api.prompts import remove_blocks
from sekha._api.validation import argument_error, type_name
from sekha._utils.json_access import as_text, get
from sekha._utils.public import exported_from

_TEXT_TYPES = ("text", "input_text", "output_text")
_TOOL_ROLES = ("tool", "function")
_OF_OPENAI = ("function", "custom_tool", "computer", "local_shell", "shell", "apply_patch")
_CALL_TYPES = ("tool_use", *(f"{tool}_call" for tool in _OF_OPENAI))
_RESULT_TYPES = ("tool_result", *(f"{tool}_call_output" for tool in _OF_OPENAI))
_INSTRUCTIONS = ("system", "developer")
_SURROGATE = re.compile("[\ud800-\udfff]")

Messages = Sequence[Mapping[str, object]]


class KeptMessage(NamedTuple):
    """The stored part of a message.

    Attributes:
        id: The framework's ID of the message; None if it has none.
        role: ``user``, ``assistant`` or ``tool``.
        content: The text.
    """

    id: str | None
    role: str
    content: str


def messages_to_remember(messages: Messages, *, tool_results: bool) -> list[KeptMessage]:
    """Return the messages to store: the texts of user and assistant, without inserted blocks.

    Instructions, tool calls, thoughts, and content other than text are omitted.

    Args:
        messages: Messages in the format of OpenAI or Anthropic; other keys are ignored.
        tool_results: Whether to include tool results, as ``[name] text``.

    Raises:
        SekhaValidationError: The messages are not a list of dictionaries; ``field`` is the position.
    """
    checked = _check(messages)
    names = {call: name for message in checked for call, name in _calls(message)} if tool_results else {}
    kept: list[KeptMessage] = []
    for message in checked:
        id, role = message.get("id"), message.get("role")
        name = None if id is None else str(id)
        if role in ("user", "assistant"):
            kept.append(KeptMessage(name, str(role), storable(remove_blocks(text_of(message.get("content"))))))
        if tool_results:
            for call, tool, content in _results(message):
                text = storable(remove_blocks(text_of(content)))
                own = None if name is None else f"{name}/{call}"
                known = tool or names.get(call) or "tool"
                kept.append(KeptMessage(own, "tool", f"[{known}] {text}" if text.strip() else ""))
    unique = {one.id or number: one for number, one in enumerate(kept) if one.content.strip()}
    return list(unique.values())


@exported_from("sekha.memory")
def with_block(messages: Messages, block: str) -> list[dict[str, Any]]:
    """Return the messages for a model, with a block of memories before the last user message; for adapters.

    The block is a separate user message, never between a tool call and its result. Blocks before other messages are
    removed. Your list is not changed: use the result for the request, never for the history.

    Args:
        messages: Messages in the format of OpenAI or Anthropic.
        block: The block from `Memory.block`; an empty block adds nothing.

    Raises:
        SekhaValidationError: The messages are not a list of dictionaries; ``field`` is the position.

    Example:
        ```python
        from sekha.memory import with_block

        chat = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello!"},
        ]
        print(
            [message["role"] for message in with_block(chat, "<memory>...</memory>")]
        )  # ['system', 'user', 'user']
        ```
    """
    return [dict(message) for message in place_block(messages, block)]


def place_block(messages: Messages, block: str) -> list[Mapping[str, Any]]:
    """Like `with_block`, but return the same message objects, for frameworks that compare their identity."""
    found = [message for message in _check(messages) if not _is_block(message)]
    if not block:
        return found
    position = _last_of_user(found)
    if position is None:  # after the instructions, where no messages belong together
        numbers = (i for i, message in enumerate(found) if message.get("role") not in _INSTRUCTIONS)
        position = next(numbers, len(found))
    position = _before_open_calls(found, position)
    return [*found[:position], {"role": "user", "content": block}, *found[position:]]


def last_user_text(messages: Messages) -> str:
    """Return the text of the last user message, without blocks; empty if there is none."""
    found = [message for message in _check(messages) if not _is_block(message)]
    position = _last_of_user(found)
    return "" if position is None else remove_blocks(text_of(found[position].get("content")))


def open_turn(history: Messages) -> list[Mapping[str, Any]]:
    """Return the open turn at the end of a history, starting at the user's message; empty if there is none."""
    found = _check(history)
    position = _last_of_user(found)
    return [] if position is None or found[-1].get("role") == "assistant" else found[position:]


def without_repeats(messages: Messages) -> list[Mapping[str, Any]]:
    """Return messages without consecutive duplicates, such as those of a turn that was retried."""
    kept: list[Mapping[str, Any]] = []
    known: object = None
    for message in messages:
        said = message.get("role"), text_of(message.get("content"))
        if said != known:
            kept.append(message)
        known = said
    return kept


def name_turn(messages: Messages) -> list[dict[str, Any]]:
    """Return the messages of the current turn, starting at the last user message, each with an ``id``.

    The ID is derived from the roles and texts up to the message, without instructions, so a turn that is sent again has
    the same IDs. Without a user message, nothing is returned.

    Args:
        messages: The whole chat, in the format of OpenAI or Anthropic; existing IDs are replaced.

    Raises:
        SekhaValidationError: The messages are not a list of dictionaries; ``field`` is the position.
    """
    found = [message for message in _check(messages) if not _is_block(message)]
    start, digest, turn = _last_of_user(found), sha256(), list[dict[str, Any]]()
    for i, message in enumerate(found):
        role = message.get("role")
        if role not in _INSTRUCTIONS:
            digest.update(json.dumps([str(role), remove_blocks(text_of(message.get("content")))]).encode())
        if start is not None and i >= start:
            turn.append({**message, "id": digest.hexdigest()})
    return turn


def storable(text: str) -> str:
    """Return a text that servers accept, with U+FFFD in place of NUL and lone surrogates.

    Programmers cannot correct the text of users and models, so a turn must not fail because of it.
    """
    if "\0" not in text and not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")


def text_of(content: object) -> str:
    """Return the text of a content: a text, or a list of parts, whose texts are joined by newlines."""
    if isinstance(content, str):
        return content
    return "\n".join(
        part if isinstance(part, str) else as_text(get(part, "text"))
        for part in _parts(content)
        if isinstance(part, str) or get(part, "type") in _TEXT_TYPES
    )


def text_of_chunk(chunk: object) -> str:
    """Return the text that a chunk adds to the answer: the chunk itself, or its ``choices[0].delta.content``."""
    if isinstance(chunk, str):
        return chunk
    choices = _parts(get(chunk, "choices"))
    return as_text(get(choices[0], "delta", "content")) if choices else ""


def _check(messages: object) -> list[Mapping[str, Any]]:
    kind = type_name(messages)
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Iterable):
        raise argument_error("messages", f"must be a list, not {kind}")
    found = list(cast("Iterable[object]", messages))
    for i, message in enumerate(found):
        if not isinstance(message, Mapping):
            raise argument_error(f"messages[{i}]", f"must be a dictionary, not {type_name(message)}")
    return cast("list[Mapping[str, Any]]", found)


def _parts(content: object) -> Sequence[Any]:
    return cast("Sequence[Any]", content) if isinstance(content, (list, tuple)) else ()


def _is_block(message: Mapping[str, Any]) -> bool:
    text = message.get("content") if message.get("role") == "user" else None
    return isinstance(text, str) and bool(text.strip()) and not remove_blocks(text)


def _last_of_user(messages: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the position of the last message that the user wrote, ignoring tool results with the user role."""
    for i in range(len(messages) - 1, -1, -1):
        if messages[i].get("role") == "user" and not list(_results(messages[i])):
            return i
    return None


def _before_open_calls(messages: Sequence[Mapping[str, Any]], position: int) -> int:
    """Return the last position up to another one that is not between a tool call and its result."""
    called: dict[str, int] = {}
    pairs: list[tuple[int, int]] = []
    for i, message in enumerate(messages):
        called.update((call, i) for call, _ in _calls(message))
        pairs += ((called[call], i) for call, _, _ in _results(message) if call in called)
    for call, result in sorted(pairs, reverse=True):
        if call < position <= result:
            position = call
    return position


def _calls(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the IDs of the tool calls in a message, with the names of the tools."""
    for call in _parts(message.get("tool_calls")):
        yield str(get(call, "id")), as_text(get(call, "function", "name")) or as_text(get(call, "name"))
    for part in (message, *_parts(message.get("content"))):
        if get(part, "type") in _CALL_TYPES:
            yield str(get(part, "call_id") or get(part, "id")), as_text(get(part, "name"))


def _results(message: Mapping[str, Any]) -> Iterator[tuple[str, str, object]]:
    """Yield the IDs of the calls whose results are in a message, with the names of the tools and the contents."""
    if message.get("role") in _TOOL_ROLES:
        yield str(message.get("tool_call_id")), as_text(message.get("name")), message.get("content")
    for part in (message, *_parts(message.get("content"))):
        if get(part, "type") in _RESULT_TYPES:
            content = get(part, "content")
            yield str(get(part, "tool_use_id") or get(part, "call_id")), "", content or get(part, "output")
