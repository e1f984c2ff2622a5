"""`examples/notebook.ipynb`, executed in a kernel against a local Sekha."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Any, Dict, List

import nbformat
import pytest

from examples.notebooks import PICTURE, execute, outputs, read
from sekha import SekhaClient
from sekha.local import LocalSekha

PNG = b"\x89PNG\r\n\x1a\n"
OTHERS = {"/work": "Plans", "/home": "2026-99-99 is no day"}
"""Folders and labels of what is in the memory before."""


def cell(notebook: Any, id: str) -> Any:
    return next(cell for cell in notebook.cells if cell.id == id)


def test_the_notebook_is_valid_and_has_no_outputs() -> None:
    notebook = read()
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in codes] == [([], None)] * len(codes)
    assert [cell.metadata for cell in notebook.cells] == [{}] * len(notebook.cells)


@pytest.mark.slow
def test_the_notebook_runs_and_shows_tables_and_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    again = "client = SekhaClient()\n" + cell(read(), "store").source
    (removing,) = re.findall(r"```python\n(.+?)```", cell(read(), "close-text").source, re.DOTALL)
    with LocalSekha(api_key="sk-of-the-notebook") as sekha, SekhaClient(**sekha.options) as client:
        monkeypatch.setenv("SEKHA_CONTROLLER_URL", sekha.controller_url)
        monkeypatch.setenv("SEKHA_API_KEY", sekha.api_key)
        for folder, label in OTHERS.items():
            client.controller.create_conversation(label=label, folder=folder, messages=[])
        before = everything(client)
        executed = execute("asyncio.get_running_loop().is_running()", "import os; os.getpid()", again, removing)
        assert everything(client) == before

    shown: List[Any] = [cell.outputs for cell in executed.cells if cell.cell_type == "code"]
    loop, process, stored_again, removed = shown[-4:]
    assert loop[0].data["text/plain"] == "True"
    with pytest.raises(ProcessLookupError):
        os.kill(int(process[0].data["text/plain"]), 0)
    assert cell(executed, "store").outputs[0].text == "12 stored, 0 were there\n"
    assert stored_again[0].text == "0 stored, 12 were there\n"
    assert removed == []
    assert not [output for cell in shown for output in cell if output.get("name") == "stderr"]

    found, memory = outputs(executed, "text/html")
    assert "<table" in found
    assert "we take the small hotel by the river" in found
    assert "<table" in memory
    assert all(label in memory for label in OTHERS.values())
    assert len(re.findall("<td>/notebook-demo/", memory)) == 12
    (picture,) = outputs(executed, "image/png")
    assert base64.b64decode(picture).startswith(PNG)


def test_the_documentation_has_the_picture() -> None:
    assert PICTURE.read_bytes().startswith(PNG)
    assert PICTURE.stat().st_size < 150_000


def everything(client: SekhaClient) -> Dict[str, str]:
    return {row["folder"]: row["label"] for row in client.controller.iter_conversations()}
