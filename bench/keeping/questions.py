"""Whether a search finds the passage that answers a question."""

from __future__ import annotations

import json
from pathlib import Path

from keeping.serving import Server
from sekha import SekhaClient

FIRST = 5
"""Hits among which the passage must be."""


def recall(file: Path) -> float:
    """The part of the questions whose passage is among the first hits.

    Args:
        file: Lines of JSON: passages ``p``, with a question ``q`` each, or without one.
    """
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    asked = [row for row in rows if row.get("q")]
    found = 0
    with Server(None) as server, SekhaClient(**server.options) as client:
        passages = ({"label": "FAQ", "messages": [{"role": "assistant", "content": row["p"]}]} for row in rows)
        client.controller.import_conversations(passages)
        server.settle()
        for row in asked:
            hits = client.controller.query(row["q"], limit=FIRST)["results"]
            found += any(hit["content"] == row["p"] for hit in hits)
    return found / len(asked)
