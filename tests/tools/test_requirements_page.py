"""The command that completes the page of promises (`tools/requirements.py`)."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from sekha._api.endpoints import ENDPOINTS
from sekha._api.model import RetryIfUnknown

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
tool: Any = importlib.import_module("requirements")
sys.path.pop(0)

PAGE = """# Page

| | promise | shown by |
|---|---|---|
| C1 | One. | `gone`: `test_gone` |
| R2 | Two, with `code`. |  |
| W9 | Nine. |  |
| other | row | stays |

<!-- repeat -->
old
<!-- /repeat -->
The end.
"""
TWICE = """@pytest.mark.promise("C1")
async def test_it_works(): pass

@pytest.mark.promise("C1", "R2")
@pytest.mark.slow
async def test_keys_work(): pass
"""
TESTS = {
    "_async/test_one.py": TWICE,
    "_sync/test_one.py": TWICE.replace("async ", ""),
    "unit/test_two.py": "@pytest.mark.promise('C1')\nclass TestIt:\n    def test_in_a_class(self): pass\n\n"
    "def test_other(): pass\n",
    "unit/test_three.py": "@pytest.mark.promise('W9')\ndef test_networks(): pass\n",
    "unit/helper.py": "@pytest.mark.promise('C1')\ndef test_is_in_no_file_of_tests(): pass\n",
}
SHOWN = (
    "| C1 | One. | `tests/_async/test_one.py`: `test_it_works`, `test_keys_work`"
    "<br>`tests/unit/test_two.py`: `test_in_a_class` |\n"
    "| R2 | Two, with `code`. | `tests/_async/test_one.py`: `test_keys_work` |\n"
    "| W9 | Nine. | `tests/unit/test_three.py`: `test_networks` |\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small repository."""
    for name, text in {
        "docs/contributing/promises.md": PAGE,
        **{f"tests/{name}": text for name, text in TESTS.items()},
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "ids"),
    [
        ("@pytest.mark.promise('C1')\ndef test_it(): pass", ["C1"]),
        ("@pytest.mark.promise('C1', 'R16')\n@pytest.mark.promise('S7')\ndef test_it(): pass", ["C1", "R16", "S7"]),
        ("def test_it(): pass\npytestmark = pytest.mark.promise('E10')", ["E10"]),
        ("pytestmark = [pytest.mark.slow, pytest.mark.promise('E10')]\ndef test_it(): pass", ["E10"]),
        ("class TestIt:\n    pytestmark = pytest.mark.promise('C7')\n    async def test_it(self): pass", ["C7"]),
        ("@pytest.mark.slow\n@pytest.mark.skipif(True, reason='C1')\ndef test_it(): pass", []),
    ],
)
def test_ids_are_those_of_the_marks(source: str, ids: List[str]) -> None:
    assert list(tool.promises(ast.parse(source).body)) == [("test_it", ids)]


@pytest.mark.parametrize("mark", ["promise", "promise(C1)"])
def test_a_mark_that_cannot_be_read_is_an_error(mark: str) -> None:
    with pytest.raises(ValueError, match=r"line 1: expected pytest\.mark\.promise with IDs"):
        list(tool.promises(ast.parse(f"@pytest.mark.{mark}\ndef test_it(): pass").body))


def test_the_command_completes_the_page_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = root / "docs/contributing/promises.md"
    assert tool.main(["--root", str(root), "--check"]) == 1
    assert (
        capsys.readouterr().out == "docs/contributing/promises.md is out of date, run: python tools/requirements.py\n"
    )
    assert file.read_text(encoding="utf-8") == PAGE
    assert tool.main(["--root", str(root)]) == 0
    assert capsys.readouterr().out == "wrote docs/contributing/promises.md\n"
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


@pytest.mark.promise("R1")
def test_the_table_says_of_every_endpoint_what_the_decisions_say() -> None:
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
            RetryIfUnknown.YES: ["Safe", "again", "again", failed or "again", failed or "again"],
            RetryIfUnknown.ONCE: ["Costly", "again", "once", failed or "once", "**not**"],
            RetryIfUnknown.NO: ["Unsafe", "again", "**not**", "**not**", "**not**"],
        }[row.retry_if_unknown]
    assert found == expected
