"""Imports into a server that is killed again and again while it stores: at the end all is there, once."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Dict, List
from typing import Counter as Counted

import pytest

import sekha
import sekha._sync.controller.import_run
from sekha import SekhaClient, SekhaError
from sekha.exports import read_export
from support.facts import MCP_KEY, REST_KEY

KILLS = 6
CONVERSATIONS = 150
GRACE = 0.5
"""Seconds after which a request counts as lost; on one machine none takes as long."""
PATHS = (str(Path(sekha.__file__ or "").parents[1]), str(Path(__file__).parents[1]))


@contextmanager
def server(port: int, data: Path) -> Generator[subprocess.Popen[str], None, None]:
    """The server, in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "support.killed_server", str(port), str(data)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        yield process
        process.kill()


def chats(kind: str) -> Generator[Dict[str, Any], None, None]:
    """Conversations of an export with ids, or of JSON lines; many bear one name."""
    for number in range(CONVERSATIONS):
        texts = [f"{number} {turn}" for turn in range(1 + number % 7)]
        label = f"Chat {number % 3}"
        if kind == "with ids":
            messages = [{"sender": ("human", "assistant")[turn % 2], "text": text} for turn, text in enumerate(texts)]
            yield {"uuid": f"c-{number}", "name": label, "chat_messages": messages}
        else:
            yield {"label": label, "messages": [{"role": "user", "content": text} for text in texts]}


@pytest.mark.slow
@pytest.mark.promise("W14")
@pytest.mark.logs_may_show_keys
@pytest.mark.parametrize("kind", ["with ids", "without ids"])
def test_what_a_killed_server_has_stored_in_part_is_completed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IN_FLIGHT_GRACE", "_GROWTH_GRACE"):
        monkeypatch.setattr(sekha._sync.controller.import_run, name, GRACE)
    chance = random.Random(5)
    export, journal, data = (tmp_path / name for name in ("export.json", "journal", "sekha.db"))
    export.write_text("\n".join(map(json.dumps, chats(kind))))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options: Dict[str, Any] = {
        "controller_url": f"http://127.0.0.1:{port}",
        "api_key": REST_KEY,
        "mcp_api_key": MCP_KEY,
    }

    def bring(client: SekhaClient) -> Any:
        return client.controller.import_conversations(read_export(export), journal=journal)

    for _ in range(KILLS):
        with server(port, data) as process, SekhaClient(**options, max_retries=0) as client:
            killer = threading.Timer(chance.uniform(0.2, 0.5), process.kill)
            killer.start()
            with suppress(SekhaError):
                bring(client)
            killer.join()
    with server(port, data), SekhaClient(**options) as client:
        stored = [row["id"] for row in client.controller.iter_conversations()]
        parts = sum(not client.controller.get_messages(id) for id in stored)
        report = bring(client)
        assert (report["seen"], report["failed"], report["failures"]) == (CONVERSATIONS, 0, [])
        assert len(report["changes"]) + parts > 0, "none was killed in the middle"
        assert {change["action"] for change in report["changes"]} <= {"mended"}
        again = bring(client)
        assert again["already_stored"] == CONVERSATIONS
        found: Counted[str] = Counter()
        labels: List[str] = []
        for row in client.controller.iter_conversations(archived=False):
            messages = client.controller.get_messages(row["id"])
            assert messages, "an empty one stayed"
            found.update(str(message["content"]) for message in messages)
            labels.append(row["label"].replace(" (continued)", ""))
    expected = Counter(f"{number} {turn}" for number in range(CONVERSATIONS) for turn in range(1 + number % 7))
    assert found - expected == Counter(), "stored twice"
    assert expected - found == Counter(), "lost"
    assert set(labels) == {"Chat 0", "Chat 1", "Chat 2"}
