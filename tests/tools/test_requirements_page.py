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
The end.
"""
RETRIES = """# Retries

<!-- retries -->
old
<!-- /retries -->
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
        "docs/guides/retries.md": RETRIES,
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


def test_the_command_completes_the_pages_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    promises, retries = root / "docs/contributing/promises.md", root / "docs/guides/retries.md"
    assert tool.main(["--root", str(root), "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    for line, page in zip(lines, ("docs/contributing/promises.md", "docs/guides/retries.md")):
        assert line == f"{page} is out of date, run: python tools/requirements.py"
    assert (promises.read_text(encoding="utf-8"), retries.read_text(encoding="utf-8")) == (PAGE, RETRIES)
    assert tool.main(["--root", str(root)]) == 0
    assert capsys.readouterr().out == "wrote docs/contributing/promises.md\nwrote docs/guides/retries.md\n"
    head, _, _ = PAGE.partition("| C1 |")
    expected = (
        f"{head}{SHOWN}| other | row | stays |\nThe end.\n",
        f"# Retries\n\n<!-- retries -->\n\n{tool.retry_table()}\n<!-- /retries -->\nThe end.\n",
    )
    for _ in range(2):
        assert (promises.read_text(encoding="utf-8"), retries.read_text(encoding="utf-8")) == expected
        assert tool.main(["--root", str(root), "--check"]) == 0
        assert tool.main(["--root", str(root)]) == 0


@pytest.mark.promise("R1")
def test_the_table_says_of_every_endpoint_what_the_decisions_say() -> None:
    """Section 4 of the decisions, written down here once more by hand."""
    head, line, *rows = tool.retry_table().splitlines()
    assert line == "|---|---|---|---|---|"
    assert head.count("|") == 6
    found: Dict[str, List[str]] = {}
    for row in rows:
        methods, *verdicts = row.strip("| ").split(" | ")
        for name in re.findall(r"`([\w.]+)`", methods):
            assert name not in found
            found[name] = verdicts
    expected: Dict[str, List[str]] = {}
    for row in ENDPOINTS:
        if row.name == "health":
            continue
        failed = "no" if row.service.value == "bridge" else None  # D56
        expected[f"{row.service.value}.{row.name}"] = {
            RetryIfUnknown.YES: ["retry", "retry", failed or "retry", failed or "retry"],
            RetryIfUnknown.ONCE: ["retry", "once", failed or "once", "no"],
            RetryIfUnknown.NO: ["retry", "no", "no", "no"],
        }[row.retry_if_unknown]
    assert found == expected
