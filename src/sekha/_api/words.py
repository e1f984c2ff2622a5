"""The words of a query that say what it is about, and how a full-text search is asked for them."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from sekha.errors import ELLIPSIS

MAX_WORDS = 64
"""Words of one full-text search at most; of a longer query those with digits and the longest ones, which are rare."""

_LONG_WORD = 20
"""Characters within which an excerpt looks for the beginning of a word."""

# Very common words. Left out are those that name a thing in another of these languages, such as the French "car".
_ENGLISH = """
    about after again all also am an and any are aren as at be because been before being between both but by can
    could couldn did didn do does doesn doing don down during each else even ever every few for from get give
    given go goes going got had hadn has hasn have haven having he her here hers him his how if in into is
    isn it its itself just let like ll made make many may me might more most much must my no nor not now of
    off on one only onto or other our ours out over own please quite re really say says shall she should
    shouldn so some still such tell than that the their theirs them then there these they this those though
    through to too under until up upon us used using ve very want was wasn we well were weren what when where
    whether which while who whom whose why will with within without won would wouldn yes yet you your yours"""
_GERMAN = """
    aber alle allem allen aller alles als ander andere anderen anderer anderes auch auf aus bei beim bis bist da
    dabei dafür damit danach dann daran darauf darin darum das dass davon dazu dein deine deinen deiner dem
    den denn der des dich diese diesem diesen dieser dieses doch dort du durch eben ein eine einem einen
    einer eines er es etwas euch euer für gegen gibt habe haben habt hatte hatten hier ihm ihn ihnen ihr ihre
    ihrem ihren ihrer im ins ist ja jede jedem jeden jeder jedes jetzt kann kannst kein keine keinen keiner
    können könnte machen mein meine meinen meiner mich mir mit muss müssen nach nicht nichts noch nun nur ob
    oder ohne sehr sein seine seinen seiner seit sich sie sind soll sollen sollte sondern sonst um und uns
    unser unsere unter viel vom von vor wann warum weil welche welchem welchen welcher welches wenn wer werde
    werden wie wieder wir wird wo woher wohin worden wurde wurden während zu zum zur zwar zwischen über"""
_FRENCH = """
    ainsi au aussi autre aux avait avant avec avoir ce ceci cela celle celui ces cet cette ceux chaque chez comme
    comment dans de depuis donc dont elle elles en encore entre est et eux faire fait il ils je la le les
    leur leurs lui là ma mais mes moi mon même ne ni nos notre nous ont ou où par parce pas peu peut peux
    pour pourquoi quand que quel quelle quelles quels qui quoi sa sans se sera ses si sont sous sur ta te tes
    toi tous tout toute toutes très tu un une va vers vos votre vous ça était été être"""
_SPANISH_AND_PORTUGUESE = """
    al algo alguno antes ao aos aquí así até como con cual cuando cuál cuáles cuándo cómo del desde donde dos dónde
    el ella ellas ellos em era esa esas ese eso esos esta estas este esto estos está están fue há isso isto
    já las lo los mas mi mis mucho muito más na nas nosotros nosso não otra otro para pela pelo pero pode por
    porque puede quem quién qué sem ser será seu seus sido sobre sua suas sus são también também tem tiene
    tus tuve uma una uno unos ya yo él"""
_ITALIAN_AND_DUTCH = """
    aan abbiamo agli alla allo anche bij che chi ci cosa cui dagli dai dal dalla dat degli dei della delle dello deze
    di dit ed een gaat gli ha hai hanno heb hebben heeft hem het ho hoe hun ik io jaar jij kan lei loro maar
    meer met mia mijn mio moet naar nei nel nella nelle niet nog noi non nu om onder ons ook op per perché
    più quale quali quando quella quello questa queste questi questo sono su sugli sul sulla suo tot tra uit
    veel vi voi voor waar waarom wanneer wat wel welke werd wij wordt zal ze zich zij zijn zo zonder zou"""
_COMMON_WORDS = frozenset(" ".join((_ENGLISH, _GERMAN, _FRENCH, _SPANISH_AND_PORTUGUESE, _ITALIAN_AND_DUTCH)).split())

_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_APOSTROPHES = re.compile("['’ʼ]")
_TOKEN = re.compile(r"[^\W_]+")
# Scripts that FTS5 does not divide into words: a whole sentence is one token.
_UNDIVIDED = re.compile("[\\u3040-\\u30ff\\u31f0-\\u31ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uac00-\\ud7af\\uf900-\\ufaff]+")
_PARTICLES = re.compile("[\\u3040-\\u309f]+")  # Hiragana


class Word(NamedTuple):
    """A word to search for.

    Attributes:
        text: As it is written in the query.
        is_start: Whether it stands for all tokens that begin with it, in a text without spaces.
    """

    text: str
    is_start: bool = False


def fold(text: str) -> str:
    """Return a text as it is compared: without its case, and with single spaces between its words."""
    return " ".join(text.split()).casefold()


def significant_words(query: str) -> list[Word]:
    """Return the words of a query that say what it is about, each once; all words if none of them does.

    What has no letter and no digit is no word. Words with marks inside (``re-index``, ``v1.2``) stay whole, but for
    apostrophes. Of scripts without spaces, each two neighbouring characters are a word.
    """
    words: dict[str, Word] = {}
    common: dict[str, Word] = {}
    for part in _APOSTROPHES.sub(" ", query).split():
        for word in _words_of(_EDGES.sub("", part)):
            key = fold(word.text)
            (common if _is_common(key, word) else words).setdefault(key, word)
    found = list((words or common).values())
    if len(found) > MAX_WORDS:
        by_rarity = sorted(found, key=lambda word: (not any(map(str.isdigit, word.text)), -len(word.text)))
        chosen = set(by_rarity[:MAX_WORDS])
        found = [word for word in found if word in chosen]
    return found


def _words_of(part: str) -> Iterable[Word]:
    """Return a word as it is, or, where it has characters of scripts without spaces, its pairs and the rest."""
    if not _UNDIVIDED.search(part):
        return [Word(part)] if part else []
    words = [Word(rest, is_start=True) for rest in _TOKEN.findall(_UNDIVIDED.sub(" ", part))]
    for run in _UNDIVIDED.findall(part):
        words += [Word(run[start : start + 2], is_start=True) for start in range(max(1, len(run) - 1))]
    return words


def _is_common(key: str, word: Word) -> bool:
    if word.is_start:
        return _PARTICLES.fullmatch(key) is not None
    if len(word.text) == 1 and word.text.isupper():
        return word.text in "AEIOY"  # but not C or R
    return all(token in _COMMON_WORDS or (len(token) == 1 and token.isalpha()) for token in _TOKEN.findall(key))


def full_text_query(words: Iterable[Word], operator: str = "OR") -> str:
    """Return the FTS5 query for messages with any of the words, or with all of them (``AND``)."""
    return f" {operator} ".join('"' + word.text.replace('"', '""') + '"' + "*" * word.is_start for word in words)


def words_in(text: str, words: Iterable[Word]) -> frozenset[Word]:
    """Return which of some words stand in a text, whatever their case."""
    folded = fold(text)
    return frozenset(word for word in words if _stands_in(folded, fold(word.text), word.is_start))


def _stands_in(text: str, word: str, is_start: bool) -> bool:
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        if is_start or _is_whole(text, start, end):
            return True
        start = text.find(word, end)
    return False


def _is_whole(text: str, start: int, end: int) -> bool:
    """Return whether a part of a text is a word, and not a part of a longer one."""
    return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())


def excerpt(text: str, words: Iterable[Word], length: int) -> str:
    """Return the part of a text that has the most of some words; its beginning, if that has as many.

    Args:
        text: The text.
        words: What the excerpt should show.
        length: Characters of it at most, with the ellipsis at each end where something is left out.
    """
    if len(text) <= length:
        return text
    room = length - 2
    first, end = _densest_part(text, words, room)
    if end < length:
        return text[: length - 1] + ELLIPSIS
    start = min(first - (room - (end - first)) // 2, len(text) - room - 1)
    space = text.find(" ", start, min(start + _LONG_WORD, first))
    start = space + 1 if space >= 0 else start
    rest = text[start:]
    return ELLIPSIS + (rest if len(rest) < length else rest[:room] + ELLIPSIS)


def _densest_part(text: str, words: Iterable[Word], length: int) -> tuple[int, int]:
    """Return begin and end of the part with the most different words, not longer than that; of several the first."""
    most, part = 0, (0, 0)
    inside: deque[tuple[int, str]] = deque()
    counts: Counter[str] = Counter()
    for start, end, found in sorted(place for word in words for place in _places(text, word)):
        inside.append((start, found))
        counts[found] += 1
        while inside and end - inside[0][0] > length:
            counts[inside.popleft()[1]] -= 1
        number = sum(count > 0 for count in counts.values())
        if number > most:
            most, part = number, (inside[0][0], end)
    return part


def _places(text: str, word: Word) -> Iterable[tuple[int, int, str]]:
    """Return begin and end of each place of a word in a text, whatever its case, and the word."""
    for found in re.finditer(re.escape(word.text), text, re.IGNORECASE):
        start, end = found.span()
        if word.is_start or _is_whole(text, start, end):
            yield start, end, word.text
