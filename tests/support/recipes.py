"""Recipes of the documentation as programs: their files, exports to import, and what must be stored at the end."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Mapping

import sekha as package
from sekha import SekhaClient
from sekha.exports import read_export
from sekha.local import LocalSekha

from .examples.blocks import blocks_of
from .watched import WatchedServer

ROOT = Path(__file__).parents[2]
PARTITIONS, CONVERSATIONS = 6, 15
LIMIT, WINDOW = 50, 4.0
JITTER = 2.0
"""Seconds that one request may take longer to arrive than another; so in a window that much shorter the limit holds."""


def write_recipe(page: str, folder: Path, changes: Mapping[str, str] = {}) -> None:
    """Write the files of a page.

    Args:
        page: Its path in the documentation.
        folder: Where they are written.
        changes: Texts that are replaced, such as a number of seconds that a test does not wait for.
    """
    blocks = blocks_of((ROOT / "docs" / page).read_text("utf-8"), page)
    found = {block.title: block.source for block in blocks if block.is_file}
    for old, new in changes.items():
        assert sum(old in source for source in found.values()) == 1, f"{old!r} is not there once"
        found = {title: source.replace(old, new) for title, source in found.items()}
    for title, source in found.items():
        (folder / title).parent.mkdir(parents=True, exist_ok=True)
        (folder / title).write_text(source, "utf-8")


def write_exports(folder: Path, partitions: int = PARTITIONS) -> List[Path]:
    """Write files of JSON lines, whose conversations all differ."""
    folder.mkdir()
    paths = [folder / f"chats-{number}.jsonl" for number in range(partitions)]
    for path in paths:
        lines = [
            {
                "label": f"{path.stem} {number}",
                "messages": [{"role": "user", "content": f"{path.stem} {number} {turn}"} for turn in range(2)],
            }
            for number in range(CONVERSATIONS)
        ]
        path.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return paths


def settings_for(sekha: LocalSekha, watched: WatchedServer) -> Dict[str, str]:
    """Return the environment of a program that reaches the server through the proxy."""
    options: Dict[str, Any] = {**sekha.options, "controller_url": watched.url}
    options.update(rate_limit_requests=LIMIT, rate_limit_window=WINDOW, timeout=120)  # a write may be held for long
    settings = {f"SEKHA_{name.upper()}": str(value) for name, value in options.items()}
    return {**settings, "PYTHONPATH": str(Path(package.__file__ or "").parents[1])}


def check_all_is_stored_once(sekha: LocalSekha, watched: WatchedServer, exports: List[Path]) -> None:
    """Fail if a conversation is not there, or twice, or not in its journal, or if the limit was not kept."""
    assert watched.most_requests_in(WINDOW - JITTER) <= LIMIT, f"{watched.most_requests_in(WINDOW - JITTER)} requests"
    expected = Counter(f"{path.stem} {number}" for path in exports for number in range(CONVERSATIONS))
    options: Any = {**sekha.options, "controller_url": watched.url}
    with SekhaClient(**options) as client:
        found = Counter(row["label"] for row in client.controller.iter_conversations())
        assert found - expected == Counter(), "stored twice"
        assert expected - found == Counter(), "lost"
        for path in exports:
            report = client.controller.import_conversations(read_export(path), journal=f"{path}.sekha-journal")
            assert (report["seen"], report["already_stored"]) == (CONVERSATIONS, CONVERSATIONS), "the journal"
