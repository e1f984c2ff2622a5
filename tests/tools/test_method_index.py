"""The command that writes the index of all methods (`tools/method_index.py`), and the page as it is."""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
import sys
from pathlib import Path
from typing import Any, List, Set, Tuple

import pytest

import sekha

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
tool: Any = importlib.import_module("method_index")
sys.path.pop(0)

PAGE = (ROOT / tool.PAGE).read_text("utf-8")
CLIENTS = [getattr(sekha, name) for name in sekha.__all__ if name.endswith(("Client", "Controller", "Stream"))]
WALKED = ("iter_conversations", "text_stream")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The pages of the reference, without the index."""
    shutil.copytree(ROOT / tool.FOLDER, tmp_path / tool.FOLDER)
    (tmp_path / tool.PAGE).unlink()
    return tmp_path


def test_the_index_is_up_to_date() -> None:
    assert tool.main(["--check"]) == 0, "run: python tools/method_index.py"


def test_the_command_writes_what_is_missing_or_stale(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = root / tool.PAGE
    for stale in (None, PAGE.replace("summarize", "summarise")):
        if stale is not None:
            file.write_text(stale, "utf-8")
        assert tool.main(["--root", str(root), "--check"]) == 1
        assert capsys.readouterr().out == f"{tool.PAGE} is out of date, run: python tools/method_index.py\n"
        assert tool.main(["--root", str(root)]) == 0
        assert file.read_text("utf-8") == PAGE
        assert tool.main(["--root", str(root), "--check"]) == 0
        capsys.readouterr()


def sections() -> List[str]:
    return re.split(r"^## ", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("cls", CLIENTS, ids=lambda cls: cls.__name__)
def test_every_method_of_a_client_stands_once_beside_its_twin_and_once_from_a_to_z(cls: type) -> None:
    folder, of = ("async" if cls.__name__.startswith("Async") else "sync"), cls.__name__
    names = {name for name, _ in inspect.getmembers(cls, inspect.isroutine) if not name.startswith("_")}
    if "aclose" in names:
        names.discard("close")  # of clients, another name for the same
    links = re.findall(rf"\({folder}/\w+\.md#sekha\.{of}\.(\w+)\)", PAGE)
    assert sorted(links) == sorted([*names, *names])
    (section,) = (one for one in sections() if re.match(rf"(?:{of},|\w+, {of}$)", one.split("\n")[0]))
    assert section.count(f".md#sekha.{of}.") == len(names)


def test_every_spelling_is_one_that_works() -> None:
    for call, folder, path in re.findall(r"\[`([^`]+)`\]\((sync|async)/\w+\.md#([\w.]+)\)", PAGE):
        name = path.rpartition(".")[2]
        method = tool.resolved(path.rpartition(".")[0])
        function = getattr(method, name)
        assert call.startswith("await ") == inspect.iscoroutinefunction(inspect.unwrap(function)), call
        assert call.startswith("async for ") == (folder == "async" and name in tool.WALKED), call
        assert f"{name}(...)" in call


def test_every_link_leads_to_what_the_reference_documents() -> None:
    """The strict build looks at the anchors themselves."""
    pages = [*(f"{folder}/{name}" for folder in ("sync", "async") for name in tool.CLIENTS), *tool.shared_pages(ROOT)]
    documented: Set[Tuple[str, str]] = {(page, path) for page in pages for path in tool.listed(ROOT, page)}
    links = re.findall(r"\(([\w/-]+)\.md#([\w.]+)\)", PAGE)
    assert len(links) > 200
    for page, path in links:
        assert {(page, path), (page, path.rpartition(".")[0])} & documented, path


def test_no_cell_is_empty() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert not [row for row in rows if "|  |" in row]
