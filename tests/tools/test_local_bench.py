"""`bench/local.py`: its texts are the same everywhere, and a small store is made and measured."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("starlette")

BENCH = Path(__file__).parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from keeping import command, measuring, texts  # noqa: E402
from keeping.calls import percentile  # noqa: E402


def test_texts_are_the_same_on_every_machine() -> None:
    made = json.dumps(list(texts.conversations(1000)))
    assert hashlib.sha256(made.encode()).hexdigest()[:12] == "6ddf7fce77f4"
    assert list(texts.conversations(50, seed=1)) != list(texts.conversations(50, seed=2))


def test_texts_are_as_many_and_as_long_as_told() -> None:
    made = list(texts.conversations(5000))
    messages = [message["content"] for one in made for message in one["messages"]]
    assert len(messages) == 5000
    assert 260 < sum(map(len, messages)) / len(messages) < 290
    assert 8 < len(messages) / len(made) < 10
    assert {one["folder"] for one in made} == set(texts.FOLDERS)
    assert {one["label"] for one in made} == set(texts.LABELS)
    assert {one["importance_score"] for one in made} == set(range(1, 11))
    assert made[0]["created_at"][:4] < made[-1]["created_at"][:4]


def test_texts_may_be_the_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("".join(f"This is line {number}, and no other.\n" for number in range(20)), encoding="utf-8")
    made = [message["content"] for one in texts.conversations(30, file=file) for message in one["messages"]]
    assert made[0].startswith("This is line 0, and no other.")
    assert all(text.startswith("This is line") for text in made)


def test_a_table_has_a_column_for_each_tree_and_a_dash_for_what_is_missing() -> None:
    call = {"p50": 1.234, "p95": 123.4, "processor": 12.34, "repeats": 9}
    assert command.table({"10 before": {"get": call}, "10 now": {"file, MiB": 2}}).splitlines() == [
        "| ms: p50 / p95 · processor | 10 before | 10 now |",
        "| --- | --- | --- |",
        "| get | 1.23 / 123 · 12.3 | - |",
        "| file, MiB | - | 2.00 |",
    ]
    assert percentile([3.0, 1.0, 2.0], 0.95) == 3.0


@pytest.mark.slow
def test_a_small_store_is_made_and_measured(tmp_path: Path) -> None:
    store = tmp_path / "small.db"
    measuring.make_store(store, 40)
    figures = measuring.measure(store, tmp_path, only="list")
    assert list(figures) == ["list, page 1 of 50", "list with a folder"]
    assert all(0 < figure["p50"] <= figure["p95"] for figure in figures.values())
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".db"] == ["small.db"]
