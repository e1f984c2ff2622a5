"""Conversations that are selected by an ID, or by a prefix of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sekha.cli.exits import NOT_FOUND, USAGE, CommandError
from sekha.cli.tables import SHORT_ID
from sekha.cli.terminal import echo_err, echo_json, one_line

if TYPE_CHECKING:
    from sekha import SekhaClient
    from sekha.types import Conversation

_PAGE_SIZE = 1000
_HEX_DIGITS = re.compile(r"[0-9a-f]+")
_UUID_DIGITS = 32
_MAX_SHOWN = 10
"""Maximum number of conversations in an error message."""


class Named(NamedTuple):
    """A conversation that was selected on the command line."""

    id: str
    label: str
    folder: str

    @classmethod
    def of(cls, conversation: Conversation) -> Named:
        """Return the identifying fields of a conversation."""
        return cls(conversation["id"], conversation["label"], conversation["folder"])

    def __str__(self) -> str:
        return f"{one_line(self.label, 60)} ({one_line(self.folder, 60)}, {self.id})"


def parse_prefix(text: str) -> str | None:
    """Return the prefix of an ID, without a trailing ellipsis; None for a complete ID.

    Raises:
        CommandError: The prefix is too short.
        SekhaValidationError: The text is neither an ID nor a prefix of one.
    """
    from sekha._api.validation import parse_conversation_id

    prefix = text.strip().rstrip(".\N{HORIZONTAL ELLIPSIS}").lower()
    digits = prefix.replace("-", "")
    if not _HEX_DIGITS.fullmatch(digits) or len(digits) >= _UUID_DIGITS:
        parse_conversation_id(text)
        return None
    if len(digits) < SHORT_ID:
        raise CommandError(
            f"ID: must be the UUID of a conversation, or at least its first {SHORT_ID} characters", USAGE
        )
    return prefix


def find_id(client: SekhaClient, text: str) -> str:
    """Return the complete ID for an ID or a prefix. A complete ID is returned without a request, even if unknown.

    Raises:
        CommandError: No conversation, or more than one, has an ID with this prefix.
    """
    return text if parse_prefix(text) is None else find(client, [text])[0].id


def find(client: SekhaClient, texts: Sequence[str]) -> list[Named]:
    """Return the conversations with these IDs or prefixes, without duplicates. For prefixes, all are listed.

    Raises:
        CommandError: No conversation, or more than one, has an ID with one of the prefixes.
        SekhaNotFoundError: There is no conversation with one of the complete IDs.
    """
    prefixes = {text: parse_prefix(text) for text in texts}
    wanted: dict[str, list[Named]] = {prefix: [] for prefix in prefixes.values() if prefix is not None}
    if wanted:
        for row in client.controller.iter_conversations(page_size=_PAGE_SIZE):
            id = row["conversation_id"]
            for prefix, matches in wanted.items():
                if id.startswith(prefix) or id.replace("-", "").startswith(prefix):
                    matches.append(Named(id, row["label"], row["folder"]))
    found: list[Named] = []
    for text, beginning in prefixes.items():
        if beginning is None:
            about = client.controller.get_conversation(text, count_messages=False)
            found.append(Named.of(about))
        else:
            found.append(_only(beginning, wanted[beginning]))
    return list(dict.fromkeys(found))


def _only(prefix: str, matches: Sequence[Named]) -> Named:
    if not matches:
        raise CommandError(f"no conversation has an ID that starts with {prefix}; check with `sekha list`", NOT_FOUND)
    if len(matches) > 1:
        more = f", and {len(matches) - _MAX_SHOWN} more" if len(matches) > _MAX_SHOWN else ""
        names = "; ".join(map(str, matches[:_MAX_SHOWN]))
        raise CommandError(
            f"{len(matches)} conversations have an ID that starts with {prefix}; use more characters: {names}{more}"
        )
    return matches[0]


def change_one(
    client: SekhaClient,
    text: str,
    change: Callable[[str], object],
    describe: Callable[[Named, Named], str],
    *,
    json: bool,
) -> None:
    """Change a conversation, and report the result.

    Args:
        client: The client.
        text: The conversation's ID, or a prefix of it.
        change: Changes the conversation with this ID.
        describe: Returns the report; its arguments are the conversation before and after the change.
        json: Whether to print the conversation as JSON instead.
    """
    (before,) = find(client, [text])
    change(before.id)
    now = client.controller.get_conversation(before.id, count_messages=False)
    if json:
        echo_json(now)
    else:
        echo_err(describe(before, Named.of(now)))


def change_each(named: Sequence[Named], change: Callable[[str], object], done: str, *, json: bool) -> None:
    """Change conversations one after another, and report the changed ones, even if one of the changes fails.

    Args:
        named: The conversations.
        change: Changes the conversation with this ID.
        done: Past participle of the change, such as "deleted".
        json: Whether to print the IDs as JSON.
    """
    ids: list[str] = []
    try:
        for one in named:
            change(one.id)
            ids.append(one.id)
            if not json:
                echo_err(f"{done.capitalize()}: {one}.")
    finally:
        if json:
            echo_json({done: ids})
