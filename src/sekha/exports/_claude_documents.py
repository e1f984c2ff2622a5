"""Documents that Claude wrote next to a conversation ("artifacts"): changes in tags of a text and in tool calls.

In 2024, documents and reasoning were in the text, between tags; Grok uses such tags, too. Since then, a tool creates,
changes and rewrites documents, and another tool creates files, some of which are shown to the user.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sekha._utils.json_access import as_list, as_object, as_text, first_text, get
from sekha.exports._documents import UNTITLED, Change, Piece
from sekha.exports._thoughts import ATTRIBUTES

_TAG = re.compile(
    rf"(?<!`)<(?P<name>antThinking|antArtifact|xaiArtifact)(?P<attributes>{ATTRIBUTES})>"
    r"(?P<content>.*?)(?:(?P<end></(?P=name)>)|(?=<(?:ant|xai)Artifact\s)|\Z)",
    re.DOTALL | re.IGNORECASE,
)
"""An unclosed tag extends to the next document or the end; a tag in backticks is ordinary text."""
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_OUTPUTS = "/mnt/user-data/outputs/"
"""The folder of files that are shown to the user."""


def split_tags(text: str) -> tuple[list[Piece], int]:
    """Return the pieces of a text with tags, and the number of removed reasoning blocks."""
    pieces: list[Piece] = []
    thoughts = end = 0
    for tag in _TAG.finditer(text):
        before, content = text[end : tag.start()], tag["content"].strip("\n")
        is_thought = tag["name"].lower() == "antthinking"
        if is_thought and tag["end"] is None and before and not before.endswith("\n"):
            continue  # a mention of the tag in a sentence
        pieces.append(before)
        end = tag.end()
        if is_thought:
            thoughts += 1
            continue
        attributes = {key.lower(): html.unescape(one or two) for key, one, two in _ATTRIBUTE.findall(tag["attributes"])}
        id = attributes.get("identifier") or attributes.get("artifact_id") or attributes.get("title")
        title = attributes.get("title") or id or UNTITLED
        pieces.append(Change(id or content, title, content))
    pieces.append(text[end:])
    return [piece for piece in pieces if piece], thoughts


def presented_files(blocks: Iterable[object]) -> set[str]:
    """Return the names of files that were shown to the user, without folders."""
    found: set[str] = set()
    for block in blocks:
        if get(block, "name") == "present_files":
            paths = as_list(get(block, "input", "filepaths")) or ()
            found.update(_name_of(path) for path in paths if isinstance(path, str))
    return found


def change_of(block: Mapping[str, Any], presented: set[str]) -> Change | str | None:
    """Return the document change of a tool call.

    Args:
        block: The tool call.
        presented: The names of files that are shown to the user.

    Returns:
        The change; None if it does not change a document; the name of an unrecognized call.
    """
    tool, given = block.get("name"), as_object(block.get("input")) or {}
    if tool == "artifacts":
        return _artifact_change(given)
    path = as_text(given.get("path"))
    if tool not in ("create_file", "str_replace") or not path:
        return None
    if not path.startswith(_OUTPUTS) and _name_of(path) not in presented:
        return None  # a file that is not shown to the user
    text = as_text(given.get("file_text" if tool == "create_file" else "new_str"))
    old = None if tool == "create_file" else as_text(given.get("old_str"))
    return Change(_name_of(path), _name_of(path), text.strip("\n") if old is None else text, old)


def _artifact_change(given: Mapping[str, Any]) -> Change | str:
    title, content = as_text(given.get("title")), given.get("content")
    id = first_text(given, "id", "identifier", "title") or ""
    if isinstance(content, str) and (content.strip() or "old_str" not in given):
        return Change(id, title, content.strip("\n"))
    if isinstance(given.get("new_str"), str):
        return Change(id, title, given["new_str"], as_text(given.get("old_str")))
    return "an artifact without content"


def _name_of(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
