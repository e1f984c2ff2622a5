"""All figures of one source tree on one store, measured in a process that has loaded that tree."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keeping.calls import calls, prune, time_call
from keeping.questions import recall
from keeping.serving import Server
from keeping.texts import write_export
from sekha import SekhaClient
from sekha.exports import read_export
from sekha.types import ImportReport

IMPORTED = 2_000
"""Messages of the import that is timed, and of the one while which health is asked for."""
REBUILD_SECONDS = 60.0
"""How long the health of a server that embeds everything anew is watched."""


def make_store(file: Path, messages: int, texts: Path | None = None) -> None:
    """Fill a file with conversations through a server and its client; it is there when it is whole."""
    with tempfile.TemporaryDirectory(dir=file.parent) as place:
        begun = Path(place) / "memory.db"
        with Server(begun) as server, SekhaClient(**server.options) as client:
            report = import_messages(client, begun.parent, messages, 19, texts)
            if report["failed"]:
                raise RuntimeError(str(report["failures"][:3]))
            server.settle()
        begun.rename(file)


def import_messages(
    client: SekhaClient, folder: Path, messages: int, seed: int, texts: Path | None = None
) -> ImportReport:
    """Import made conversations, with their dates, from a file as an application writes it."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        export = Path(place) / "export.jsonl"
        write_export(export, messages, seed, texts)
        return client.controller.import_conversations(read_export(export))


def measure(store: Path, folder: Path, only: str = "", questions: Path | None = None) -> dict[str, Any]:
    """Measure everything on a copy of a store; ``only`` leaves all out but the calls whose name has it."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        if not only:
            figures.update(_start("start, empty", Path(place) / "empty.db"))
        file = Path(place) / "memory.db"
        shutil.copy(store, file)
        if not only:
            figures["file, MiB"] = file.stat().st_size / 2**20
            with Server(file) as server:  # a file of an older version is brought up to date
                server.settle()
            figures["file, MiB"] = file.stat().st_size / 2**20
            figures.update(_start("start on the file", file))
        with Server(file) as server, SekhaClient(**server.options) as client:
            if not only:
                figures["first query, ms"] = _first_query(client)
            for name, call in calls(client):
                if only in name:
                    _note(name)
                    figures[name] = time_call(server, call)._asdict()
            if not only:
                figures["memory after these, MiB"] = server.memory_mib()
                figures.update(_imports(server, client, Path(place)))
                figures.update(_waits(server, client, Path(place)))
    if questions is not None:
        figures["recall@5"] = recall(questions)
    return figures


def _note(what: str) -> None:
    print(f"    {what}", file=sys.stderr, flush=True)


def _start(name: str, file: Path) -> dict[str, float]:
    times = []
    for _ in range(5):
        with Server(file) as server:
            used, memory = server.processor_ms(), server.memory_mib()
            times.append((1000 * server.start_seconds, used, memory))
    waited, used, memory = (sorted(column)[2] for column in zip(*times))
    return {f"{name}, ms": waited, f"{name}, processor ms": used, f"{name}, memory MiB": memory}


def _first_query(client: SekhaClient) -> float:
    began = time.perf_counter()
    client.controller.query("something that nobody has asked for yet")
    return 1000.0 * (time.perf_counter() - began)


def _imports(server: Server, client: SekhaClient, folder: Path) -> dict[str, float]:
    """How many messages an import stores in a second, and what one costs, until all are searchable."""
    _note("import")
    server.settle()
    before, began = server.processor_ms(), time.perf_counter()
    import_messages(client, folder, IMPORTED, 20)
    seconds = time.perf_counter() - began
    server.settle()
    return {
        "import, messages a second": IMPORTED / seconds,
        "import, processor ms a message": (server.processor_ms() - before) / IMPORTED,
    }


def _waits(server: Server, client: SekhaClient, folder: Path) -> dict[str, float]:
    """The longest answer of health while something else is done."""

    def rebuild() -> None:
        client.controller.rebuild_embeddings()
        server.settle(REBUILD_SECONDS)

    busy: dict[str, Callable[[], object]] = {
        "nothing": lambda: time.sleep(3),
        "a query": lambda: client.controller.query("something that nobody has asked for yet"),
        "a prune": lambda: prune(client),
        "an import": lambda: import_messages(client, folder, IMPORTED, 21),
        "a re-embedding": rebuild,
    }
    found: dict[str, float] = {}
    for name, work in busy.items():
        _note(f"health during {name}")
        server.settle()
        with server.watched() as longest:
            work()
        found[f"longest health during {name}, ms"] = longest()
    return found


def main(arguments: list[str]) -> None:
    """Make a store, or measure; the arguments are JSON, and so are the figures."""
    given = json.loads(arguments[0])
    paths = {name: given[name] and Path(given[name]) for name in ("store", "folder", "questions", "texts")}
    if not paths["store"].exists():
        _note(f"making {paths['store']}")
        make_store(paths["store"], given["messages"], paths["texts"])
    print(json.dumps(measure(paths["store"], paths["folder"], given["only"], paths["questions"])))
