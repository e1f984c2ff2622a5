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
        file: JSON: ``pairs`` of a question ``q`` and its passage ``p``, and ``others``, passages without one.
    """
    given = json.loads(file.read_text(encoding="utf-8"))
    passages = [*(pair["p"] for pair in given["pairs"]), *given["others"]]
    found = 0
    with Server(None) as server, SekhaClient(**server.options) as client:
        stored = ({"label": "FAQ", "messages": [{"role": "assistant", "content": text}]} for text in passages)
        client.controller.import_conversations(stored)
        server.settle()
        for pair in given["pairs"]:
            hits = client.controller.query(pair["q"], limit=FIRST)["results"]
            found += any(hit["content"] == pair["p"] for hit in hits)
    return found / len(given["pairs"])
