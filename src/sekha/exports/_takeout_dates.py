"""Parse dates in HTML of Google Takeout, in the language of the account."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MAX_LENGTH = 60
_MAX_WORDS = 9
_TIME = re.compile(r"(?<!\d)(\d{1,2})[:.](\d\d)[:.](\d\d)(?!\d)")
_YEAR = re.compile(r"(?<!\d)(\d{4})(?!\d)")
_NUMBER = re.compile(r"(?<!\d)\d{1,2}(?!\d)")
_OFFSET = re.compile(r"(?:GMT|UTC)\s?([+\-\u2212])(\d{1,2})(?::?(\d\d))?")
_AFTERNOON = re.compile(r"\bp\.? ?m\b|午後|下午|오후", re.IGNORECASE)
_MORNING = re.compile(r"\ba\.? ?m\b|午前|上午|오전", re.IGNORECASE)
_MONTHS = (  # first letters of months, without accents, in a dozen languages
    "jan ene gen sty oca янв", "feb fev lut sub фев", "mar mrt maa мар", "apr avr abr kwi nis апр",
    "may mai mei mag maj май мая", "jun juin giu cze haz июн", "jul juil lug lip tem июл", "aug aou ago sie agu авг",
    "sep set wrz eyl сен", "oct okt out ott paz eki окт", "nov lis kas ноя", "dec dez dic gru ara дек",
)  # fmt: skip
_MONTH_OF = {begin: number for number, begins in enumerate(_MONTHS, 1) for begin in begins.split()}
_HOURS = {
    "HST": -10, "AKST": -9, "AKDT": -8, "PST": -8, "PDT": -7, "MST": -7, "MDT": -6, "CST": -6, "CDT": -5, "EST": -5,
    "EDT": -4, "AST": -4, "ADT": -3, "BRT": -3, "ART": -3, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "MEZ": 1,
    "CEST": 2, "MESZ": 2, "SAST": 2, "EET": 2, "EEST": 3, "MSK": 3, "TRT": 3, "IST": 5.5, "WIB": 7, "ICT": 7,
    "HKT": 8, "SGT": 8, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13,
}  # fmt: skip
_CHINA = 8


def is_takeout_date(text: str) -> bool:
    """Return whether a line contains only a date with a time of day, in any language."""
    text = _clean(text)
    is_short = len(text) <= _MAX_LENGTH and text.count(" ") < _MAX_WORDS
    return is_short and _TIME.search(text) is not None and _YEAR.search(text) is not None


def takeout_seconds(text: str) -> float | None:
    """Return a date in seconds since 1970; None if it is not a date, or in an unsupported language.

    A time without a known zone is treated as UTC.
    """
    text = _clean(text)
    time = _TIME.search(text)
    if time is None:
        return None
    rest = _OFFSET.sub(" ", _TIME.sub(" ", text, count=1))
    year = _YEAR.search(rest)
    day = None if year is None else _day_of(rest, year)
    if year is None or day is None:
        return None
    hour, minute, second = map(int, time.groups())
    if _AFTERNOON.search(text):
        hour = hour % 12 + 12
    elif _MORNING.search(text):
        hour %= 12
    try:
        moment = datetime(int(year[1]), day[0], day[1], hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        return None
    return (moment - _EPOCH - _offset_of(text)).total_seconds()


def _clean(text: str) -> str:
    return " ".join(text.split())


def _day_of(text: str, year: re.Match[str]) -> tuple[int, int] | None:
    """Return month and day of a date with a known year."""
    numbers = [(found.start(), int(found[0])) for found in _NUMBER.finditer(text)]
    month = _month_name(text)
    if month is not None and numbers:
        return month, numbers[0][1]
    if len(numbers) < 2:
        return None
    (place, first), (_, second) = numbers[:2]
    if place > year.start() or second > 12:  # 2025年5月1日, 5/13/2025
        return first, second
    return second, first


def _month_name(text: str) -> int | None:
    for word in re.findall(r"[^\W\d_]{3,}", text):
        plain = "".join(one for one in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(one))
        plain = unicodedata.normalize("NFC", plain)
        found = next((_MONTH_OF[plain[:size]] for size in (4, 3) if plain[:size] in _MONTH_OF), None)
        if found is not None:
            return found
    return None


def _offset_of(text: str) -> timedelta:
    found = _OFFSET.search(text)
    if found is not None:
        hours = int(found[2]) + int(found[3] or 0) / 60
        return timedelta(hours=hours if found[1] == "+" else -hours)
    zone = re.search(r"(?<![A-Za-z])[A-Z]{3,4}(?![A-Za-z])", text)
    if zone is None:
        return timedelta()
    if zone[0] == "CST" and "年" in text:
        return timedelta(hours=_CHINA)
    return timedelta(hours=_HOURS.get(zone[0], 0))
