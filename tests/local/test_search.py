"""Search by words and by vectors together: what is found, in which order, with which scores."""

from __future__ import annotations

import asyncio
import hashlib
import random
import tracemalloc
from contextlib import closing
from typing import Dict, Generator, List, Optional, Sequence, Tuple

import pytest

from local.stub_models import OnlyEmbeds
from sekha.local.documented.memory import Memory
from sekha.local.models import ModelError, Purpose
from sekha.local.models.placeholder import ExtractiveModel
from sekha.local.ranking import by_rank, falling, fuse
from sekha.local.records import Dates, Filter, NewMessage, SearchResult
from sekha.local.search import POOL_SIZE, HybridSearch, Query
from sekha.local.store import Store
from sekha.local.store_vectors import BLOCK_SIZE
from sekha.local.text import DIMENSION, hash_embedding
from sekha.local.vectors import pack
from sekha.local.worker import Inline

_WORDS = (
    "apple bread cloud delta engine forest garden harbor island jungle kernel ladder market needle orange pencil quartz"
    " river silver tunnel umbrella valley window yellow zipper anchor basket candle dragon eagle falcon guitar hammer"
)
WORDS = _WORDS.split()
MEMORIES = [
    "We deploy with Helm on Fridays, after the security review.",
    "Grandmother's apple pie needs four Boskoop apples and cinnamon.",
    "The meeting with Ms. Tanaka is in 東京 on the third of May.",
    "Die Straßenbahnhaltestelle ist gegenüber vom Rathaus.",
    "昨日は京都でりんごを食べました。",
    "ฉันชอบกินข้าวผัดที่เชียงใหม่",
    "The API rate limit is 600 requests per minute and tenant.",
    "Alice prefers tea, and Bob prefers coffee.",
]


class Searched:
    """A store with a search in it."""

    def __init__(self) -> None:
        self.store = Store()
        self.search = HybridSearch(self.store)
        self.model = self.store.model("local-hash", DIMENSION)

    def close(self) -> None:
        self.store.close()

    def add(
        self, *texts: str, label: str = "x", folder: str = "/", importance: int = 5, embedded: bool = True, day: int = 1
    ) -> List[int]:
        messages = [NewMessage("user", text) for text in texts]
        dates = Dates(f"2026-01-{day:02}T00:00:00.000000000")
        _, numbers = self.store.add(label, folder, importance, messages, dates)
        if embedded:
            vectors = {number: hash_embedding(text) for number, text in zip(numbers, texts)}
            self.store.set_vectors(self.model, vectors)
        return numbers

    def query(self, text: str, words_weight: float = 2 / 3) -> Query:
        return Query(text, hash_embedding(text), self.model, words_weight)

    def find(
        self, text: str, limit: int = 10, offset: int = 0, matching: Optional[Filter] = None
    ) -> Tuple[List[SearchResult], int]:
        return self.search.find(self.query(text), matching or Filter(), limit, offset)

    def texts(self, text: str, limit: int = 10, offset: int = 0, matching: Optional[Filter] = None) -> List[str]:
        return [result.message.content for result in self.find(text, limit, offset, matching)[0]]

    def words_alone(self, text: str, limit: int = 10) -> Tuple[List[SearchResult], int]:
        return self.search.find(Query(text, None, None, 1.0), Filter(), limit)


@pytest.fixture
def searched() -> Generator[Searched, None, None]:
    with closing(Searched()) as searched:
        searched.add(*MEMORIES)
        yield searched


@pytest.fixture(scope="module")
def crowded() -> Generator[Searched, None, None]:
    """More messages than are ranked exactly, in more than one block, without two that are the same."""
    chance = random.Random(4)
    with closing(Searched()) as searched:
        for number in range((BLOCK_SIZE + 904) // 10):
            texts = [f"{' '.join(chance.choices(WORDS, k=6))} {number}-{index}" for index in range(10)]
            searched.add(*texts, folder=f"/{number % 50}", importance=number % 10 + 1, day=number % 28 + 1)
        yield searched


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("When do we deploy?", 0),
        ("deploymnet helm", 0),  # a word that is misspelt
        ("helms", 0),
        ("apple recipe", 1),
        ("Tanaka", 2),
        ("東京", 2),
        ("Bahnhaltestelle", 3),  # a part of a compound
        ("strassenbahn", 3),
        ("りんご", 4),
        ("京都", 4),
        ("ข้าว", 5),
        ("เชียงใหม่", 5),
        ("rate limits", 6),
        ("what does Alice like to drink? tea?", 7),
        (MEMORIES[6], 6),
    ],
)
def test_what_is_meant_comes_first(searched: Searched, query: str, place: int) -> None:
    assert searched.texts(query)[0] == MEMORIES[place]


