"""The design page and its picture say what the package is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List, Set

from support.integrations import load

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sekha"
PAGE = (ROOT / "docs" / "contributing" / "architecture.md").read_text("utf-8")
PICTURE = (ROOT / "docs" / "assets" / "architecture.svg").read_text("utf-8")
LAYERS: List[str] = re.findall(
    r'"([^"]+)"', (ROOT / "pyproject.toml").read_text("utf-8").partition("\nlayers = [")[2].partition("]")[0]
)
BLOCKS: List[str] = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_lists_the_layers_that_are_checked() -> None:
    assert len(LAYERS) == 15
    assert BLOCKS[0].split("\n")[:-1] == LAYERS


def test_the_picture_shows_the_same_layers_in_their_order() -> None:
    shown = re.findall(r'class="code"[^>]*>([^<]+)<', PICTURE)
    names = [re.split(r" [|:·] ", layer) for layer in shown]
    expected = [name for layer in LAYERS for name in re.split(r" [|:] ", layer) if name != "__main__"]
    assert [name for layer in names for name in layer] == expected


def test_the_tree_names_every_module_of_the_core_and_no_other() -> None:
    tree = BLOCKS[1]
    on_top = {"local", "testing", "cli", "_sync"}
    modules: Set[str] = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if path.stem not in ("__init__", "__main__")
    }
    expected = {path.rpartition("/")[2] for path in modules if path.split("/")[0] not in on_top}
    expected -= {f"{extra.module}.py" for extra in load().extras if extra.is_adapter}  # integrations.toml lists them
    private_types = {path.name for path in (SOURCE / "types").glob("_*.py")} - {"_base.py"}
    named = set(re.findall(r"\b\w+\.py\b", tree))
    assert named - {"unasync.py"} == expected - private_types - {"_version.py"}
