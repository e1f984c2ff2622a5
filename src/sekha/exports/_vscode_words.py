"""Texts of questions and answers in a chat of VS Code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional
from urllib.parse import unquote

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import HIDDEN, THINKING, TOOLS, ConversationBuilder

CONTEXT = "context"
EDITS = "edits of files"
_EDIT_KINDS = ("textEdit", "textEditGroup", "notebookEdit", "notebookEditGroup", "workspaceEdit", "codeblockUri")
_LEFT_OUT: Mapping[str, str] = {
    **dict.fromkeys(_EDIT_KINDS, EDITS),
    **dict.fromkeys((
        "toolInvocation", "toolInvocationSerialized", "prepareToolInvocation", "mcpServersStarting",
        "mcpServersStartingSlow", "mcpServersInteractionRequired", "progressMessage", "progressTask",
        "progressTaskSerialized", "progressTaskResult", "elicitation", "elicitation2", "elicitationSerialized",
        "confirmation", "command", "extensions", "externalEdits", "multiDiffData", "pullRequest", "todoList", "hook",
        "questionCarousel", "changesSummary",
    ), TOOLS),
    **dict.fromkeys((
        "undoStop", "reference", "usedContext", "codeCitation", "move", "clearToPreviousToolInvocation", "warning",
        "agentDetection",
    ), HIDDEN),
    "thinking": THINKING,
}  # fmt: skip
"""Kinds of answer parts that are not text."""
_NAMED_CONTEXT = ("file", "image", "directory", "paste")
_OPEN_FENCE = re.compile(r"(?:^|\n)[ \t]*(`{3,})[^\n`]*\n\s*\Z")
_CLOSED_FENCE = re.compile(r"\s*`{3,}[ \t]*(?:\n|\Z)")
_UNNAMED_LINK = re.compile(r"\[\]\((\w[\w+.-]*:[^()\s]+)\)")


def asked(request: Mapping[str, Any], built: ConversationBuilder) -> Iterator[str]:
    """Yield the texts of a question, and the names of attachments."""
    message = request.get("message")
    text = message if isinstance(message, str) else get(message, "text")
    if not isinstance(text, str):
        parts = as_list(get(message, "parts")) or ()
        words = [words for part in parts if isinstance(words := get(part, "text"), str)]
        if not words:
            built.not_understood("a request without a text")
        text = "".join(words)
    yield text
    data = request.get("variableData")
    variables = as_list(get(data, "variables"))
    if variables is None and data not in (None, {}):
        built.not_understood("variableData")
    for variable in variables or ():
        name = get(variable, "name")
        name = name.rpartition("file:")[2] if isinstance(name, str) else ""
        if get(variable, "kind") not in _NAMED_CONTEXT or not name:
            built.leave_out(CONTEXT)
        elif name not in text:
            yield f"[{name}]"


def answered(response: object, built: ConversationBuilder) -> Iterator[str]:
    """Yield the text of an answer."""
    is_alone = isinstance(response, str) or as_object(response) is not None
    parts: list[object] | None = [response] if is_alone else as_list(response)
    if parts is None:
        if response is not None:
            built.not_understood("a response that is no list")
        return
    pieces: list[Optional[str]] = []  # None for an edit of a file
    is_behind_gap = False
    for part in parts:
        words = _words_of(part)
        kind = get(part, "kind")
        if words is None:
            left_out = _LEFT_OUT.get(kind) if isinstance(kind, str) else None
            if left_out is None:
                built.not_understood(f"part of a response: {kind}" if isinstance(kind, str) else "part of a response")
            else:
                built.leave_out(left_out)
            if left_out == EDITS:
                pieces.append(None)
            is_behind_gap = is_behind_gap or left_out in (TOOLS, THINKING, None)
        elif words:
            so_far = next((piece for piece in reversed(pieces) if piece is not None), "")
            is_new_line = is_behind_gap and so_far.strip() and not so_far.endswith("\n")
            pieces.append(f"\n{words}" if is_new_line else words)
            is_behind_gap = False
    yield _UNNAMED_LINK.sub(lambda link: _last_part(link[1]), _without_empty_blocks(pieces)).strip()


def _words_of(part: object) -> str | None:
    """Return the text of a part of an answer; None if it has none."""
    if isinstance(part, str):
        return part
    kind = get(part, "kind")
    if kind == "inlineReference":
        return _name_of(part)
    if kind == "treeData":
        return _bracketed(get(part, "treeData", "label"))
    if isinstance(kind, str) and kind in _LEFT_OUT:
        return None
    for key in ("value", "content", "text"):
        found: object = get(part, key)
        found = get(found, "value") if as_object(found) is not None else found
        if isinstance(found, str):
            return found
    return None


def _name_of(reference: object) -> str | None:
    """Return the name of a reference in an answer."""
    target = get(reference, "inlineReference")
    for name in (get(reference, "name"), get(target, "name")):
        if isinstance(name, str) and name:
            return name
    for uri in (target, get(target, "uri"), get(target, "location", "uri")):
        path = uri if isinstance(uri, str) else next((get(uri, key) for key in ("path", "fsPath") if get(uri, key)), "")
        if isinstance(path, str) and path:
            return _last_part(path)
    return None


def _bracketed(name: object) -> str | None:
    return f"[{name}]" if isinstance(name, str) and name else None


def _last_part(path: str) -> str:
    path = re.split("[?#]", path, maxsplit=1)[0].replace("\\", "/").rstrip("/")
    return unquote(path.rpartition("/")[2])


def _without_empty_blocks(pieces: list[str | None]) -> str:
    """Join the pieces to one text, without code blocks that contain only the edit of a file."""
    text, is_behind_edit = "", False
    for piece in pieces:
        if piece is None:
            is_behind_edit = True
            continue
        opened, closed = _OPEN_FENCE.search(text), _CLOSED_FENCE.match(piece)
        if is_behind_edit and opened and closed:
            text, piece = text[: opened.start()].rstrip() + "\n", piece[closed.end() :].lstrip("\n")
        text, is_behind_edit = text + piece, False
    return text
