"""Conversations to fill a store with: the same on every machine, and of any number."""

from __future__ import annotations

import json
import math
import random
import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import accumulate
from pathlib import Path
from typing import Any

CONVERSATION = 9
"""Messages of a conversation, on average."""
LETTERS = 264
"""Characters of a message, on average, before its last sentence is completed."""
_TOPICS = ("Garden", "Kitchen", "Travel", "Health", "Money", "Music", "Work", "Study", "Family", "Sport", "House")
LABELS = tuple(f"{topic} notes" for topic in _TOPICS)
FOLDERS = tuple(
    f"/{area}/{part}" for area in ("home", "work", "study", "trips") for part in ("one", "two", "three", "four", "five")
)
FIRST_DAY = datetime(2023, 11, 1, tzinfo=timezone.utc)
DAYS = 3 * 365
VOCABULARY = 60_000
TOPIC_WORDS = 60

_FREQUENT_WORDS = """
    the of and to a in is that it for was on with as be at this by have from are not or but which an they
    you we can will all has if there when more one so what about would their been who no out up them then some do into
    its only other new could time these two may first any my now such like our over very our after also did many before
    must well back through years where much your way down should because long each just those people how too good"""
_BEGINNINGS = re.split(" ", "b br c ch cl d dr f fl g gr h j k l m n p pl pr qu r s sh sl sp st t th tr v w")
_MIDDLES = re.split(" ", "a ai e ea ee i ie o oa oo ou u")
_ENDS = re.split(" ", "n r l t nd st ck m p sh ng rt nt d ll th")
_SMALL_WORDS = _FREQUENT_WORDS.split()
_ENDINGS = ["", "", "", "s", "ed", "ing", "er", "ly", "ment", "tion"]


def word_of(rank: int) -> str:
    """The word of a rank: common ones are real and short, the others are made of syllables."""
    if rank < len(_SMALL_WORDS):
        return _SMALL_WORDS[rank]
    number = rank - len(_SMALL_WORDS)
    syllables = ""
    for _ in range(1 if number < 4_000 else 2):
        number, beginning = divmod(number, len(_BEGINNINGS))
        number, middle = divmod(number, len(_MIDDLES))
        number, end = divmod(number, len(_ENDS))
        syllables += _BEGINNINGS[beginning] + _MIDDLES[middle] + _ENDS[end]
    return syllables + _ENDINGS[rank % len(_ENDINGS)]


class Prose:
    """Sentences of words that are as frequent as those of a language are (Zipf's law), about one topic at a time.

    Args:
        chance: What decides.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._words = [word_of(rank) for rank in range(VOCABULARY)]
        self._sums = list(accumulate(1.0 / (rank + 2.7) for rank in range(VOCABULARY)))
        self._after_small = self._sums[len(_SMALL_WORDS)]
        self._topic: list[str] = []

    def begin_topic(self) -> None:
        """Choose the words that the next texts are about."""
        self._topic = [self._rare_word() for _ in range(TOPIC_WORDS)]

    def text(self, letters: int) -> str:
        """Sentences with about so many characters."""
        sentences: list[str] = []
        while sum(map(len, sentences)) < letters - 40:
            words = [self._word() for _ in range(6 + int(14 * self._chance.random()))]
            sentences.append(f"{' '.join(words).capitalize()}.")
        return " ".join(sentences)

    def _word(self) -> str:
        if self._chance.random() < 0.25:
            return self._topic[int(len(self._topic) * self._chance.random() ** 2)]
        return self._words[bisect(self._sums, self._sums[-1] * self._chance.random())]

    def _rare_word(self) -> str:
        rest = self._sums[-1] - self._after_small
        return self._words[bisect(self._sums, self._after_small + rest * self._chance.random())]


class Paragraphs:
    """The lines of a file, one after the other, again from its first line when all were read.

    Args:
        file: Each line of it is a text.
    """

    def __init__(self, file: Path) -> None:
        self._lines = file.read_text(encoding="utf-8").split("\n")[:-1]
        self._next = 0

    def begin_topic(self) -> None:
        """Nothing: lines that follow each other are about the same, as far as they are."""

    def text(self, letters: int) -> str:
        """Whole lines with about so many characters."""
        found = ""
        while len(found) < letters - 40:
            found += f"{' ' if found else ''}{self._lines[self._next % len(self._lines)]}"
            self._next += 1
        return found[: 2 * letters]


def write_export(path: Path, messages: int, seed: int = 19, file: Path | None = None) -> None:
    """Write a file that `sekha import` reads: one conversation in a line."""
    with path.open("w", encoding="utf-8") as lines:
        lines.writelines(f"{json.dumps(one)}\n" for one in conversations(messages, seed, file))


def conversations(messages: int, seed: int = 19, file: Path | None = None) -> Iterator[dict[str, Any]]:
    """Conversations with so many messages in all, the oldest first."""
    chance = random.Random(seed)
    texts = Prose(chance) if file is None else Paragraphs(file)
    span = timedelta(days=DAYS)
    left = messages
    while left:
        size = min(left, 1 + int((2 * CONVERSATION - 1) * chance.random()))
        begun = FIRST_DAY + (messages - left) / messages * span
        texts.begin_topic()
        yield {
            "label": pick(LABELS, chance),
            "folder": FOLDERS[int(len(FOLDERS) * chance.random())],
            "importance_score": 1 + int(10 * chance.random()),
            "created_at": begun.isoformat(),
            "updated_at": (begun + timedelta(minutes=size)).isoformat(),
            "messages": [
                {
                    "role": ("user", "assistant")[number % 2],
                    "content": texts.text(letters_of(chance)),
                    "timestamp": (begun + timedelta(minutes=number)).isoformat(),
                }
                for number in range(size)
            ],
        }
        left -= size


def pick(names: Sequence[str], chance: random.Random) -> str:
    """One of some names, the first ones more often than the last ones."""
    return names[int(len(names) * chance.random() ** 1.5)]


def letters_of(chance: random.Random) -> int:
    """The length of a text: most are short, and some are long."""
    return max(40, int(-math.log(1.0 - chance.random()) * (LETTERS - 40)) + 40)
