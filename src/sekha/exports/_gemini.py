"""Gemini activity in Google Takeout: prompts and answers. Those of a day (UTC) become a conversation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, NamedTuple, Optional

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import EMPTY, ConversationBuilder, ReadConversation
from sekha.exports._conversations import add_counts
from sekha.exports._html_text import html_to_text
from sekha.exports._times import as_seconds, period_of

ACTIVITIES = "activities without words"
NOTES = "notes"
OTHERS = "activities of other products"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DAY = 86400
_PRODUCT = re.compile(r"(?<![a-z])(?:gemini|bard)(?![a-z])", re.IGNORECASE)
_VERB = re.compile(
    r"(?:Prompted(?: with:)?|Live Prompt|Asked(?: Gemini:| Bard:)?|Said|Branched|Eingegebener Prompt:|Prompt\s?:"
    r"|Gav instruktionen)\s+"
)
"""Prefixes of prompts."""
_NO_PROMPT = re.compile(
    r"(?:Used (?:an Assistant feature|Gemini Apps)|Selected preferred draft|Gave feedback|Cleared previous feedback"
    r"|Answered survey question)\b"
)
_CANVAS = re.compile(r"Created Gemini Canvas titled\s+(.*)", re.DOTALL)
_ATTACHED = re.compile(r"\s*\bAttached \d+ files?\.?\s*\Z")


class Activity(NamedTuple):
    """A prompt and its answer.

    Attributes:
        time: Its timestamp in seconds; None if unknown.
        said: The texts of the user.
        answered: The texts of the model.
    """

    time: Optional[float]
    said: list[str]
    answered: list[str]


Entry = tuple[Optional[float], Callable[[ConversationBuilder], Optional[Activity]]]
"""The time of an entry, and a function that reads it with a builder that counts omitted items."""


def is_gemini(data: dict[str, Any]) -> bool:
    """Return whether an object is an entry of Gemini's activity."""
    return "title" in data and ("time" in data or "safeHtmlItem" in data) and _is_product(data)


def _is_product(data: object) -> bool:
    names = [get(data, "header"), *(as_list(get(data, "products")) or ())]
    return any(isinstance(name, str) and is_gemini_name(name) for name in names)


def is_gemini_name(product: str) -> bool:
    """Return whether a product is Gemini, in any language."""
    return _PRODUCT.search(product) is not None


def parse_gemini(entries: Iterable[object], folder: str | None) -> Iterator[ReadConversation]:
    """Yield a conversation for each day."""
    return days_of((_entry(one) for one in entries), folder)


def _entry(one: object) -> Entry:
    return as_seconds(get(one, "time")), lambda built: _read(one, built)


def _read(one: object, built: ConversationBuilder) -> Activity | None:
    entry = as_object(one)
    if entry is None:
        built.not_understood("an entry that is no JSON object")
        return None
    if not _is_product(entry):
        built.leave_out(OTHERS)
        return None
    answers: list[str] = []
    for item in built.items_of(entry.get("safeHtmlItem"), "safeHtmlItem"):
        html: object = get(item, "html")
        if isinstance(html, str):
            answers.append(html_to_text(html))
        else:
            built.not_understood("safeHtmlItem")
    title = entry.get("title")
    if not isinstance(title, str):
        built.not_understood("an entry without a title")
        title = ""
    files, notes = _subtitles(entry, built)
    if not any(answers) and not files and not is_known_activity(title):  # Bard's answers of 2023
        answers += notes
    else:
        built.leave_out(NOTES, len(notes))
    return activity(as_seconds(entry.get("time")), title, files, answers, built)


def _subtitles(entry: dict[str, Any], built: ConversationBuilder) -> tuple[list[str], list[str]]:
    """Return the names of attached files, and other subtitles."""
    files: list[str] = []
    notes: list[str] = []
    for item in built.items_of(entry.get("subtitles"), "subtitles"):
        name: object = get(item, "name")
        if not isinstance(name, str):
            built.not_understood("subtitles")
        elif name.startswith("-"):
            files.append(name.lstrip("- \xa0"))
        elif get(item, "url") is not None or name.startswith("http"):
            built.leave_out(NOTES)
        elif name.strip():
            notes.append(name)
    if files:
        return files, notes
    attached = built.items_of(entry.get("attachedFiles"), "attachedFiles")
    for file in [*attached, entry.get("imageFile"), *built.items_of(entry.get("audioFiles"), "audioFiles")]:
        name = file if isinstance(file, str) else get(file, "name")
        if isinstance(name, str) and name:
            files.append(name)
        elif file is not None:
            built.not_understood("a file")
    return list(dict.fromkeys(files)), notes


