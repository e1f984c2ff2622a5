"""Texts for the full-text index, and the queries that it is asked.

The index cuts texts at spaces and punctuation. Scripts that have no spaces between words are cut into characters, so
that a phrase of characters finds any part of a text.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate
from typing import List, Mapping

from sekha.local.text import STOP_WORDS

MAX_PHRASES = 64
"""Words of a query at most that are searched for; of a longer one the longest, which are rare."""

# Thai and Lao, Myanmar, Khmer, kana and ideographs, hangul.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U000323af"
)
_UNSPACED_CHARACTER = re.compile(f"[{_UNSPACED}]")
# Neither space nor punctuation. Marks inside of words, which `\w` does not know, are left to SQLite.
_PUNCTUATION = r"\x00-/:-@\[-`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\u2000-\u206f\u3000-\u303f"
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\s{_PUNCTUATION}{_UNSPACED}]+")
_PHRASE = re.compile(r'"(?:[^"]|"")*"')
_OPERATOR = re.compile(r"\b(?:AND|OR|NOT|NEAR)\b|\+|:")
_QUERY_PART = re.compile(r'"((?:[^"]|"")*)"|([\w\x1a]*[^\x00-\x7f](?:[\w\x1a]|[^\x00-\x7f])*)')
# The normal form of one version of Unicode: an entry of the index can only be removed by the text that it was made of.
_normalize = unicodedata.ucd_3_2_0.normalize


def searchable_text(text: str) -> str:
    """Return a text as the full-text index takes it, with a space around each character of scripts without spaces.

    Example:
        ```python
        from sekha.local.match import searchable_text

        print(searchable_text("in 東京 we met"))  # in  東  京  we met
        ```
    """
    return text if text.isascii() else _UNSPACED_CHARACTER.sub(r" \g<0> ", _normalize("NFKC", text))


def or_phrases(text: str) -> List[str]:
    """Return the words of a text as phrases of FTS5; those of a text that shares none of them have nothing in common.

    Common words are left out if there are others. Of scripts without spaces, two neighbouring characters are a word.
    """
    words = dict.fromkeys(_split(_normalize("NFKC", text).lower()))
    chosen = [word for word in words if word not in STOP_WORDS] or list(words)
    if len(chosen) > MAX_PHRASES:
        chosen = sorted(chosen, key=len, reverse=True)[:MAX_PHRASES]
    return [_quote(word) for word in chosen]


def rare_query(counts: Mapping[str, int], limit: int) -> str:
    """Return the query for texts with the rarest of some phrases, in which all of them count.

    Ranking a text costs more than finding it, and a text that has only the common words of a query is no good hit.

    Args:
        counts: In how many texts each phrase stands.
        limit: How many texts to find at most, as far as that is possible with one phrase.
    """
    known = sorted((phrase for phrase, count in counts.items() if count), key=lambda phrase: counts[phrase])
    totals = accumulate(counts[phrase] for phrase in known)
    rare = known[: max(1, sum(total <= limit for total in totals))]
    common = known[len(rare) :]
    if not common:
        return " OR ".join(rare)
    # Each phrase stands there twice, so that each counts as much as the others.
    return f"({' OR '.join(rare)}) AND ({' OR '.join([*rare, *common, *common])})"


def full_text_query(query: str) -> str:
    """Return a query of FTS5 for the index: words and phrases cut as the texts are, operators as they were."""
    return query if query.isascii() else _QUERY_PART.sub(_translate, query)


def has_operators(query: str) -> bool:
    """Return whether a query of FTS5 says how its words belong together."""
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