def test_each_message_is_a_hit_and_scores_fall(searched: Searched) -> None:
    results, total = searched.find("apple tea review")
    assert (len(results), total) == (len(MEMORIES), len(MEMORIES))
    scores = [result.score for result in results]
    assert scores == sorted(scores, reverse=True)
    assert 1.0 > scores[0] > scores[-1] >= 0.0
    assert searched.find(MEMORIES[0])[0][0].score == 1.0


def test_what_only_words_find_scores_no_less_than_the_next(searched: Searched) -> None:
    (number,) = searched.add("The zeppelin has a mooring mast.", embedded=False)
    found, total = searched.find("Where is the zeppelin with tea for Alice and Bob?")
    assert total == len(MEMORIES) + 1
    place = [result.message.content for result in found].index("The zeppelin has a mooring mast.")
    assert place < 2
    assert found[place].score == found[place + 1].score > 0
    searched.store.set_vectors(searched.model, {number: hash_embedding("The zeppelin has a mooring mast.")})
    assert searched.find("zeppelin mooring mast")[0][0].score > 0.5


def test_vectors_of_another_model_are_not_compared(searched: Searched) -> None:
    other = searched.store.model("other", 3)
    searched.store.set_vectors(other, {number: [1.0, 0.0, 0.0] for number in (1, 2)})
    found, total = searched.search.find(Query("tea", [1.0, 0.0, 0.1], other, 0.2), Filter(), 3)
    assert [result.message.content for result in found][:2] == MEMORIES[:2]  # the vectors count more than the words
    assert total == len(MEMORIES)
    assert searched.texts(MEMORIES[4])[0] == MEMORIES[4]
    assert searched.texts(MEMORIES[1])[0] == MEMORIES[1]  # by its words


def test_without_a_vector_words_alone_find(searched: Searched) -> None:
    found, total = searched.words_alone("apple pie or tea")
    assert {result.message.content for result in found} == {MEMORIES[1], MEMORIES[7]}
    assert total == 2
    assert 1 > found[0].score > found[1].score > 0
    assert searched.words_alone("zeppelin") == searched.words_alone("?!") == ([], 0)
    assert searched.find("?!") == ([], 0)


def test_changes_are_seen_by_the_next_search(searched: Searched) -> None:
    assert "garden" not in searched.texts("garden")[0]
    searched.add("The garden has a gate.", label="garden")
    assert searched.texts("garden")[0] == "The garden has a gate."
    (garden,) = searched.store.conversations(Filter(labels=["garden"]))
    assert searched.texts("garden", matching=Filter(folder="/new")) == []
    searched.store.update(garden.id, folder="/new")
    assert searched.texts("garden", matching=Filter(folder="/new")) == ["The garden has a gate."]
    searched.store.delete(garden.id)
    assert len(searched.texts("garden", limit=99)) == len(MEMORIES)
    searched.store.clear()
    assert searched.find("garden") == ([], 0)


def test_filters_are_applied_before_the_best_are_taken(crowded: Searched) -> None:
    for matching in (
        Filter(folder="/7"),
        Filter(min_importance=10, not_status="archived"),
        Filter(start="2026-01-03T00:00:00.000000000", end="2026-01-04T00:00:00.000000000"),
        Filter(folder="/3", start="2026-01-15T00:00:00.000000000"),
        Filter(labels=["none"]),
    ):
        expected = {message.id for message in crowded.store.messages(matching)}
        found, total = crowded.find("apple river 7-3", limit=10_000, matching=matching)
        assert total == len(found) == len(expected)
        assert {result.message.id for result in found} == expected
        best = crowded.texts("apple river", limit=5, matching=matching)
        assert best == [result.message.content for result in crowded.find("apple river", 5, matching=matching)[0]]
        assert all("apple" in text or "river" in text for text in best)


