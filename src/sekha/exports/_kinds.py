"""The kinds of conversations that are known, and which reader each has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Optional, Union

from sekha._api.validation import validate
from sekha._utils.json_access import as_object, get
from sekha.errors import SekhaValidationError
from sekha.exports._building import Unreadable
from sekha.exports._chatgpt import parse_chatgpt
from sekha.exports._claude import parse_claude
from sekha.exports._plain import parse_plain
from sekha.types import CreateConversationRequest, UnreadableConversation

ExportItem = Union[CreateConversationRequest, UnreadableConversation]
"""What `read_export` and `read_notes` return, one after another."""

Reader = Callable[[dict[str, Any], Optional[str]], CreateConversationRequest]

_READERS: Mapping[str, Reader] = {"mapping": parse_chatgpt, "chat_messages": parse_claude, "messages": parse_plain}
"""The reader of each kind, by the key that conversations of that kind alone have; the first that is there counts."""


def find_reader(data: object) -> Reader | None:
    """Return the reader for a conversation of this form; None if the form is unknown."""
    found = as_object(data) or {}
    return next((reader for key, reader in _READERS.items() if key in found), None)


def read_conversation(data: object, place: str, folder: str | None) -> ExportItem:
    """Return a conversation of any known form, or why it cannot be read."""
    try:
        found = _parse(data, folder)
        validate(CreateConversationRequest, found)
        return found
    except Unreadable as error:
        problem = str(error)
    except SekhaValidationError as error:
        problem = error.message
    except Exception as error:  # an unknown form must not end the import
        problem = f"it has another shape than others of its kind ({type(error).__name__}: {error})"
    title = next((title for key in ("title", "name", "label") if (title := get(data, key))), None)
    return UnreadableConversation(f"{place} ({str(title)[:60]!r})" if title else place, problem)


def _parse(data: object, folder: str | None) -> CreateConversationRequest:
    found, reader = as_object(data), find_reader(data)
    if found is None:
        raise Unreadable("it is no JSON object")
    if reader is None:
        raise Unreadable(f"it has no messages (none of {', '.join(_READERS)})")
    return reader(found, folder)
