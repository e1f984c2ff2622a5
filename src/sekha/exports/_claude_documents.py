"""Documents that Claude wrote beside the conversation ("artifacts"): what the tags in a text and calls of tools change.

In 2024 they stood in the text, between tags, as did the model's thoughts; Grok has such tags too. Since then a tool
creates, changes and rewrites them, and another one makes files, some of which are shown.
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
"""A tag without an end goes to the next document, or to the end; one in backticks is talked about."""
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_OUTPUTS = "/mnt/user-data/outputs/"
"""The folder of files that people see."""


def split_tags(text: str) -> tuple[list[Piece], int]:
    """Return the pieces of a text with tags, and how many thoughts were taken out of it."""
    pieces: list[Piece] = []
    thoughts = end = 0
    for tag in _TAG.finditer(text):
        before, content = text[end : tag.start()], tag["content"].strip("\n")
        is_thought = tag["name"].lower() == "antthinking"
        if is_thought and tag["end"] is None and before and not before.endswith("\n"):
            continue  # a sentence about the tag
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
    """Return the names of files that the model showed to the user, without their folders."""
    found: set[str] = set()
    for block in blocks:
        if get(block, "name") == "present_files":
            paths = as_list(get(block, "input", "filepaths")) or ()
            found.update(_name_of(path) for path in paths if isinstance(path, str))
    return found


def change_of(block: Mapping[str, Any], presented: set[str]) -> Change | str | None:
    """Return what the use of a tool changes; None if that is no document, a name if it is not understood.

    Args:
        block: The use of a tool.
        presented: The names of files that are shown.
    """
    tool, given = block.get("name"), as_object(block.get("input")) or {}
    if tool == "artifacts":
        return _artifact_change(given)
    path = as_text(given.get("path"))
    if tool not in ("create_file", "str_replace") or not path:
        return None
    if not path.startswith(_OUTPUTS) and _name_of(path) not in presented:
        return None  # a file that the model made for itself
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
