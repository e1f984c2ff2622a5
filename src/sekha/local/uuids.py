"""Parse UUIDs like the controller, with the same error messages."""

from __future__ import annotations

import re
from typing import Tuple
from uuid import UUID

_PREFIX = "urn:uuid:"
_FORMS = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_GROUP_STARTS = (0, 9, 14, 19, 24)
_GROUP_LENGTHS = (8, 4, 4, 4, 12)


def parse_uuid(text: str) -> UUID:
    """Parse a UUID with or without hyphens, in braces or after `urn:uuid:`; raise ValueError with the reason."""
    digits, offset = _strip_wrapping(text)
    if _FORMS.fullmatch(digits) and (not offset or "-" in digits):
        return UUID(digits)
    raise ValueError(f"UUID parsing failed: {explain_invalid_uuid(text)}")


def explain_invalid_uuid(text: str) -> str:
    """Return the reason why a text is not a UUID."""
    digits, offset = _strip_wrapping(text)
    wrong = re.search(r"[^0-9a-fA-F-]", digits)
    if wrong is not None:
        position = len(digits[: wrong.start()].encode()) + offset + 1
        expected = f"expected an optional prefix of `{_PREFIX}` followed by [0-9a-fA-F-]"
        return f"invalid character: {expected}, found `{wrong.group()}` at {position}"
    hyphens = [match.start() for match in re.finditer("-", digits)]
    if not hyphens and not offset:
        return f"invalid length: expected length 32 for simple format, found {len(text)}"
    if len(hyphens) != 4:
        return f"invalid group count: expected 5, found {len(hyphens) + 1}"
    for group, (start, length) in enumerate(zip(_GROUP_STARTS, _GROUP_LENGTHS)):
        end = hyphens[group] if group < 4 else len(text)
        if end != start + length or group == 4:
            return f"invalid group length in group {group}: expected {length}, found {end - start}"
    raise AssertionError(text)


def _strip_wrapping(text: str) -> Tuple[str, int]:
    """Return the part between braces or after the prefix, and its offset."""
    if text.startswith("{") and text.endswith("}"):
        return text[1:-1], 1
    return (text[len(_PREFIX) :], len(_PREFIX)) if text.startswith(_PREFIX) else (text, 0)
