"""Add hooks to settings files of coding agents and remove them, without changing any other character.

Claude Code and Codex use the same JSON structure: ``{"hooks": {EVENT: [{"hooks": [{"type": "command", ...}]}]}}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed does not have it
from typing import Any, NamedTuple, cast

_OURS = re.compile(
    r"""(?:(?:^|[/\\"'\s])sekha(?:\.exe)?["']?|from\ssekha\.cli\simport\smain.*)\shook\s(recall|remember)(?:\s|$)"""
)
_UNIT = re.compile(r"\n([ \t]+)\S")
_DEFAULT_UNIT = "  "
_SPACE = re.compile(r"[ \t\r\n]*")


class BadSettings(Exception):
    """A settings file cannot be changed; the message has position and reason."""


class Hook(NamedTuple):
    """A command that an agent runs at an event.

    Attributes:
        event: The event.
        command: The command line.
        timeout: Seconds after which the agent ends the command.
    """

    event: str
    command: str
    timeout: int

    @property
    def handler(self) -> dict[str, object]:
        """The hook as an object of the settings file."""
        return {"type": "command", "command": self.command, "timeout": self.timeout}


def add_hooks(text: str, hooks: Sequence[Hook]) -> str:
    """Return the text of a settings file with these hooks in place of earlier hooks of this package.

    Args:
        text: Contents of the file; empty if it does not exist.
        hooks: The hooks, one for each event.

    Raises:
        BadSettings: The text is not valid JSON, or has another structure.
    """
    text = text if text.strip("\ufeff \t\r\n") else "{}\n"
    root = _parse(text)
    for hook in hooks:
        own = [one for one in _find_ours(root) if one.event == hook.event]
        for spare in reversed(own[1:]):
            text, root = _reparse(_remove(text, root, spare.path))
        if not own:
            text, root = _reparse(_append(text, root, ("hooks", hook.event), {"hooks": [hook.handler]}))
        elif own[0].node.value != hook.handler:
            text, root = _reparse(_replace(text, own[0].node, hook.handler))
    wanted = {hook.event for hook in hooks}
    for other in reversed([one for one in _find_ours(root) if one.event not in wanted]):
        text, root = _reparse(_remove(text, root, other.path))
    return text


def remove_hooks(text: str) -> str:
    """Return the text of a settings file without hooks of this package, and without lists that become empty.

    Raises:
        BadSettings: The text is not valid JSON, or has another structure.
    """
    if not text.strip("\ufeff \t\r\n"):
        return text
    root = _parse(text)
    for one in reversed(list(_find_ours(root))):
        text, root = _reparse(_remove(text, root, one.path))
    return text


class _Node(NamedTuple):
    """A value with its position in the text.

    Attributes:
        start: Position of its first character.
        end: Position after its last character.
        value: The value.
        children: Items of a list or an object: key or index, position of the item or its key, and value.
    """

    start: int
    end: int
    value: Any
    children: list[tuple[str | int, int, _Node]]


class _Ours(NamedTuple):
    """A hook of this package: its event, the path to it, and the handler."""

    event: str
    path: tuple[str | int, ...]
    node: _Node


def _parse(text: str) -> _Node:
    if text.startswith("\ufeff"):
        found = _parse(text[1:])
        return _moved(found, 1)
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise BadSettings(f"line {error.lineno} column {error.colno}: not valid JSON ({error.msg})") from None
    except RecursionError:
        raise BadSettings("nested too deeply") from None
    node = _scan(text, _skip(text, 0))
    if not isinstance(node.value, dict):
        raise BadSettings("must be a JSON object")
    return node


def _moved(node: _Node, by: int) -> _Node:
    children = [(key, start + by, _moved(child, by)) for key, start, child in node.children]
    return _Node(node.start + by, node.end + by, node.value, children)


def _reparse(text: str) -> tuple[str, _Node]:
    return text, _parse(text)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _scan(text: str, at: int) -> _Node:
    """Return the value that starts at a position of a valid JSON text."""
    value, end = json.JSONDecoder().raw_decode(text, at)
    children: list[tuple[str | int, int, _Node]] = []
    if text[at] in "{[":
        position = _skip(text, at + 1)
        while text[position] not in "}]":
            start = position
            key: str | int = len(children)
            if text[at] == "{":
                key, position = cast("tuple[str, int]", scanstring(text, position + 1))
                position = _skip(text, _skip(text, position) + 1)  # after the colon
            child = _scan(text, position)
            children.append((key, start, child))
            position = _skip(text, child.end)
            if text[position] == ",":
                position = _skip(text, position + 1)
    return _Node(at, end, value, children)


def _child(node: _Node, key: str | int) -> _Node | None:
    """Return an item of an object or a list; the last one if an object has a key twice, as in `json`."""
    return next((child for name, _, child in reversed(node.children) if name == key), None)


def _find_ours(root: _Node) -> Iterator[_Ours]:
    """Yield the hooks of this package in the order of the text.

    Raises:
        BadSettings: The objects or lists that contain hooks have another type.
    """
    hooks = _child(root, "hooks")
    if hooks is None:
        return
    if not isinstance(hooks.value, dict):
        raise BadSettings("hooks: must be an object")
    for event, _, groups in hooks.children:
        if not isinstance(groups.value, list):
            raise BadSettings(f"hooks.{event}: must be a list")
        for number, _, group in groups.children:
            handlers = _child(group, "hooks") if isinstance(group.value, dict) else None
            for place, _, handler in [] if handlers is None else handlers.children:
                if _is_ours(handler.value):
                    yield _Ours(str(event), ("hooks", event, number, "hooks", place), handler)


def _is_ours(handler: object) -> bool:
    command = cast("dict[str, object]", handler).get("command") if isinstance(handler, dict) else None
    return isinstance(command, str) and _OURS.search(command) is not None


def _replace(text: str, node: _Node, value: object) -> str:
    """Return the text with a node replaced by a value, in the same layout."""
    is_flat = "\n" not in text[node.start : node.end]
    return text[: node.start] + _format(text, value, _indent_at(text, node.start), is_flat=is_flat) + text[node.end :]


def _append(text: str, root: _Node, path: tuple[str, ...], item: object) -> str:
    """Return the text with an item appended to the list at a path; create the path if it is missing."""
    node, value = root, cast(object, [item])
    for depth, key in enumerate(path):
        child = _child(node, key)
        if child is None:
            for missing in reversed(path[depth + 1 :]):
                value = {missing: value}
            return _insert(text, node, value, key)
        node = child
    return _insert(text, node, item)


def _insert(text: str, node: _Node, value: object, key: str | None = None) -> str:
    """Return the text with an item appended to an object or a list."""
    unit = found[1] if (found := _UNIT.search(text)) else _DEFAULT_UNIT
    newline = "\r\n" if "\r\n" in text else "\n"
    if node.children:
        _, first, _ = node.children[0]
        end = node.children[-1][2].end
        space = text[node.start + 1 : first]
        is_flat = "\n" not in space
        before = ", " if is_flat else f",{space}"
        after = ""
    else:
        end, is_flat = node.start + 1, False
        before, after = f"{newline}{_indent_at(text, node.start)}{unit}", f"{newline}{_indent_at(text, node.start)}"
    indent = before.rpartition("\n")[2] if "\n" in before else ""
    name = "" if key is None else f"{json.dumps(key)}: "
    rest = text[node.end - 1 :] if not node.children else text[end:]
    return text[:end] + before + name + _format(text, value, indent, is_flat=is_flat) + after + rest


def _format(text: str, value: object, indent: str, *, is_flat: bool) -> str:
    if is_flat:
        return json.dumps(value, ensure_ascii=False)
    unit = found[1] if (found := _UNIT.search(text)) else _DEFAULT_UNIT
    newline = "\r\n" if "\r\n" in text else "\n"
    return json.dumps(value, ensure_ascii=False, indent=unit).replace("\n", f"{newline}{indent}")


def _indent_at(text: str, at: int) -> str:
    """Return the indentation of the line of a position."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _remove(text: str, root: _Node, path: tuple[str | int, ...]) -> str:
    """Return the text without the value at a path, and without containers that become empty."""
    nodes = [root]
    for key in path:
        child = _child(nodes[-1], key)
        if child is None:
            raise AssertionError(path)
        nodes.append(child)
    for node, key in zip(reversed(nodes[:-1]), reversed(path)):
        keys = [name for name, _, _ in node.children]
        # A group without handlers is removed, even if it has a matcher.
        if len(keys) == 1 or (key == "hooks" and node is not root):
            if node is root:
                return text[: node.start + 1] + text[node.end - 1 :]
            continue
        number = len(keys) - 1 - keys[::-1].index(key)
        if number:
            return text[: node.children[number - 1][2].end] + text[node.children[number][2].end :]
        return text[: node.children[0][1]] + text[node.children[1][1] :]
    raise AssertionError(path)
