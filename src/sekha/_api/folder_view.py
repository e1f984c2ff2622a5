"""The view of a folder: which folders are inside it, and how arguments and responses are restricted to it.

It is a security boundary, so anything unrecognized is outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast
from urllib.parse import quote

from sekha._api.arguments import complete_conversation
from sekha._api.filters import in_folder
from sekha._api.model import Endpoint
from sekha._api.validation import argument_error, to_jsonable, type_name
from sekha._utils.json_access import as_object
from sekha._utils.sentinel import NOT_GIVEN
from sekha.errors import SekhaConfigError, SekhaNotFoundError
from sekha.types import ConversationListItem, ServiceHealth
from sekha.types._base import CONTROL_CHARACTER, normalize_folder, normalize_stored_folder

_FIELD = "folder"
_ENCODED = re.compile(rf"\A\s+|\s+\Z|[/%]|{CONTROL_CHARACTER.pattern}")
"""Characters that must be encoded in the name of a folder."""

_HEALTH_KEYS = (
    "status",
    "timestamp",
    "version",
    "uptime_seconds",
    "error",
    "deletes",
    "filters",
    "keeps",
    "keeps_dates",
    "parallel_writes",
    "prune_limit",
    "score_kind",
)
"""Keys of a health response that describe the server, not its content."""


@dataclass(frozen=True)
class FolderView:
    """A folder and everything below it.

    Attributes:
        folder: Its path, in the form that `normalize_folder` returns.
    """

    folder: str

    @classmethod
    def parse(cls, folder: object, segments: Sequence[object], parent: FolderView | None = None) -> FolderView:
        """Return the view for the arguments of ``in_folder``.

        The folder is not normalized: with an empty ID, ``f"/users/{id}"`` would become the folder of all users.

        Args:
            folder: A path below ``/``, or below the folder of ``parent``.
            segments: Texts that become one name each, whatever characters they contain.
            parent: The view to restrict further; None for the whole memory.

        Raises:
            SekhaValidationError: The folder is invalid, or a segment is empty or not a text.
        """
        names = _parse_path(folder)
        names += (encode_segment(one, _FIELD, f"segment {number} ") for number, one in enumerate(segments, start=1))
        return cls("/".join(["" if parent is None else parent.folder, *names]))

    def contains(self, folder: object) -> bool:
        """Return whether a folder from a server is this one or below it.

        Names are compared literally. One with ``.``, ``..`` or a control character is outside of every view.
        """
        normalized = normalize_stored_folder(folder)
        return normalized is not None and in_folder(normalized, self.folder)

    def keep(
        self, also: Callable[[ConversationListItem], bool] | None = None
    ) -> Callable[[ConversationListItem], bool]:
        """Return the filter of a list that combines this view with another filter."""
        return lambda row: self.contains(row["folder"]) and (also is None or also(row))

    def absolute(self, folder: object, field: str = _FIELD) -> Any:
        """Return the folder of an argument as an absolute path inside the view; a relative one is below the view.

        Args:
            folder: The argument; anything but text is returned unchanged, and rejected by its schema.
            field: Its name.

        Raises:
            SekhaValidationError: The folder is invalid, or an absolute path outside the view.
        """
        if isinstance(folder, Enum):
            folder = cast(object, folder.value)
        if not isinstance(folder, str):
            return folder
        text = folder.strip()
        try:
            path = normalize_folder(text if text.startswith("/") or not text else f"{self.folder}/{text}")
        except ValueError as error:
            raise argument_error(field, str(error)) from None
        if not self.contains(path):
            raise argument_error(field, f"must be inside {self.folder}, the folder of this view")
        return path

    def absolute_folder(self, arguments: Mapping[str, object], prefix: str = "") -> dict[str, object]:
        """Return arguments, or filters, with an absolute ``folder`` if they have one."""
        found = dict(arguments)
        if found.get("folder", NOT_GIVEN) is not NOT_GIVEN:
            found["folder"] = self.absolute(found["folder"], f"{prefix}folder")
        return found

    def place(self, conversation: Mapping[str, object]) -> dict[str, object]:
        """Return a conversation to store with an absolute ``folder``; default: that of the view."""
        found = self.absolute_folder(conversation)
        if found.get("folder", NOT_GIVEN) is NOT_GIVEN:
            found["folder"] = self.folder
        return found

    def complete(self, conversation: Mapping[str, object]) -> dict[str, Any]:
        """Return a conversation in its stored form inside this view; see `complete_conversation`."""
        completed = complete_conversation(self.place(conversation))
        if not self.contains(completed["folder"]):
            raise argument_error(_FIELD, f"must be inside {self.folder}, the folder of this view")
        return completed

    def health(self, report: ServiceHealth) -> ServiceHealth:
        """Return a health response without data about the whole memory."""
        found: dict[str, Any] = {name: report.get(name) for name in _HEALTH_KEYS if name in report}
        checks = as_object(report["checks"]) or {}
        found["checks"] = {
            name: {"status": str((as_object(check) or {}).get("status"))} for name, check in checks.items()
        }
        return cast(ServiceHealth, found)

    def refusal(self, method: str) -> SekhaConfigError:
        """Return the error for a method that applies to the whole memory."""
        return SekhaConfigError(
            f"{method}() applies to the whole memory and is not available in the view of {self.folder}; call it on "
            "the client itself"
        )


def unknown_conversation(endpoint: Endpoint[Any]) -> SekhaNotFoundError:
    """Return the error for an ID in a view, the same for a missing conversation and one outside the view."""
    return SekhaNotFoundError(
        "Conversation not found", status_code=404, sent=True, method=endpoint.method, path=endpoint.path
    )


def _parse_path(folder: object) -> list[str]:
    text = to_jsonable(folder, (_FIELD,)) if isinstance(folder, str) else folder
    if not isinstance(text, str):
        raise argument_error(_FIELD, f"must be a string, not {type_name(text)}")
    names = text.split("/")
    if len(names) > 1 and not names[0]:
        del names[0]
    if not all(name.strip() for name in names):
        raise argument_error(
            _FIELD,
            "must be a folder below /, without an empty name or a trailing /; "
            'pass an ID as a separate argument, as in in_folder("/users", user_id)',
        )
    if text != text.strip():
        raise argument_error(_FIELD, "must not start or end with whitespace")
    try:
        normalize_folder(text)
    except ValueError as error:
        raise argument_error(_FIELD, str(error)) from None
    return names


def encode_segment(segment: object, field: str, subject: str = "") -> str:
    """Return a text as exactly one name of a folder; different texts have different names.

    Args:
        segment: Any non-empty text.
        field: The argument, for errors.
        subject: The part of the argument, for errors; with a trailing space.

    Raises:
        SekhaValidationError: The segment is empty or not a text; ``field`` names it.
    """
    text = cast(object, segment.value) if isinstance(segment, Enum) else segment
    if not isinstance(text, str):
        raise argument_error(field, f"{subject}must be a string, not {type_name(text)}")
    text = str.__str__(text)
    if not text:
        raise argument_error(field, f"{subject}must not be empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argument_error(field, f"{subject}contains a lone surrogate (half of a character)") from None
    if text in (".", ".."):
        return text.replace(".", "%2E")
    return _ENCODED.sub(lambda match: quote(match[0], safe=""), text)
