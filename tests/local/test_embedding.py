"""Embedding in the background: what is stored before its model answers, or with another one, is found nevertheless."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import pytest

from local.stub_models import OnlyEmbeds
from sekha.local.embedding import BATCH_TEXTS, Embedding
from sekha.local.models import ModelError, Purpose
from sekha.local.models.placeholder import HashEmbedder
from sekha.local.records import NewMessage
from sekha.local.store import Store
from sekha.local.worker import Inline


class Model(OnlyEmbeds):
    """A model that a test can switch off, replace, and let refuse a text."""

    def __init__(self) -> None:
        self.name = "first"
        self.dimension = 2
        self.is_down = False
        self.refused = ""
        self.falls = False  # with the text that it refuses
        self.asked: List[List[str]] = []

    async def embed(
        self, texts: Sequence[str], model: Optional[str] = None, *, purpose: Optional[Purpose] = None
    ) -> Tuple[str, List[List[float]]]:
        assert purpose == "passage"
        self.asked.append([*texts])
        if self.is_down:
            raise ModelError("nobody listens")
        if self.refused and any(self.refused in text for text in texts):
            self.is_down = self.falls and len(texts) == 1
            raise ModelError("the text is too long")
        return self.name, [[1.0, float(len(text))][: self.dimension] + [0.0] * (self.dimension - 2) for text in texts]


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    yield store
    store.close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.local.embedding.RETRY_SECONDS", (0.001,))


def say(*texts: str) -> List[NewMessage]:
    return [NewMessage("user", text) for text in texts]


def add(store: Store, *texts: str) -> List[Tuple[int, str]]:
    _, numbers = store.add("Label", "/", 5, say(*texts))
    return [*zip(numbers, texts)]


def run(embedding: Embedding, *steps: Callable[[], bool]) -> None:
    """Let it embed until each step has been true, one after the other."""

    async def work() -> None:
        task = asyncio.ensure_future(embedding.embed_all())
        for step in steps:
            for _ in range(2000):
                if step():
                    break
                await asyncio.sleep(0.001)
            else:
                raise AssertionError("waited in vain")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())


def embedded(store: Store, name: str = "first", dimension: int = 2) -> int:
    return store.embedded(store.model(name, dimension)).with_vector


def test_what_is_in_the_store_is_embedded(store: Store) -> None:
    count = 2 * BATCH_TEXTS + 3
    add(store, *(f"text {number}" for number in range(count)))
    model = Model()
    ready: List[Tuple[int, int, int]] = []

    async def on_ready(number: int, dimension: int) -> None:
        ready.append((number, dimension, embedded(store)))

    embedding = Embedding(store, model, Inline(), on_ready)
    run(embedding, lambda: bool(ready))
    assert ready == [(store.model("first", 2), 2, count)], "it is told when all have their vectors"
    assert max(map(len, model.asked)) <= BATCH_TEXTS


def test_what_is_added_is_embedded_alone(store: Store) -> None:
    model = Model()
    embedding = Embedding(store, model, Inline())

    def add_more() -> bool:
        embedding.add(add(store, "new"))
        return True

    add(store, "old")
    run(embedding, lambda: embedded(store) == 1, add_more, lambda: embedded(store) == 2)
    assert model.asked == [["Sekha"], ["old"], ["new"]]


def test_a_model_that_is_down_is_asked_again(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    model = Model()
    model.is_down = True
    embedding = Embedding(store, model, Inline())
    embedding.add(add(store, "one", "two"))

    def come_up() -> bool:
        model.is_down = len(model.asked) < 6
        return not model.is_down

    with caplog.at_level(logging.WARNING, "sekha.local"):
        run(embedding, come_up, lambda: embedded(store) == 2)
    assert len(caplog.records) == 1, "it is said once"
    assert "nobody listens" in caplog.text


def test_another_model_embeds_all_anew(store: Store) -> None:
    add(store, "one", "two", "three")
    model = Model()
    run(Embedding(store, model, Inline()), lambda: embedded(store) == 3)
    model.name = "second"
    run(Embedding(store, model, Inline()), lambda: embedded(store, "second") == 3)
    model.dimension = 3
    run(Embedding(store, model, Inline()), lambda: embedded(store, "second", 3) == 3)
    assert embedded(store) == embedded(store, "second") == 0


def test_a_model_that_changes_while_it_runs(store: Store) -> None:
    add(store, "one", "two")
    model = Model()
    embedding = Embedding(store, model, Inline())

    def change() -> bool:
        model.name = "second"
        embedding.add(add(store, "three"))
        return True

    run(embedding, lambda: embedded(store) == 2, change, lambda: embedded(store, "second") == 3)


def test_a_search_tells_of_another_model(store: Store) -> None:
    add(store, "one")
    model = Model()
    embedding = Embedding(store, model, Inline())

    def search() -> bool:
        model.name = "second"
        embedding.answered(store.model("second", 2))
        return True

    run(embedding, lambda: embedded(store) == 1, search, lambda: embedded(store, "second") == 1)


def test_a_text_that_the_model_refuses_stops_no_other(store: Store) -> None:
    add(store, "one", "endless text", "three")
    model = Model()
    model.refused = "endless"
    embedding = Embedding(store, model, Inline())
    run(embedding, lambda: embedded(store) == 2)
    asked = len(model.asked)
    run(Embedding(store, model, Inline()), lambda: len(model.asked) > asked)
    assert ["endless text"] not in model.asked[asked:], "it is not asked for again and again"


def test_a_model_that_goes_down_with_a_text_refuses_nothing(store: Store) -> None:
    add(store, "one", "endless text", "three")
    model = Model()
    model.refused, model.falls = "endless", True

    def come_up() -> bool:
        if model.is_down:
            model.refused, model.is_down = "", False
        return not model.refused

    run(Embedding(store, model, Inline()), come_up, lambda: embedded(store) == 3)


def test_a_message_that_is_deleted_meanwhile_gets_no_vector(store: Store) -> None:
    added = add(store, "one")
    store.clear()
    again = add(store, "two")
    assert again[0][0] > added[0][0], "no number is used twice"
    embedding = Embedding(store, Model(), Inline())
    embedding.add(added)
    run(embedding, lambda: embedded(store) == 1)
    assert [number for number, _ in store.vectors(store.model("first", 2))] == [again[0][0]]


def test_a_vector_of_another_length_is_made_again(store: Store) -> None:
    add(store, "one", "two")
    run(Embedding(store, Model(), Inline()), lambda: embedded(store) == 2)
    model = store.model("first", 2)
    store._db.execute("UPDATE vectors SET vector = x'7f' WHERE message = 1")  # as damage or another release could
    assert [number for number, _ in store.vectors(model)] == [2]
    assert [vector is None for *_, vector in store.message_block(0, model)] == [True, False]
    run(Embedding(store, Model(), Inline()), lambda: [number for number, _ in store.vectors(model)] == [1, 2])


def test_rebuilding_embeds_all_anew(store: Store) -> None:
    add(store, *(f"text {number}" for number in range(BATCH_TEXTS + 1)))
    model = Model()
    embedding = Embedding(store, model, Inline())

    def rebuild() -> bool:
        model.asked.clear()
        embedding.rebuild()
        return True

    run(
        embedding,
        lambda: embedded(store) == BATCH_TEXTS + 1,
        rebuild,
        lambda: sum(map(len, model.asked)) == BATCH_TEXTS + 1,
    )


def test_a_database_that_cannot_be_written_is_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, "one")
    keep, failures = store.set_vectors, [sqlite3.OperationalError("database or disk is full")] * 2

    def fail(model: int, vectors: Mapping[int, Optional[Sequence[float]]]) -> None:
        if failures:
            raise failures.pop()
        keep(model, vectors)

    monkeypatch.setattr(store, "set_vectors", fail)
    run(Embedding(store, Model(), Inline()), lambda: embedded(store) == 1)


def test_the_status_tells_of_a_model_that_hangs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.local.embedding.PATIENCE_SECONDS", -1.0)
    add(store, "one")
    model = Model()
    embedding = Embedding(store, model, Inline())

    async def ask() -> str:
        asking = asyncio.Event()

        async def hang(*_: object, **__: object) -> None:
            asking.set()
            await asyncio.sleep(3600)

        monkeypatch.setattr(model, "embed", hang)
        task = asyncio.ensure_future(embedding.embed_all())
        await asking.wait()
        status = await embedding.status()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return str(status.error)

    assert asyncio.run(ask()) == "no response from the model for 0 s"


def test_the_status_says_how_many_can_be_found(store: Store) -> None:
    model = Model()
    model.is_down = True
    embedding = Embedding(store, model, Inline())
    add(store, *map(str, range(1234)))
    found: Dict[str, Any] = {}

    def fails() -> bool:
        found["status"] = asyncio.ensure_future(embedding.status())
        return bool(model.asked)

    run(embedding, fails, lambda: found["status"].done())
    assert str(found["status"].result()) == "0 of 1,234 messages searchable by meaning"
    hashed = asyncio.run(Embedding(store, HashEmbedder(), Inline()).status())
    assert str(hashed) == "0 of 1,234 messages searchable by parts of words"
    assert hashed.error is None


def test_what_is_embedded_is_counted_again_only_after_a_write(tmp_path: Path) -> None:
    """Health asks for it all the time, on a connection of its own."""
    store = Store(tmp_path / "memory.db")
    try:
        (first, _), (second, _) = add(store, "one", "two")
        model = store.model("first", 2)
        store.set_vectors(model, {first: [1.0, 0.0]})
        beside = store.beside
        assert isinstance(beside, Store)
        assert beside is not store
        for connection in (store, beside):
            asked: List[str] = []
            connection._db.set_trace_callback(asked.append)
            assert [connection.embedded(model) for _ in range(3)] == [(2, 1)] * 3
            assert len([query for query in asked if "COUNT" in query]) == 2
            assert connection.embedded(None) == (2, 0)
            connection._db.set_trace_callback(None)
            assert connection.embedded(model) == (2, 1)
        store.set_vectors(model, {second: [0.0, 1.0]})
        assert store.embedded(model) == beside.embedded(model) == (2, 2)
        add(store, "three")
        assert store.embedded(model) == beside.embedded(model) == (3, 2)
    finally:
        store.close()
