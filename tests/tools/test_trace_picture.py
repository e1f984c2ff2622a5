"""The turn of a chat whose trace is in the picture of the page; Phoenix itself is not needed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, List, Tuple

import pytest

pytest.importorskip("starlette")

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from sekha.testing import ScriptedSekha
from support.spans import Spans

trace_picture: Any = importlib.import_module("trace_picture")


def test_the_trace_is_that_of_the_picture(spans: Spans) -> None:
    with ScriptedSekha() as sekha:
        trace_id = trace_picture.turn(sekha, spans.provider)
    tree: List[Tuple[str, List[Any]]] = [
        (span.name, [(dict(child.attributes or {}).get("http.response.status_code")) for child in spans.children(span)])
        for span in spans.operations
        if f"{span.context.trace_id:032x}" == trace_id
    ]
    assert tree == [("search_memory", [502, 200, 200]), ("chat llama3.1:8b", [200]), ("create_memory", [201])]


def test_the_picture_is_small() -> None:
    assert 10_000 < trace_picture.PICTURE.stat().st_size < 200_000
