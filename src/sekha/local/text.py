"""Texts as words, sentences and vectors: all that the local Sekha knows about language, without any state."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from typing import Dict, List, Sequence, Tuple

DIMENSION = 384
WINDOW = 32_000
"""Characters of a text that count towards its vector; a model has such a window too."""

_WORD = re.compile(r"[^\W_]+|[^\w\s\x00-\x7f]")
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_NAME = re.compile(r"\b[A-Z][a-z]+(?: [A-Z][a-z]+)+\b")
_ACRONYM = re.compile(r"\b[A-Z][A-Z0-9]{1,7}\b")
_COMMON = """a about after all also am an and any are as at be because been before but by can could did do does for from
    get goes had has have he her him his how i if in into is it its just let like many may me might more most much must
    my no not now of off on one or our out over said shall she should so some than that the their them then there these
    they this to too up us use very was we were what when where which who why will with would yes you your"""
_SERIOUS = """agreed architecture blocker critical deadline decided decision important must production release security
    urgent"""
STOP_WORDS = frozenset(_COMMON.split())
"""Words that say little about a text."""


def words(text: str) -> List[str]:
    """The words of a text, caseless and in one Unicode form; symbols beyond ASCII count as words."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def sentences(text: str) -> List[str]:
    """The sentences and lines of a text, without those that hold no word."""
    return [part for part in (piece.strip() for piece in _SENTENCE.split(text)) if words(part)]


def keywords(text: str, limit: int = 5) -> List[str]:
    """The words that say most about a text: the frequent ones first, then the long ones."""
    counts = Counter(word for word in words(text[:WINDOW]) if len(word) > 3 and word not in STOP_WORDS)
    return sorted(counts, key=lambda word: (-counts[word], -len(word), word))[:limit]


def entities(text: str) -> Dict[str, List[str]]:
    """Names, abbreviations and key words found in a text, by kind."""
    return {
        "people": list(dict.fromkeys(_NAME.findall(text))),
        "organizations": [],
        "technical_terms": list(dict.fromkeys(_ACRONYM.findall(text))),
        "concepts": keywords(text),
    }


def vector(text: str) -> List[float]:
    """
    The place of a text among all texts: words and parts of words, hashed into DIMENSION numbers, length 1.

    Texts that share words or parts of words are near each other. The same text gives the same numbers in every process
    and on every machine. A text without a word has no place: all numbers are 0.
    """
    numbers = [0.0] * DIMENSION
    for word, count in Counter(words(text[:WINDOW])).items():
        weight = (1.0 + math.log(count)) * (0.1 if word in STOP_WORDS else 1.0)
        for place, part in _features(word):
            numbers[place] += weight * part
    length = math.sqrt(sum(number * number for number in numbers))
    return [number / length for number in numbers] if length else numbers


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """How near two vectors of length 1 are, from 0 (nothing in common) to 1 (the same)."""
    return min(1.0, max(0.0, sum(a * b for a, b in zip(one, other))))


def best_sentences(question: str, candidates: Sequence[str], limit: int = 3, at_least: float = 0.15) -> List[str]:
    """The sentences that answer a question best, each once, in the order of the text."""
    target = vector(question)
    unique = [text for text in dict.fromkeys(candidates) if words(text) != words(question)]
    nearness = {text: cosine(target, vector(text)) for text in unique}
    ranked = sorted((text for text in unique if nearness[text] >= at_least), key=lambda text: -nearness[text])
    return [text for text in unique if text in ranked[:limit]]


def summary(text: str, limit: int = 3) -> str:
    """The sentences that are nearest to the whole text, in its order."""
    return " ".join(best_sentences(text, sentences(text), limit, at_least=0.0)) or text.strip()


def importance(text: str) -> Tuple[float, str]:
    """A score from 1 to 10 with its reason: decisions, deadlines and length count."""
    signs = sorted(set(words(text)).intersection(_SERIOUS.split()))
    score = 3.0 + 2.0 * len(signs) + (1.0 if len(words(text)) > 40 else 0.0)
    return min(10.0, score), f"Speaks of {', '.join(signs)}." if signs else "No sign of a decision or a deadline."


@lru_cache(maxsize=65_536)
def _features(word: str) -> Tuple[Tuple[int, float], ...]:
    """Where a word goes in a vector, and how strongly: as a whole (unless it is East Asian), and in parts."""
    if _WIDE.search(word):
        return _spread([word[start : start + n] for n in (1, 2) for start in range(len(word) - n + 1)], 1.0)
    padded = f"<{word}>"
    parts = [padded[start : start + n] for n in (3, 4) for start in range(len(padded) - n + 1)]
    return _spread([f"{word} {copy}" for copy in range(4)], 1.0) + _spread(parts, 1.0)


def _spread(features: Sequence[str], weight: float) -> Tuple[Tuple[int, float], ...]:
    """One weight over many places, so that two words that meet in one of them stay apart."""
    share = weight / math.sqrt(len(features) or 1)
    numbers = [
        int.from_bytes(blake2b(feature.encode(), digest_size=4).digest(), "little") for feature in features[:200]
    ]
    return tuple((number % DIMENSION, share if number & 0x8000_0000 else -share) for number in numbers)