def is_known_activity(title: str) -> bool:
    """Return whether an entry is known not to be a prompt."""
    return _NO_PROMPT.match(title) is not None or _CANVAS.match(title) is not None


def activity(
    time: float | None, title: str, files: Sequence[str], answers: Sequence[str], built: ConversationBuilder
) -> Activity | None:
    """Return the exchange of an entry.

    Args:
        time: Its timestamp in seconds.
        title: The action of the user; usually a verb and the prompt.
        files: Names of attached files.
        answers: Texts of the model.
        built: Counts omitted items.

    Returns:
        The exchange; None, after counting the entry, if it has no text.
    """
    answers = [answer for answer in answers if answer.strip()]
    canvas = _CANVAS.match(title)
    said: list[str] = []
    if canvas:
        answers = ["\n".join((f"[{canvas[1].strip()}]", *answers))]
    elif _NO_PROMPT.match(title):
        built.leave_out(ACTIVITIES)
    else:
        verb = _VERB.match(title)
        prompt = _ATTACHED.sub("", title[verb.end() if verb else 0 :]).replace("\xa0", " ").strip()
        said = [text for text in (prompt, *(f"[{file}]" for file in files)) if text]
        if not said and not answers:
            built.leave_out(EMPTY)
    return Activity(time, said, list(answers)) if said or answers else None


def days_of(entries: Iterable[Entry], folder: str | None) -> Iterator[ReadConversation]:
    """Yield a conversation for each day. Entries of a day are consecutive, so only one day is kept in memory."""
    built = _builder(folder)
    found: list[Activity] = []
    last: ReadConversation | None = None  # the last one is delayed, for counts of following entries
    day: int | None = None
    for time, read in entries:
        this = day if time is None else int(time // _DAY)
        if found and this != day:
            for conversation in _conversations(found, built, folder):
                if last is not None:
                    yield last
                last = conversation
            built, found = _builder(folder), []
        day = this
        one = read(built)
        if one is not None:
            found.append(one)
    if found or last is None:
        if last is not None:
            yield last
        yield from _conversations(found, built, folder)
    else:
        add_counts(last.left_out, built.left_out)
        yield last


def _builder(folder: str | None) -> ConversationBuilder:
    return ConversationBuilder(None, folder or "/gemini")


def _conversations(
    found: Sequence[Activity], built: ConversationBuilder, folder: str | None
) -> Iterator[ReadConversation]:
    """Yield the conversation of a day: the oldest entry, which is the last in the file, comes first.

    If several entries all have the same time, their order is unknown, and each becomes a conversation.
    """
    times = {one.time for one in found}
    if len(found) > 1 and len(times) == 1 and None not in times:
        for one in found:
            yield _conversation([one], built, None)
            built = _builder(folder)
        return
    ordered: list[tuple[float, Activity]] = []
    time = float("-inf")
    for one in reversed(found):
        time = time if one.time is None else one.time
        ordered.append((time, one))
    ordered.sort(key=lambda pair: pair[0])
    first = next((one.time for _, one in ordered if one.time is not None), None)
    # Not the day, which may occur in exports of several accounts.
    id = None if first is None else f"gemini {(_EPOCH + timedelta(seconds=int(first))).isoformat()}"
    yield _conversation([one for _, one in ordered], built, id)


def _conversation(found: Sequence[Activity], built: ConversationBuilder, id: str | None) -> ReadConversation:
    for one in found:
        if one.said:
            built.add("user", one.said, one.time)
        if one.answered:
            built.add("assistant", ["\n\n".join(one.answered)], one.time)
    built.take_title_from_words()
    first, last = period_of(one.time for one in found)
    return built.finish(source_id=id, created_at=first, updated_at=last)
