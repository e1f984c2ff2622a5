"""Words, sentences and vectors of a text: the language features of the local server, without any state."""

from __future__ import annotations

import math
import re
import unicodedata
from array import array
from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from typing import Dict, List, NamedTuple, Sequence, Tuple

DIMENSION = 384
MAX_EMBEDDED_CHARS = 32_000
"""Maximum number of characters of a text that are embedded, similar to the context window of a model."""

_MAX_LETTERS = 40  # maximum length of a word; the rest of hashes or encoded data has no meaning
_CACHED_WORDS = 8192
_WORD = re.compile(r"[^\W_]+|[^\w\s\x00-\x7f]")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_EAST_ASIAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_NAME = re.compile(r"\b[A-Z][a-z]+(?: [A-Z][a-z]+)+\b")
_ACRONYM = re.compile(r"\b[A-Z][A-Z0-9]{1,7}\b")
_COMMON_WORDS = """a about after all also am an and any are as at be because been before but by can could did do does
    for from get goes had has have he her him his how i if in into is it its just let like many may me might more most
    much must my no not now of off on one or our out over said shall she should so some than that the their them then
    there these they this to too up us use very was we were what when where which who why will with would yes you
    your"""
_IMPORTANT_WORDS = """agreed architecture blocker critical deadline decided decision important must production release
    security urgent"""
STOP_WORDS = frozenset(_COMMON_WORDS.split())
"""Words without much meaning for a text."""


def split_words(text: str) -> List[str]:
    """Split a text into words, case-folded and normalized; non-ASCII symbols count as words."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def split_sentences(text: str) -> List[str]:
    """Split a text into sentences and lines; omit those without a word."""
    return [part for part in (piece.strip() for piece in _SENTENCE_END.split(text)) if split_words(part)]


def extract_keywords(text: str, limit: int = 5) -> List[str]:
    """Return the words that characterize a text: most frequent first, then longest first."""
    words = split_words(text[:MAX_EMBEDDED_CHARS])
    counts = Counter(word for word in words if len(word) > 3 and word not in STOP_WORDS)
    return sorted(counts, key=lambda word: (-counts[word], -len(word), word))[:limit]


def extract_entities(text: str) -> Dict[str, List[str]]:
    """Return names, abbreviations and keywords of a text, by kind."""
    return {
        "people": list(dict.fromkeys(_NAME.findall(text))),
        "organizations": [],
        "technical_terms": list(dict.fromkeys(_ACRONYM.findall(text))),
        "concepts": extract_keywords(text),
    }


def hash_embedding(text: str) -> List[float]:
    """Embed a text: hash its words and parts of words into DIMENSION numbers, scaled to length 1.

    Texts that share words or parts of words are near each other. The vector of a text is the same in every process and
    on every machine. For a text without words, all components are 0.
    """
    numbers = [0.0] * DIMENSION
    for word, count in Counter(split_words(text[:MAX_EMBEDDED_CHARS])).items():
        weight = (1.0 + math.log(count)) * (0.1 if word in STOP_WORDS else 1.0)
        for places, share in _word_features(word):
            added = weight * share
            for place in places:
                if place >= 0:
                    numbers[place] += added
                else:
                    numbers[~place] -= added
    length = math.sqrt(sum(number * number for number in numbers))
    return [number / length for number in numbers] if length else numbers


def cosine_similarity(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the similarity of two vectors of length 1, from 0 (nothing in common) to 1 (the same)."""
    return min(1.0, max(0.0, sum(a * b for a, b in zip(one, other))))


def best_sentences(question: str, candidates: Sequence[str], limit: int = 3, min_similarity: float = 0.15) -> List[str]:
    """Return the sentences that answer a question best, without duplicates, in the order of the text."""
    target = hash_embedding(question)
    unique = [text for text in dict.fromkeys(candidates) if split_words(text) != split_words(question)]
    similarity = {text: cosine_similarity(target, hash_embedding(text)) for text in unique}
    ranked = sorted((text for text in unique if similarity[text] >= min_similarity), key=lambda text: -similarity[text])
    return [text for text in unique if text in ranked[:limit]]


def extractive_summary(text: str, limit: int = 3) -> str:
    """Return the sentences that are most similar to the whole text, in their order."""
    return " ".join(best_sentences(text, split_sentences(text), limit, min_similarity=0.0)) or text.strip()


def score_importance(text: str) -> Tuple[float, str]:
    """Score a text from 1 to 10, with the reason: decisions, deadlines and length count."""
    signs = sorted(set(split_words(text)).intersection(_IMPORTANT_WORDS.split()))
    score = 3.0 + 2.0 * len(signs) + (1.0 if len(split_words(text)) > 40 else 0.0)
    return min(10.0, score), f"Speaks of {', '.join(signs)}." if signs else "No sign of a decision or a deadline."


class _Features(NamedTuple):
    """The contribution of a word to a vector: a value to add at each index, or to subtract for an index `~i`."""

    places: array[int]
    share: float


def _word_features(word: str) -> Sequence[_Features]:
    """Return the contribution of a word to a vector: of the whole word, unless it is East Asian, and of its parts."""
    if not _EAST_ASIAN.search(word):
        return _letter_features(word[:_MAX_LETTERS])
    # In these scripts, a sentence is one word, which will hardly occur again.
    return _east_asian_features(word) if len(word) <= _MAX_LETTERS else _make_east_asian_features(word)


@lru_cache(maxsize=_CACHED_WORDS)
def _letter_features(word: str) -> Sequence[_Features]:
    padded = f"<{word}>"
    parts = [padded[start : start + n] for n in (3, 4) for start in range(len(padded) - n + 1)]
    return _hash_features([f"{word} {copy}" for copy in range(4)]), _hash_features(parts)


def _make_east_asian_features(word: str) -> Sequence[_Features]:
    return (_hash_features([word[start : start + n] for n in (1, 2) for start in range(len(word) - n + 1)]),)


_east_asian_features = lru_cache(maxsize=_CACHED_WORDS)(_make_east_asian_features)


def _hash_features(features: Sequence[str]) -> _Features:
    """Spread a weight of 1 over many indexes, so that a collision at one of them has little effect."""
    numbers = [
        int.from_bytes(blake2b(feature.encode(), digest_size=4).digest(), "little") for feature in features[:200]
    ]
    places = [number % DIMENSION if number & 0x8000_0000 else ~(number % DIMENSION) for number in numbers]
    return _Features(array("h", places), 1.0 / math.sqrt(len(features) or 1))