@pytest.mark.parametrize("sizes", [[1, 2, 5, 40], [7] * 40, [POOL_SIZE, 2 * POOL_SIZE, 1000], [10_000]])
def test_pages_join(crowded: Searched, sizes: Sequence[int]) -> None:
    end = sum(sizes)
    whole, total = crowded.find("apple garden silver", limit=end)
    assert total == crowded.store.count_all()[1]
    assert len(whole) == min(total, end)
    pages: List[SearchResult] = []
    for size in sizes:
        pages += crowded.find("apple garden silver", size, len(pages))[0]
    assert pages == whole
    assert len({result.message.id for result in whole}) == len(whole)
    scores = [result.score for result in whole]
    assert scores == sorted(scores, reverse=True)


def test_common_words_do_not_hide_rare_ones(crowded: Searched) -> None:
    crowded.add(f"zeppelin {' '.join(WORDS)}")
    assert crowded.texts(f"{' '.join(WORDS)} zeppelin", limit=1)[0].startswith("zeppelin")
    assert crowded.words_alone("apple zeppelin", limit=1)[0][0].message.content.startswith("zeppelin")


def test_an_index_is_read_in_steps(crowded: Searched) -> None:
    search = HybridSearch(crowded.store)
    query = crowded.query("apple")
    steps = 1
    while search.prepare(query):
        steps += 1
    assert steps == 2
    assert search.find(query, Filter(), 3) == crowded.find("apple", 3)


@pytest.mark.parametrize(
    ("by_words", "by_vectors", "weight", "expected"),
    [
        ([], [], 0.5, []),
        ([1, 2], [], 0.5, [1, 2]),
        ([], [2, 1], 0.5, [2, 1]),
        ([1, 2, 3], [3, 2, 1], 2 / 3, [1, 2, 3]),
        ([1, 2, 3], [3, 2, 1], 1 / 5, [3, 2, 1]),
        ([1], [2], 0.9, [1, 2]),
        ([1], [2], 0.1, [2, 1]),
        ([1, 2], [3, 2], 0.5, [2, 1, 3]),
    ],
)
def test_two_rankings_become_one(
    by_words: List[int], by_vectors: List[int], weight: float, expected: List[int]
) -> None:
    assert fuse(by_words, by_vectors, weight) == expected


@pytest.mark.parametrize(
    ("similarities", "expected"),
    [
        ([], []),
        ([0.2, 0.5, 0.1], [0.5, 0.5, 0.1]),
        ([1.0000001, -0.3], [1.0, 0.0]),
        ([0.0, 0.0, 0.7], [0.7, 0.7, 0.7]),
    ],
)
def test_scores_fall(similarities: List[float], expected: List[float]) -> None:
    assert falling(similarities) == expected


def test_scores_of_which_only_the_order_is_known() -> None:
    scores = by_rank(500)
    assert scores == sorted(scores, reverse=True)
    assert 1 > scores[0] > scores[-1] > 0
    assert by_rank(0) == []


@pytest.fixture
def words() -> Generator[Searched, None, None]:
    with closing(Searched()) as searched:
        searched.add(*MEMORIES, embedded=False)
        yield searched


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("deploy helm", {0}),
        ('"When" "do" "we" "deploy"', {0}),  # as the client sends it: nothing has all of them
        ("apple tea", {1, 7}),
        ("apple AND tea", set()),
        ("apple NOT pie", set()),
        ("helm OR tea", {0, 7}),
        ("京都 東京", {2, 4}),
        ("りんご", {4}),
        ('"ข้าว"*', {5}),
        ("zeppelin", set()),
        ('"?"', set()),
    ],
)
def test_full_text_search_falls_back_to_any_word(words: Searched, query: str, expected: set[int]) -> None:
    found = words.search.full_text_search(query, 10)
    assert {message.content for message in found} == {MEMORIES[place] for place in expected}
    assert words.search.full_text_search(query, 0) == []


def test_the_best_of_a_full_text_search_come_first(words: Searched) -> None:
    assert [message.content for message in words.search.full_text_search("apples Bob cinnamon", 1)] == [MEMORIES[1]]


def test_the_index_follows_each_write(searched: Searched) -> None:
    expected: Dict[str, str] = {}
    chance = random.Random(5)
    for step in range(40):
        if expected and chance.random() < 0.4:
            text = chance.choice([*expected])
            assert searched.store.delete(expected.pop(text)) is not None
        else:
            text = f"{chance.choice(WORDS)} step {step}"
            searched.add(text, label=text, embedded=chance.random() < 0.8)
            (stored,) = searched.store.conversations(Filter(labels=[text]))
            expected[text] = stored.id
        found, total = searched.find("step", limit=99)
        assert {result.message.content for result in found} == {*MEMORIES, *expected}
        assert total == len(found)


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (MEMORIES[0], "01b28591223a3858"),
        (MEMORIES[3], "1f4a378aa201d7ff"),
        (MEMORIES[4], "4d60e8de2083f009"),
        (MEMORIES[5], "27196f7e5ee238f6"),
        ("京都でりんごを食べた。" * 20, "e7da871388119d41"),
        ("x" * 40, "2a6cbc4fb5d5cd0a"),
    ],
)
def test_the_vectors_of_hashed_words_do_not_change(text: str, digest: str) -> None:
    assert hashlib.sha256(pack(hash_embedding(text))).hexdigest()[:16] == digest


