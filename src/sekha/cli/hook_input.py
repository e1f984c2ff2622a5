"""What a coding agent tells a hook: one JSON object on stdin."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import BinaryIO, NamedTuple, cast

MAX_INPUT = 32 * 1024 * 1024
"""Bytes that are read at most: a prompt may have a whole file in it."""

_SURROGATES = re.compile("[\ud800-\udfff]")
_FIELDS = ("session_id", "transcript_path", "cwd", "prompt")


class BadInput(Exception):
    """What is on stdin cannot be used; the message says why, in one line."""


class HookInput(NamedTuple):
    """What an agent says about itself.

    Attributes:
        session_id: The running session.
        transcript_path: The file in which it is written down.
        cwd: The folder in which the agent works.
        prompt: What the user has just said.
    """

    session_id: str = ""
    transcript_path: str = ""
    cwd: str = ""
    prompt: str = ""


def read_input(stream: BinaryIO, needed: Iterable[str]) -> HookInput:
    """Read what an agent says.

    Args:
        stream: Where it stands.
        needed: Fields that must be there.

    Raises:
        BadInput: It is no such object, or a field is missing.
    """
    data = stream.read(MAX_INPUT + 1)
    if len(data) > MAX_INPUT:
        raise BadInput(f"stdin: more than {MAX_INPUT // 2**20} MiB")
    return parse_input(data, needed)


def parse_input(data: bytes, needed: Iterable[str]) -> HookInput:
    """Return what an agent says; see `read_input`."""
    if not data.strip():
        raise BadInput("stdin: is empty; a coding agent passes a JSON object here")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"stdin: byte {error.start + 1:,} is not UTF-8") from None
    try:
        found: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"stdin: is not valid JSON, line {error.lineno} column {error.colno}") from None
    except (RecursionError, ValueError):
        raise BadInput("stdin: is not valid JSON, or nested too deeply") from None
    if not isinstance(found, dict):
        raise BadInput("stdin: must be a JSON object")
    fields = cast("dict[str, object]", found)
    texts: dict[str, str] = {}
    for name in _FIELDS:
        value = fields.get(name)
        if value is not None and not isinstance(value, str):
            raise BadInput(f"stdin: {name} must be a string")
        texts[name] = _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value or "")
        if "\0" in texts[name] and name != "prompt":
            raise BadInput(f"stdin: {name} must not contain a null character")
    for name in needed:
        if not texts[name].strip():
            raise BadInput(f"stdin: {name} is missing")
    return HookInput(**texts)
