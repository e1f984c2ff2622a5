"""Complete the pages of promises and of retries from the code and the tests.

    python tools/requirements.py           write what differs
    python tools/requirements.py --check   write nothing; exit 1 if a page is not what would be written

In `docs/contributing/promises.md`, the last cell of each row that begins with an ID such as C1 names the tests with the
mark `promise("C1")`. In `docs/guides/retries.md`, the table between `<!-- retries -->` and `<!-- /retries -->` says
which method is retried after which failure.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from pages import ROOT, run_all

PROMISES = "docs/contributing/promises.md"
RETRIES = "docs/guides/retries.md"
TWINS = "_sync"
"""The tree of generated tests: they have the names of their sources."""

_ROW = re.compile(r"^\| ([CRSWEF]\d+) \| ([^|]*) \| [^|]* \|$", re.MULTILINE)  # the scorecard has more columns
_RETRIES = re.compile(r"(?<=<!-- retries -->\n).*?(?=<!-- /retries -->)", re.DOTALL)

if TYPE_CHECKING:
    from sekha._api.model import Endpoint
    from sekha.errors import SekhaError


def tests_by_id(root: Path) -> dict[str, list[str]]:
    """Each ID with the tests that have it, as pytest calls them: ``tests/unit/http/test_sse.py::test_lines``."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted((root / "tests").rglob("test_*.py")):
        for name, ids in promises(ast.parse(file.read_text(encoding="utf-8")).body):
            for one in ids:
                found[one].append(f"{file.relative_to(root).as_posix()}::{name}")
    return dict(found)


def promises(body: Sequence[ast.stmt], inherited: Sequence[str] = ()) -> Iterator[tuple[str, list[str]]]:
    """The tests of a module or class, each with the IDs of its marks, of its class and of ``pytestmark``."""
    for node in body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["pytestmark"]:
            marks = node.value.elts if isinstance(node.value, (ast.List, ast.Tuple)) else [node.value]
            inherited = [*inherited, *_ids(marks)]
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from promises(node.body, [*inherited, *_ids(node.decorator_list)])
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
            yield node.name, [*inherited, *_ids(node.decorator_list)]


def _ids(marks: Sequence[ast.expr]) -> list[str]:
    found: list[str] = []
    for mark in marks:
        call = mark if isinstance(mark, ast.Call) else None
        if ast.unparse(call.func if call else mark) != "pytest.mark.promise":
            continue
        ids = [one.value for one in call.args if isinstance(one, ast.Constant)] if call else []
        if not call or call.keywords or not ids or len(ids) < len(call.args):
            raise ValueError(f"line {mark.lineno}: expected pytest.mark.promise with IDs, as text: {ast.unparse(mark)}")
        found += map(str, ids)
    return found


def tests_cell(tests: Sequence[str]) -> str:
    """What a row says of its tests: each file once, with the names behind it. Twins go without saying."""
    files: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        file, _, name = test.partition("::")
        if TWINS not in Path(file).parts:
            files[file].append(f"`{name}`")
    return "<br>".join(f"`{file}`: {', '.join(names)}" for file, names in files.items())


def retry_table() -> str:
    """Return which methods are retried after which failure: the decisions of the code for each endpoint."""
    from sekha._api.endpoints import ENDPOINTS

    rows: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for endpoint in ENDPOINTS:
        if endpoint.name == "health":
            continue  # a 5xx is its result, not a failure
        cells = [_in_words(endpoint, errors) for errors in _faults().values()]
        rows[tuple(cells)].append(f"`{endpoint.service.value}.{endpoint.name}`")
    lines = [["methods", *_faults()]]
    lines += [
        [", ".join(names), *cells] for cells, names in sorted(rows.items(), key=lambda row: _least_retried_last(row[0]))
    ]
    head, *others = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, f"|{'---|' * len(lines[0])}", *others, ""])


def _least_retried_last(cells: Sequence[str]) -> list[int]:
    return [("retry", "once", "no").index(cell) for cell in cells]


def _faults() -> Mapping[str, Sequence[SekhaError]]:
    """The columns: kinds of faults, and examples of each."""
    from sekha.errors import (
        SekhaAPIError,
        SekhaConnectionError,
        SekhaRateLimitError,
        SekhaServerError,
        SekhaTimeoutError,
    )

    return {
        "not processed": [
            SekhaConnectionError("refused", sent=False),
            SekhaTimeoutError("connect or pool", sent=False),
            SekhaAPIError("not whole", status_code=408),
            SekhaAPIError("too early", status_code=425),
            SekhaRateLimitError("too many", status_code=429),
            SekhaServerError("busy", status_code=503, retry_after=1.0),
        ],
        "outcome unknown": [
            SekhaConnectionError("cut", sent=True),
            SekhaTimeoutError("read", sent=True),
            *(SekhaServerError("failed", status_code=status) for status in (502, 503, 504)),
        ],
        "500": [SekhaServerError("failed", status_code=500)],
        "500, bridge": [
            SekhaServerError("Failed to reach the bridge", status_code=500),
            SekhaServerError("Embedding error: connection refused", status_code=500),
        ],
    }


def _in_words(endpoint: Endpoint[Any], errors: Sequence[SekhaError]) -> str:
    counts = {_retries(endpoint, error) for error in errors}
    if len(counts) > 1:
        raise ValueError(f"{endpoint.name}: failures of one column are retried differently: {sorted(counts)}")
    return {0: "no", 1: "once", _MOST: "retry"}[counts.pop()]


_MOST = 3  # what `max_retries` is unless it is given


def _retries(endpoint: Endpoint[Any], error: SekhaError) -> int:
    from sekha._transport.retry import retry_delay

    attempt = 1
    while retry_delay(endpoint, error, attempt=attempt, max_retries=_MOST, time_left=None, jitter=1.0) is not None:
        attempt += 1
    return attempt - 1


def with_tests(page: str, tests: Mapping[str, Sequence[str]]) -> str:
    """Return the page of promises with the tests of each."""
    return _ROW.sub(lambda row: f"| {row[1]} | {row[2]} | {tests_cell(tests.get(row[1], ()))} |", page)


def with_table(page: str, table: str) -> str:
    """Return the page of retries with the table of methods."""
    return _RETRIES.sub(lambda _: f"\n{table}\n", page)


def rendered(root: Path) -> dict[str, str]:
    """Return the pages as they have to be."""
    promises_page = (root / PROMISES).read_text(encoding="utf-8")
    retries_page = (root / RETRIES).read_text(encoding="utf-8")
    return {
        PROMISES: with_tests(promises_page, tests_by_id(root)),
        RETRIES: with_table(retries_page, retry_table()),
    }


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; the status for the shell."""
    about = "Complete the pages of promises and of retries from the code and the tests."
    return run_all("requirements.py", about, rendered, arguments)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "src"))  # the code beside this file, whatever is installed
    sys.exit(main())
