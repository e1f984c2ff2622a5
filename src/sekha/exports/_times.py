"""Parse times in the formats of applications, and normalize them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from sekha._utils.json_access import get
from sekha.types._base import normalize_timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Thresholds for nano-, micro- and milliseconds: as seconds, such numbers would be after the year 5000."""
_MAX = 1e20
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s*(?:(Z)|([+-])(\d\d):?(\d\d)?)?", re.I
)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
_UTC = re.compile(r"\d{4}-\d\d-\d\dT.*\+00:00")
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d{1,9})?")


def as_seconds(time: object) -> float | None:
    """Return a time in seconds since 1970; None if it is not valid.

    Args:
        time: ISO 8601, seconds, milli-, micro- or nanoseconds, a text of those, or MongoDB's extended JSON.
    """
    for key in ("$date", "$numberLong"):
        inner: object = get(time, key)
        time = time if inner is None else inner
    if isinstance(time, str):
        time = time.strip()
        if _NUMBER.fullmatch(time):
            time = float(time)
    if isinstance(time, (int, float)) and not isinstance(time, bool):
        if not -_MAX < time < _MAX:  # also rejects NaN
            return None
        return next((time / unit for first, unit in _UNITS if abs(time) >= first), float(time))
    found = _ISO.fullmatch(time) if isinstance(time, str) else None
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, hours, minutes = found.groups(default="0")
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=timezone.utc)
    except ValueError:
        return None
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    whole = moment - _EPOCH - offset  # not by datetime: an offset may leave the years 1 to 9999
    return whole.total_seconds() + float(f"0.{fraction}")


def format_time(time: object) -> str | None:
    """Return a timestamp, as of ChatGPT (seconds since 1970) or Claude (ISO), as ISO 8601; None if it is not valid.

    Servers that store times reject a conversation with an invalid one.
    """
    if isinstance(time, str):
        return time if _MOMENT.fullmatch(normalize_timestamp(time)) else None
    if isinstance(time, (int, float)) and not isinstance(time, bool):
        try:  # not by fromtimestamp, which does not support times before 1970 on Windows
            return (_EPOCH + timedelta(seconds=time)).isoformat(timespec="microseconds")
        except (OverflowError, ValueError):  # outside the years 1 to 9999, or not a number
            return None
    return None


def is_moment(text: str) -> bool:
    """Return whether a time has the format of `normalize_timestamp`."""
    return _UTC.fullmatch(text) is not None


def period_of(times: Iterable[float | None]) -> tuple[float | None, float | None]:
    """Return the first and the last of the known times; None if there are none."""
    known = [time for time in times if time is not None]
    return min(known, default=None), max(known, default=None)
