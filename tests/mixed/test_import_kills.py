"""Imports and syncs that are killed again and again, in both flavours: at the end all is there, once."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Counter as Counted
from typing import Tuple

import pytest

import sekha
from sekha import SekhaClient
from sekha.local import LocalSekha

KILLS = 20
CONVERSATIONS = 600
FLAVOURS = ("blocking", "asyncio", "trio")
SOURCE = str(Path(sekha.__file__ or "").parents[1])
TESTS = str(Path(__file__).parents[1])

Told = Tuple[str, Tuple[str, ...]]


def importer(*arguments: object, program: str = "support.importer") -> subprocess.Popen[str]:
    """The import, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((SOURCE, TESTS))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def memory(options: object) -> Counted[Told]:
    """Everything that is stored, and how often."""
    found: Counted[Told] = Counter()
    with SekhaClient(**options) as client:  # type: ignore[arg-type]  # the options of the local Sekha
        for row in client.controller.iter_conversations():
            messages = client.controller.get_messages(row["conversation_id"])
            found[row["label"], tuple(str(message["content"]) for message in messages)] += 1
    return found


@pytest.mark.slow
@pytest.mark.logs_may_show_keys
def test_an_import_survives_twenty_kills(tmp_path: Path) -> None:
    chance = random.Random(7)
    export, journal = tmp_path / "chats.jsonl", tmp_path / "import.journal"
    expected: Counted[Told] = Counter()
    with export.open("w") as file:
        for number in range(CONVERSATIONS):
            number -= number % 10 == 9  # some are there twice
            label = f"Chat {number % 3}"  # many bear one name, and some are the beginning of others
            texts = tuple(f"{number // 4} {turn}" for turn in range(1 + number % 4))
            messages = [{"role": ("user", "assistant")[turn % 2], "content": text} for turn, text in enumerate(texts)]
            file.write(json.dumps({"label": label, "messages": messages}) + "\n")
            expected[label, texts] += 1

    with LocalSekha() as local:
        for kill in range(KILLS):
            flavour = FLAVOURS[kill % len(FLAVOURS)]
            size = journal.stat().st_size if journal.exists() else 0
            with importer(local.controller_url, export, journal, flavour) as process:
                while process.poll() is None and not (journal.exists() and journal.stat().st_size > size):
                    time.sleep(0.002)  # until it stores something
                time.sleep(chance.uniform(0, 0.06))
                finished = process.poll() is not None
                process.kill()
                assert not finished, f"nothing was left for kill {kill}: {process.communicate()}"
        with importer(local.controller_url, export, journal, "blocking") as process:
            out, err = process.communicate(timeout=120)
        assert out.split() == [str(CONVERSATIONS), "0"], err
        found = memory(local.options)
    assert found - expected == Counter(), "stored twice"
    assert expected - found == Counter(), "lost"


@pytest.mark.slow
@pytest.mark.logs_may_show_keys
def test_a_sync_survives_kills_between_which_notes_are_edited(tmp_path: Path) -> None:
    chance = random.Random(11)
    notes = tmp_path / "notes"
    journal = notes / ".sekha-journal"
    notes.mkdir()

    def edit(count: int) -> None:
        for _ in range(count):
            file = notes / f"{chance.randrange(150)}.md"
            if file.exists() and chance.random() < 0.2:
                file.unlink()
            else:
                file.write_text(f"version {chance.random()}")

    edit(200)
    with LocalSekha() as local:
        for kill in range(9):
            size = journal.stat().st_size if journal.exists() else 0
            flavour = FLAVOURS[kill % len(FLAVOURS)]
            with importer(local.controller_url, notes, flavour, program="support.syncer") as process:
                while process.poll() is None and not (journal.exists() and journal.stat().st_size > size):
                    time.sleep(0.002)  # until it stores something
                time.sleep(chance.uniform(0, 0.06))
                process.kill()
                process.communicate()
            edit(25)
        expected: Counted[Told] = Counter((file.stem, (file.read_text(),)) for file in notes.glob("*.md"))
        with importer(local.controller_url, notes, "blocking", program="support.syncer") as process:
            out, err = process.communicate(timeout=120)
        assert out.split() == [str(len(expected)), "0"], err
        found = memory(local.options)
    assert found - expected == Counter(), "twice, or an earlier version"
    assert expected - found == Counter(), "lost"