def test_long_words_count_by_their_beginning() -> None:
    assert hash_embedding("y" * 40) == hash_embedding("y" * 1000)
    assert hash_embedding("y" * 39) != hash_embedding("y" * 40)


@pytest.mark.parametrize("letter", ["x", "京"])
def test_the_cache_of_words_is_small(letter: str) -> None:
    hash_embedding("first")  # what the first call of a process loads is not in the cache
    tracemalloc.start(10)
    try:
        for number in range(100):
            hash_embedding(f"{letter}{number:039}")
            hash_embedding(f"{letter}{number}" + letter * 500)
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    of_this_test = tracemalloc.Filter(True, __file__, all_frames=True)  # threads of other tests may be at work
    used = sum(trace.size for trace in snapshot.filter_traces([of_this_test]).traces) / 200
    assert used > 100
    assert used * 8192 < 8 << 20


def test_the_newest_messages_are_those_of_the_last_conversations(searched: Searched) -> None:
    searched.add("first", "second", label="a")
    searched.add("third", label="b")
    searched.add("fourth", "fifth", label="a")

    def newest(limit: int, *labels: str) -> List[str]:
        return [message.content for message in searched.store.newest_messages(Filter(labels=labels), limit)]

    assert newest(9, "a") == ["first", "second", "fourth", "fifth"]
    assert newest(3, "a", "b") == ["third", "fourth", "fifth"]
    assert newest(1, "a") == ["fifth"]
    assert newest(9, "none") == newest(9) == []


class Meanings(OnlyEmbeds):
    """A model that knows two meanings, and can be switched off."""

    def __init__(self) -> None:
        self.is_down = self.hangs = False

    async def embed(
        self, texts: Sequence[str], model: Optional[str] = None, *, purpose: Optional[Purpose] = None
    ) -> Tuple[str, List[List[float]]]:
        if self.hangs:
            await asyncio.sleep(3600)
        if self.is_down:
            raise ModelError("nobody listens")
        return "meanings", [[0.9, 0.1] if "drink" in text or "tea" in text else [0.1, 0.9] for text in texts]


@pytest.fixture
def memory() -> Generator[Memory, None, None]:
    with closing(Store()) as store:
        memory = Memory(store, Meanings(), ExtractiveModel(), Inline())
        _, numbers = store.add("x", "/", 5, [NewMessage("user", text) for text in MEMORIES])
        model = store.model("meanings", 2)
        vectors = [[0.9, 0.1] if "tea" in text else [0.1, 0.9] for text in MEMORIES]
        store.set_vectors(model, dict(zip(numbers, vectors)))
        yield memory


def test_with_a_model_the_meaning_counts_more_than_the_words(memory: Memory) -> None:
    found, total = asyncio.run(memory.search("What to drink, within the rate limit?", Filter(), 3))
    texts = [result.message.content for result in found]
    assert texts[0] == MEMORIES[7]  # shares no word with the question
    assert MEMORIES[6] in texts
    assert total == len(MEMORIES)


def test_while_the_model_is_down_words_find(
    memory: Memory, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = Meanings()
    embedder.is_down = True
    memory = Memory(memory.store, embedder, ExtractiveModel(), Inline())
    found, total = asyncio.run(memory.search("What should I drink in the review?", Filter(), 9))
    assert ([result.message.content for result in found], total) == ([MEMORIES[0]], 1)
    assert "by words only: nobody listens" in caplog.text
    embedder.hangs = True
    monkeypatch.setattr("sekha.local.documented.memory.QUERY_SECONDS", 0.01)
    assert asyncio.run(memory.search("What should I drink in the review?", Filter(), 9)) == (found, total)
    assert "by words only: no response from the embedding model within 0.01 s" in caplog.text
    context = asyncio.run(memory.context("review", [], 1000, []))
    assert [message.content for message in context] == [MEMORIES[0]]
