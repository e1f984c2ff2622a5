"""Texts and queries of the full-text index.

The index splits texts at spaces and punctuation. Scripts without spaces between words are split into characters, so
that a phrase of characters finds any part of a text.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate
from typing import List, Mapping

from sekha.local.text import STOP_WORDS

MAX_PHRASES = 64
"""Maximum number of words of a query; of a longer query, the longest words are used, since they are rare."""

# Thai and Lao, Myanmar, Khmer, kana and ideographs, hangul.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U000323af"
)
_UNSPACED_CHARACTER = re.compile(f"[{_UNSPACED}]")
# Neither space nor punctuation. SQLite handles marks inside words, which `\w` does not match.
_PUNCTUATION = r"\x00-/:-@\[-`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\u2000-\u206f\u3000-\u303f"
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\s{_PUNCTUATION}{_UNSPACED}]+")
_PHRASE = re.compile(r'"(?:[^"]|"")*"')
_OPERATOR = re.compile(r"\b(?:AND|OR|NOT|NEAR)\b|\+|:")
_QUERY_PART = re.compile(r'"((?:[^"]|"")*)"|([\w\x1a]*[^\x00-\x7f](?:[\w\x1a]|[^\x00-\x7f])*)')
# Normalized with a fixed version of Unicode: an index entry can only be removed with the text that created it.
_normalize = unicodedata.ucd_3_2_0.normalize


def searchable_text(text: str) -> str:
    """Return a text for the full-text index, with spaces around each character of scripts without spaces.

    Example:
        ```python
        from sekha.local.match import searchable_text

        print(searchable_text("in 東京 we met"))  # in  東  京  we met
        ```
    """
    return text if text.isascii() else _UNSPACED_CHARACTER.sub(r" \g<0> ", _normalize("NFKC", text))


def or_phrases(text: str) -> List[str]:
    """Return the words of a text as FTS5 phrases.

    Common words are omitted if there are others. In scripts without spaces, two neighboring characters are a word.
    """
    words = dict.fromkeys(_split(_normalize("NFKC", text).lower()))
    chosen = [word for word in words if word not in STOP_WORDS] or list(words)
    if len(chosen) > MAX_PHRASES:
        chosen = sorted(chosen, key=len, reverse=True)[:MAX_PHRASES]
    return [_quote(word) for word in chosen]


def rare_query(counts: Mapping[str, int], limit: int) -> str:
    """Return a query for texts that contain one of the rarest phrases, ranked by all phrases.

    Ranking a text costs more than finding it, and a text with only the common words of a query is not a good result.

    Args:
        counts: Number of texts that contain each phrase.
        limit: Maximum number of texts to find, as far as possible with one phrase.
    """
    known = sorted((phrase for phrase, count in counts.items() if count), key=lambda phrase: counts[phrase])
    totals = accumulate(counts[phrase] for phrase in known)
    rare = known[: max(1, sum(total <= limit for total in totals))]
    common = known[len(rare) :]
    if not common:
        return " OR ".join(rare)
    # Each phrase occurs twice, so that all have the same weight.
    return f"({' OR '.join(rare)}) AND ({' OR '.join([*rare, *common, *common])})"


def full_text_query(query: str) -> str:
    """Return an FTS5 query for the index: words and phrases are split like the texts, operators are kept."""
    return query if query.isascii() else _QUERY_PART.sub(_translate, query)


def has_operators(query: str) -> bool:
    """Return whether an FTS5 query contains operators."""
    return _OPERATOR.search(_PHRASE.sub("", query)) is not None


def _split(text: str) -> List[str]:
    found: List[str] = []
    for word in _WORD.findall(text):
        if _UNSPACED_CHARACTER.match(word):
            found += [word[start : start + 2] for start in range(max(1, len(word) - 1))]
        else:
            found.append(word)
    return found


def _translate(part: re.Match[str]) -> str:
    phrase, word = part.groups()
    return _quote(word if phrase is None else phrase.replace('""', '"'))


def _quote(phrase: str) -> str:
    return '"' + searchable_text(phrase).replace('"', '""') + '"'
