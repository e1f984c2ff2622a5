"""UUIDs as the real controller reads them, and its words for what is none."""

from __future__ import annotations

import re
from typing import Tuple
from uuid import UUID

_PREFIX = "urn:uuid:"
_FORMS = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_STARTS = (0, 9, 14, 19, 24)
_LENGTHS = (8, 4, 4, 4, 12)


def read_uuid(text: str) -> UUID:
    """Hyphens may be missing, or there may be braces or a prefix around; ValueError says what is wrong."""
    core, offset = _core(text)
    if _FORMS.fullmatch(core) and (not offset or "-" in core):
        return UUID(core)
    raise ValueError(f"UUID parsing failed: {no_uuid(text)}")


def no_uuid(text: str) -> str:
    """Why a text is no UUID."""
    core, offset = _core(text)
    wrong = re.search(r"[^0-9a-fA-F-]", core)
    if wrong is not None:
        place = len(core[: wrong.start()].encode()) + offset + 1
        expected = f"expected an optional prefix of `{_PREFIX}` followed by [0-9a-fA-F-]"
        return f"invalid character: {expected}, found `{wrong.group()}` at {place}"
    hyphens = [match.start() for match in re.finditer("-", core)]
    if not hyphens and not offset:
        return f"invalid length: expected length 32 for simple format, found {len(text)}"
    if len(hyphens) != 4:
        return f"invalid group count: expected 5, found {len(hyphens) + 1}"
    for group, (start, length) in enumerate(zip(_STARTS, _LENGTHS)):
        end = hyphens[group] if group < 4 else len(text)
        if end != start + length or group == 4:
            return f"invalid group length in group {group}: expected {length}, found {end - start}"
    raise AssertionError(text)


def _core(text: str) -> Tuple[str, int]:
    """What stands between braces or behind the prefix, and where it begins."""
    if text.startswith("{") and text.endswith("}"):
        return text[1:-1], 1
    return (text[len(_PREFIX) :], len(_PREFIX)) if text.startswith(_PREFIX) else (text, 0)
