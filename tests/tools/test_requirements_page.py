"""The command that completes the page of promises (`tools/requirements.py`)."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from sekha._api.endpoints import ENDPOINTS
from sekha._api.model import Repeat

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
tool: Any = importlib.import_module("requirements")
sys.path.pop(0)

PAGE = """# Page

| | promise | shown by |
|---|---|---|
| C1 | One. | `gone`: `test_c1_gone` |
| R2 | Two, with `code`. |  |
| other | row | stays |

<!-- repeat -->
old
<!-- /repeat -->
The end.
"""
TESTS = {
    "_async/test_one.py": "async def test_c1_it_works():\n    pass\n\nasync def test_d22_c1_r2_so_does_this(): pass\n",
    "_sync/test_one.py": "def test_c1_it_works():\n    pass\n\ndef test_d22_c1_r2_so_does_this(): pass\n",
    "unit/test_two.py": "class TestIt:\n    def test_c1_in_a_class(self): pass\n\ndef test_other(): pass\n",
    "unit/helper.py": "def test_c1_is_in_no_file_of_tests(): pass\n",
}
SHOWN = (
    "| C1 | One. | `tests/_async/test_one.py`: `test_c1_it_works`, `test_d22_c1_r2_so_does_this`"
    "<br>`tests/unit/test_two.py`: `test_c1_in_a_class` |\n"
    "| R2 | Two, with `code`. | `tests/_async/test_one.py`: `test_d22_c1_r2_so_does_this` |\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small repository."""
    for name, text in {"docs/reliability.md": PAGE, **{f"tests/{name}": text for name, text in TESTS.items()}}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("test_c1_a_cut_stream", ["C1"]),
        ("test_c1_r16_s7_e10_all_of_it", ["C1", "R16", "S7", "E10"]),
        ("test_d22_d23_c7_any_body", ["C7"]),
        ("test_d22_results", []),
        ("test_c1", []),
        ("test_ctrl_c1_ends", []),
        ("test_a_c1_later", []),
        ("test_e2e_it", []),
    ],
)
def test_ids_stand_first_in_a_name_after_decisions(name: str, ids: List[str]) -> None:
    assert tool.ids_of(name) == ids


def test_the_command_completes_the_page_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = root / "docs/reliability.md"
    assert tool.main(["--root", str(root), "--check"]) == 1
    assert capsys.readouterr().out == "docs/reliability.md is out of date, run: python tools/requirements.py\n"
    assert file.read_text(encoding="utf-8") == PAGE
    assert tool.main(["--root", str(root)]) == 0
    assert capsys.readouterr().out == "wrote docs/reliability.md\n"
    page = file.read_text(encoding="utf-8")
    head, _, rest = page.partition("| C1 |")
    assert head == PAGE.partition("| C1 |")[0]
    rows, _, rest = f"| C1 |{rest}".partition("| other | row | stays |\n")
    assert rows == SHOWN
    assert rest == f"\n<!-- repeat -->\n\n{tool.repeat_table()}\n<!-- /repeat -->\nThe end.\n"
    for _ in range(2):
        assert tool.main(["--root", str(root), "--check"]) == 0
        assert tool.main(["--root", str(root)]) == 0
    assert file.read_text(encoding="utf-8") == page


def test_r1_the_table_says_of_every_endpoint_what_the_decisions_say() -> None:
    """Section 4 of the decisions, written down here once more by hand."""
    head, line, *rows = tool.repeat_table().splitlines()
    assert line == "|---|---|---|---|---|"
    assert head.count("|") == 6
    found: Dict[str, List[str]] = {}
    for row in rows:
        calls, *verdicts = row.strip("| ").split(" | ")
        for name in re.findall(r"`([\w.]+)`", calls):
            assert name not in found
            found[name] = [re.findall(r"\*\*(\w+)\*\*", calls)[0], *verdicts]
    expected: Dict[str, List[str]] = {}
    for row in ENDPOINTS:
        failed = "**not**" if row.service.value == "bridge" else None  # D56
        expected[f"{row.service.value}.{row.name}"] = {
            Repeat.SAFE: ["Safe", "again", "again", failed or "again", failed or "again"],
            Repeat.COSTLY: ["Costly", "again", "once", failed or "once", "**not**"],
            Repeat.UNSAFE: ["Unsafe", "again", "**not**", "**not**", "**not**"],
        }[row.repeat]
    assert found == expected
