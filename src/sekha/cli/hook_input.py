"""The input of a hook: one JSON object on stdin, from a coding agent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import BinaryIO, NamedTuple, cast

MAX_INPUT = 32 * 1024 * 1024
"""Maximum input in bytes; a prompt may contain a complete file."""

_SURROGATES = re.compile("[\ud800-\udfff]")
_FIELDS = ("session_id", "transcript_path", "cwd", "prompt")


class BadInput(Exception):
    """The input or an option is not valid; the message has the reason in one line."""


class HookInput(NamedTuple):
    """Fields of the input.

    Attributes:
        session_id: ID of the current session.
        transcript_path: File with the messages of the session.
        cwd: Working directory of the agent.
        prompt: Current prompt of the user.
    """

    session_id: str = ""
    transcript_path: str = ""
    cwd: str = ""
    prompt: str = ""


def read_input(stream: BinaryIO, needed: Iterable[str]) -> HookInput:
    """Read and parse the input.

    Args:
        stream: The stream to read.
        needed: Names of required fields.

    Raises:
        BadInput: The input is not such an object, or a field is missing.
    """
    data = stream.read(MAX_INPUT + 1)
    if len(data) > MAX_INPUT:
        raise BadInput(f"stdin: larger than {MAX_INPUT // 2**20} MiB")
    return parse_input(data, needed)


def parse_input(data: bytes, needed: Iterable[str]) -> HookInput:
    """Parse the input; see `read_input`."""
    if not data.strip():
        raise BadInput("stdin: empty; expected a JSON object from a coding agent")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"stdin: byte {error.start + 1:,} is not UTF-8") from None
    try:
        found: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(f"stdin: not valid JSON at line {error.lineno} column {error.colno}") from None
    except (RecursionError, ValueError):
        raise BadInput("stdin: not valid JSON, or nested too deeply") from None
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
