"""Makes the data files of `tests/data`, one of each version: `python -m support.data_files tests/data/local-1.db`.

A file of an older version was written by the package of its time; a later one is made by this package. It has, through
requests alone: labels, folders, importance, dates, an archived and a pinned conversation, texts in several
scripts, and messages that have no vector, since their model did not answer.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict, List

import httpx

from sekha.local import LocalSekha

CONVERSATIONS: List[Dict[str, Any]] = [
    {
        "label": "Deployment",
        "folder": "/work",
        "importance_score": 8,
        "created_at": "2024-03-01T09:00:00Z",
        "messages": [
            {"role": "user", "content": "How do we deploy the api?", "timestamp": "2024-03-01T09:00:00Z"},
            {"role": "assistant", "content": "On kubernetes, on Tuesdays.", "timestamp": "2024-03-01T09:01:00Z"},
        ],
    },
    {
        "label": "Deployment",
        "folder": "/work/old",
        "status": "archived",
        "created_at": "2021-05-04T03:02:01Z",
        "messages": [{"role": "system", "content": "By hand, with the file swordfish.txt."}],
    },
    {
        "label": "Größe & Ärger",
        "folder": "/persönlich",
        "messages": [
            {"role": "user", "content": "Die Straßenbahnhaltestelle heißt «Zoo» 🐘\u2028und nicht anders."},
            {"role": "assistant", "content": "'; DROP TABLE messages; --"},
        ],
    },
    {
        "label": "旅行",
        "folder": "/個人",
        "importance_score": 10,
        "messages": [
            {"role": "user", "content": "我们明天去北京大学图书馆。"},
            {"role": "assistant", "content": "東京駅から新幹線で京都へ行きます。"},
            {"role": "user", "content": "วันนี้อากาศดีมาก"},
        ],
    },
]  # fmt: skip
UNSEARCHABLE: Dict[str, Any] = {
    "label": "Without a model",
    "folder": "/work",
    "messages": [{"role": "user", "content": "The model was down when the umbrella was bought."}],
}


def make(path: Path) -> None:
    """Write a data file; those that are there are replaced."""
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        name.unlink(missing_ok=True)
    with LocalSekha(data=path) as sekha:
        _store(sekha, CONVERSATIONS)
    with LocalSekha(data=path, embeddings_url="http://127.0.0.1:9/v1") as sekha:
        _store(sekha, [UNSEARCHABLE])
    path.chmod(0o644)  # as in a fresh checkout


def _store(sekha: LocalSekha, conversations: List[Dict[str, Any]]) -> None:
    headers = {"authorization": f"Bearer {sekha.api_key}"}
    with httpx.Client(verify=False, base_url=sekha.controller_url, headers=headers) as api:
        for conversation in conversations:
            api.post("/api/v1/conversations", json=conversation).raise_for_status()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
