"""The front matter of a note: lines of YAML between two lines ``---`` at its beginning."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from sekha.errors import SekhaConfigError
from sekha.types._base import normalize_timestamp

_BLOCK = re.compile(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_KEY = re.compile(r"\s*(?:#.*\n\s*)*[\"']?[\w .-]+[\"']?\s*:(?:\s|\Z)")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d)?(.*))?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
_MAX_LENGTH = 65_536
"""Maximum length of front matter in characters."""


class Note(NamedTuple):
    """A note without its front matter.

    Attributes:
        title: The title; None if it has none.
        timestamp: The date, in UTC; None if it has none.
        heads: Date and tags as lines of text, for every part of the note.
        rest: The other lines of the front matter, unchanged.
        body: The text after the front matter.
        line: The first line of the body, from 1.
        problems: Invalid parts, which are kept in the rest or in the body.
    """

    title: str | None
    timestamp: str | None
    heads: list[str]
    rest: list[str]
    body: str
    line: int
    problems: list[str]


def take_front_matter(text: str) -> Note:
    """Parse the front matter of a note: ``title``, ``date`` (or ``created``) and ``tags``.

    Other keys, and invalid values, are kept as text.

    Raises:
        SekhaConfigError: There is front matter, but PyYAML is not installed (extra ``cli``).
    """
    plain = Note(None, None, [], [], text, 1, [])
    block = _BLOCK.match(text)
    if block is None or not _KEY.match(block[1]):
        return plain  # a line above the text, not a front matter
    if len(block[1]) > _MAX_LENGTH:
        return plain._replace(problems=["the front matter is too long; it is kept as text"])
    yaml = _import_yaml()
    try:
        root = yaml.compose(block[1], Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 2}: " if mark is not None else ""
        reason = getattr(error, "problem", None) or type(error).__name__
        return plain._replace(problems=[f"{line}the front matter is not valid YAML ({reason}); it is kept as text"])
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        return plain._replace(problems=["the front matter must have one key per line; it is kept as text"])
    lines = block[1].split("\n")[:-1]
    found = plain._replace(body=text[block.end() :], line=len(lines) + 3, heads=[], rest=[], problems=[])
    begins = [key.start_mark.line for key, _ in root.value]
    found.rest.extend(lines[: begins[0]] if begins else lines)
    for (key, value), begin, end in zip(root.value, begins, [*begins[1:], len(lines)]):
        taken = _take(found, str(key.value).lower(), _plain_value(value))
        if taken is None:
            found.rest.extend(lines[begin:end])
        else:
            found = taken
    return found._replace(rest=[line for line in found.rest if line.strip()])


def _take(found: Note, key: str, value: str | list[str] | None) -> Note | None:
    """Return the note with the value of a key; None if the key is unknown or its value is not valid."""
    is_new = (key == "title" and found.title is None) or (key in ("date", "created") and found.timestamp is None)
    if not is_new and key not in ("tags", "tag"):
        return None
    if value is not None and not "".join(value).strip():
        return found  # no value
    if key in ("tags", "tag") and value is not None:
        tags = value.split(",") if isinstance(value, str) else value
        words = ", ".join(filter(None, (" ".join(tag.split()) for tag in tags)))
        return found._replace(heads=[*found.heads, f"Tags: {words}"])
    if key == "title" and isinstance(value, str):
        return found._replace(title=" ".join(value.split()))
    timestamp = _parse_date(value.strip()) if isinstance(value, str) else None
    if timestamp is not None and isinstance(value, str):
        return found._replace(timestamp=timestamp, heads=[f"Date: {value.strip()}", *found.heads])
    found.problems.append(f"the {key} of the front matter is not valid; it is kept as text")
    return None


def _plain_value(node: Any) -> str | list[str] | None:
    """Return the text of a scalar, or the texts of a list of scalars; None for other nodes."""
    if isinstance(node.value, str):
        return node.value
    items = [getattr(item, "value", None) for item in node.value]
    return [item for item in items if isinstance(item, str)] if all(isinstance(one, str) for one in items) else None


def _parse_date(text: str) -> str | None:
    """Return the time of an ISO date, with or without time of day and zone; None for other texts."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    day, minute, second, rest = found.groups("")
    timestamp = normalize_timestamp(f"{day}T{minute or '00:00'}{second or ':00'}{rest}")
    return timestamp if _MOMENT.fullmatch(timestamp) else None


def _import_yaml() -> Any:
    try:
        import yaml  # type: ignore[import-untyped,unused-ignore]  # it has no types
    except ModuleNotFoundError:
        raise SekhaConfigError("reading front matter requires PyYAML: pip install 'sekha-python-sdk[cli]'") from None
    return yaml
