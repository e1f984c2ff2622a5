"""What `tools/unasync.py` renders, and each way in which it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import unasync  # noqa: E402
from unasync import COMMAND  # noqa: E402

# Exceptions of our own, so that the real ones can grow and shrink.
EXCEPTIONS = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "aclose": "close",
    "StopAsyncIteration": "StopIteration",
    "AsyncIterator": "Iterator",
    "AsyncExitStack": "ExitStack",
    "asynccontextmanager": "contextmanager",
    "_async": "_sync",
    "asynchronous": "blocking",
    "AsyncPerLoop": "PerProcess",
}
SMALL = {"_async": "_sync"}

SOURCE = "src/sekha/_async/stream.py"
TWIN = "src/sekha/_sync/stream.py"
FILES = {
    "src/sekha/_async/__init__.py": "",
    SOURCE: '"""A stream."""\n\n\nclass AsyncStream:\n    async def use(self, other: AsyncStream) -> None: pass\n',
    "src/sekha/_async/deep/__init__.py": "",
    "src/sekha/_async/deep/er.py": "VALUE = 1\n",
    "tests/_async/test_stream.py": "from sekha._async.stream import AsyncStream\nassert AsyncStream\n",
}


# --- What is rendered ---------------------------------------------------------------------------------------

GOLDEN = sorted(Path(__file__).parent.glob("golden/*.async.txt"))


def read(path: Path) -> str:
    return path.read_bytes().decode()


@pytest.mark.parametrize("source", GOLDEN, ids=lambda path: path.name)
def test_golden_pair(source: Path) -> None:
    rendered = unasync.render(read(source), EXCEPTIONS)
    assert rendered.text == read(source.with_name(source.name.replace(".async.", ".sync.")))
    assert unasync.async_words(rendered) == []
    again = unasync.render(rendered.text, EXCEPTIONS)
    assert (again.text, again.origins) == (rendered.text, tuple(range(1, len(rendered.origins) + 1)))
    assert not EXCEPTIONS.keys() & again.words.keys()


def test_the_golden_pairs_use_every_exception() -> None:
    words = set().union(*(unasync.render(read(path), EXCEPTIONS).words for path in GOLDEN))
    assert words >= EXCEPTIONS.keys()


def render(text: str) -> str:
    return unasync.render(text, EXCEPTIONS).text


@pytest.mark.parametrize(
    ("source", "twin"),
    [
        ("x = (\n    await\n    y\n)\n", "x = (\n    y\n)\n"),
        ("x = await \\\n    y\n", "x = y\n"),
        ("[x async\n for x in y]", "[x for x in y]"),
        ("\tpass\f\n#\x0c AsyncStream\x1c\n  \n", "\tpass\f\n#\x0c Stream\x1c\n  \n"),
        ("x = 1   \ny = AsyncStream ;  \n\n\n", "x = 1   \ny = Stream ;  \n\n\n"),
        ("a.aclose(aclose=aclose).aclose", "a.close(close=close).close"),
        ("Asyncs = aclose_ = xaclose", "Asyncs = aclose_ = xaclose"),
        ("AsyncA = _AsyncA = __AsyncA = A_AsyncB", "A = _A = __A = A_B"),
        ("async_a = _async_a = a_async_b = a_async_", "a = _a = a_b = a_async_"),
        ("Async_A = asyncA = xAsyncA = xasync_a", "Async_A = asyncA = xAsyncA = xasync_a"),
        ("# Async_A asyncA xAsyncA xasync_a \\AsyncA", "# Async_A asyncA xAsyncA xasync_a \\AsyncA"),
        ("# AsyncPerLoop, but AsyncPerLoops", "# PerProcess, but PerLoops"),
        ("'\\nawait f(x)' '\\tAsyncStream'", "'\\nf(x)' '\\tStream'"),
        ("# Callers await the answer.", "# Callers await the answer."),
        ('"""\n```python title="python -m asyncio"\nawait f(x)\n```\n"""', '"""\n```python\nf(x)\n```\n"""'),
        ('"""\n```python title="app.py"\nx\n```\n"""', '"""\n```python title="app.py"\nx\n```\n"""'),
        ("", ""),
    ],
)
def test_a_detail(source: str, twin: str) -> None:
    assert render(source) == twin


def test_lines_are_numbered_as_in_the_source() -> None:
    text = '"""\n>>> aclose\n"""\nx = (await\n\n  y)\naclose = 1\n'
    rendered = unasync.render(text, EXCEPTIONS)
    assert rendered.text == '"""\n>>> close\n"""\nx = (y)\nclose = 1\n'
    assert rendered.origins == (1, 2, 3, 4, 7, 8)
    assert rendered.words == {"x": 4, "await": 4, "y": 6, "aclose": 7}


STATEMENTS = [
    "x",
    "y = f'{x!r:>{y}}' 'ü'",
    "patriotic = rb'\\n'",
    '"""d\n\n d"""',
    "(x,\n\t# c\n y)",
    "x = \\\n  1.5",
    "x  [ 0 ]",
]
ENDS = ["\n", " ;\t", "\n\n", "  # trios\n", "  \n", "\f\n", "\n\x0c"]


@given(st.lists(st.tuples(st.sampled_from(STATEMENTS), st.sampled_from(ENDS))))
def test_a_source_without_async_comes_through(pieces: list[tuple[str, str]]) -> None:
    text = "".join(statement + end for statement, end in pieces)
    unasync.parse(text)
    rendered = unasync.render(text, EXCEPTIONS)
    assert (rendered.text, rendered.origins) == (text, tuple(range(1, text.count("\n") + 2)))
    assert not EXCEPTIONS.keys() & rendered.words.keys()


@given(st.text(alphabet=st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])))
def test_any_text_in_a_docstring_renders_to_something_stable(text: str) -> None:
    source = f"{text!r}  # {text!a} AsyncStream, await f(AsyncStream)\nasync def f(): pass\n"
    rendered = unasync.render(source, EXCEPTIONS)
    assert unasync.render(rendered.text, EXCEPTIONS).text == rendered.text
    assert rendered.text.endswith(" Stream, f(Stream)\ndef f(): pass\n")


# --- What a tree is refused for -----------------------------------------------------------------------------


def plant(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout in which nothing is wrong."""
    plant(tmp_path, FILES)
    changes, problems = unasync.write(tmp_path, SMALL)
    assert changes == [f"wrote {name.replace('_async', '_sync')}" for name in FILES]
    assert problems == unasync.check(tmp_path, SMALL) == []
    return tmp_path


def only_problem(root: Path, exceptions: Mapping[str, str] = SMALL) -> str:
    (problem,) = unasync.check(root, exceptions)
    assert "\n" not in problem
    return problem


def repair(root: Path) -> None:
    """What the printed command does."""
    changes, problems = unasync.write(root, SMALL)
    assert len(changes) == 1
    assert problems == unasync.check(root, SMALL) == []


def append(path: Path, text: str) -> None:
    path.write_bytes(path.read_bytes() + text.encode())


def test_the_banner_names_the_source_and_the_command(root: Path) -> None:
    banner = f"# Generated from {SOURCE}: do not edit.\n# To change it, edit that file, then run: {COMMAND}\n"
    assert read(root / TWIN) == banner + unasync.render(FILES[SOURCE], SMALL).text


def test_nothing_is_written_twice_and_check_writes_nothing(root: Path) -> None:
    (root / TWIN).unlink()
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert unasync.check(root, SMALL)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert unasync.write(root, SMALL) == ([f"wrote {TWIN}"], [])
    assert unasync.write(root, SMALL) == ([], [])


def test_stale(root: Path) -> None:
    append(root / SOURCE, "VALUE = 1\n")
    assert only_problem(root).startswith(f"{TWIN}:8: the file is not what {SOURCE} renders to")
    assert only_problem(root).endswith(f"run: {COMMAND}")
    repair(root)


def test_trailing(root: Path) -> None:
    append(root / TWIN, "\n")
    assert only_problem(root) == f"{TWIN}:8: the file goes on behind what {SOURCE} renders to, run: {COMMAND}"
    repair(root)


@pytest.mark.parametrize("edit", [("pass", "..."), ("\n", "\r\n"), ("Generated", "Made"), ("pass", "pass ")])
def test_hand_edited(root: Path, edit: tuple[str, str]) -> None:
    (root / TWIN).write_bytes(read(root / TWIN).replace(*edit).encode())
    assert "(stale, or edited by hand)" in only_problem(root)
    repair(root)


def test_missing(root: Path) -> None:
    (root / TWIN).unlink()
    assert only_problem(root) == f"{TWIN}: the file is missing, run: {COMMAND}"
    repair(root)


def test_missing_tree(root: Path) -> None:
    shutil.rmtree(root / "tests/_sync")
    assert only_problem(root) == f"tests/_sync/test_stream.py: the file is missing, run: {COMMAND}"
    repair(root)


def test_orphan_of_ours(root: Path) -> None:
    (root / "src/sekha/_async/deep/er.py").unlink()
    orphan = "src/sekha/_sync/deep/er.py"
    assert only_problem(root) == f"{orphan}: src/sekha/_async/deep/er.py is gone, run: {COMMAND}"
    repair(root)
    assert not (root / orphan).exists()


@pytest.mark.parametrize("name", ["src/sekha/_sync/extra.py", "tests/_sync/data.json", "tests/_sync/.hidden"])
def test_orphan_of_somebody_else(root: Path, name: str) -> None:
    plant(root, {name: f"# Generated from {SOURCE}: do not edit.\n"})
    assert only_problem(root) == f"{name}: nothing generates this file, keep it elsewhere or run: rm {name}"
    assert unasync.write(root, SMALL) == ([], [only_problem(root)])
    assert (root / name).exists()


def test_bytecode_is_no_orphan(root: Path) -> None:
    plant(root, {"src/sekha/_sync/__pycache__/x.txt": "", "src/sekha/_sync/x.pyc": ""})
    assert unasync.check(root, SMALL) == []


def test_source_that_does_not_parse(root: Path) -> None:
    plant(root, {SOURCE: "x = 1\ndef f(:\n"})
    assert only_problem(root).startswith(f"{SOURCE}:2: the source cannot be rendered (")
    assert unasync.write(root, SMALL) == ([], [only_problem(root)])


def test_source_that_is_too_new(root: Path) -> None:
    plant(root, {SOURCE: "match x:\n    case 1:\n        pass\n"})
    assert only_problem(root).startswith(f"{SOURCE}:")


@pytest.mark.parametrize("code", ["async_class = 1", "def f(async_x, x): pass"])
def test_twin_that_would_not_parse(root: Path, code: str) -> None:
    plant(root, {SOURCE: f"x = (await\n  y)\n{code}\n"})
    assert only_problem(root).startswith(f"{SOURCE}:3: the twin would not parse (")


def test_twin_on_disk_that_does_not_parse(root: Path) -> None:
    append(root / TWIN, "def f(:\n")
    assert only_problem(root).startswith(f"{TWIN}:8: the file does not parse (")
    repair(root)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x: AsyncThing", "the twin neither defines nor imports"),
        ("# an AsyncThing", "nothing defines"),
        ("'AsyncThing'", "nothing defines"),
        ("f'{AsyncThing!r}'", "the twin neither defines nor imports"),
        ("AsyncThing()", "the twin neither defines nor imports"),
    ],
)
def test_a_name_that_nothing_defines(root: Path, line: str, reason: str) -> None:
    plant(root, {SOURCE: FILES[SOURCE] + line + "\n"})
    unasync.write(root, SMALL)
    assert only_problem(root) == (
        f"{SOURCE}:6: 'AsyncThing' becomes 'Thing', which {reason}: "
        f"rename it, or list it in tools/unasync.py, then run: {COMMAND}"
    )


LEFT = """
async _awaited run_async Async asyncio ASYNC109 anyio anyio_backend trio TRIO runTrio Trio
trio_run await awaiting asynchronous aclose_all __aiter__ _aclose anext asyncThing Async_thing
"""


@pytest.mark.parametrize("word", LEFT.split())
def test_a_word_of_async_that_is_left(root: Path, word: str) -> None:
    plant(root, {SOURCE: FILES[SOURCE] + f'"""Text.\n\nIt says {word}.\n"""\n'})
    unasync.write(root, SMALL)
    assert only_problem(root).startswith(f"{SOURCE}:8: {word!r} is left in the twin")


@pytest.mark.parametrize("code", ['"as" "ync"', '"\\x61wait"', '("a"\n "nyio")', '"tr" f"io {x}"'])
def test_a_word_of_async_that_hides_in_a_literal(root: Path, code: str) -> None:
    plant(root, {SOURCE: FILES[SOURCE] + f"value = {code}\n"})
    unasync.write(root, SMALL)
    assert only_problem(root).startswith(f"{SOURCE}:6: ")


@pytest.mark.parametrize("word", ["patriotic", "trios", "synchronous", "a wait", "enclose", "waiting", "nation"])
def test_a_word_of_english(root: Path, word: str) -> None:
    plant(root, {SOURCE: FILES[SOURCE] + f"# {word}\n"})
    unasync.write(root, SMALL)
    assert unasync.check(root, SMALL) == []


def test_a_word_of_async_in_a_file_name(root: Path) -> None:
    plant(root, {"tests/_async/test_async_stream.py": ""})
    unasync.write(root, SMALL)
    assert only_problem(root).startswith("tests/_async/test_async_stream.py:1: the name of the file")


@pytest.mark.parametrize("old", sorted(EXCEPTIONS.keys() - SMALL.keys()))
def test_an_unused_exception(root: Path, old: str) -> None:
    assert only_problem(root, {**SMALL, old: EXCEPTIONS[old]}) == (
        f"tools/unasync.py: nothing uses the exception {old!r}: remove it, then run: {COMMAND}"
    )


def test_one_use_in_either_tree_is_enough(root: Path) -> None:
    plant(root, {"tests/_async/deep/test.py": "# aclose\n"})
    assert unasync.write(root, {**SMALL, "aclose": "close"}) == (["wrote tests/_sync/deep/test.py"], [])


@pytest.mark.parametrize("gone", ["file", "tree"])
def test_a_source_tree_without_files(root: Path, gone: str) -> None:
    shutil.rmtree(root / "tests/_async")
    if gone == "file":
        plant(root, {"tests/_async/data.json": ""})
    assert only_problem(root).startswith("tests/_async: the source tree ")
    assert unasync.write(root, SMALL) == ([], [only_problem(root)])
    assert (root / "tests/_sync/test_stream.py").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"x = '\xff'\n",
        b"# coding: latin-1\nx = '\xfc'\n",
        b"\xef\xbb\xbfx = 1\n",
        b"x = 1\r\n",
        b"x = '''\r'''\n",
        b"\0",
    ],
    ids=["bytes", "latin-1", "mark", "CRLF", "CR", "NUL"],
)
def test_a_source_that_is_no_plain_text(root: Path, data: bytes) -> None:
    (root / SOURCE).write_bytes(data)
    assert only_problem(root).startswith(f"{SOURCE}:1: the source cannot be rendered (")


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links here")
@pytest.mark.parametrize("target", [TWIN, SOURCE, "nowhere"])
def test_a_source_that_is_a_link(root: Path, target: str) -> None:
    (root / "src/sekha/_async/link.py").symlink_to(root / target)
    assert only_problem(root).startswith("src/sekha/_async/link.py:1: the source cannot be rendered (")
    (root / "src/sekha/_async/link.py").unlink()
    (root / "src/sekha/_async/more").symlink_to(root / "tests/_async", target_is_directory=True)
    assert only_problem(root).startswith("src/sekha/_async/more:1: the source cannot be rendered (")


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links here")
def test_a_twin_tree_that_is_a_link_to_its_source(root: Path) -> None:
    shutil.rmtree(root / "tests/_sync")
    (root / "tests/_sync").symlink_to(root / "tests/_async", target_is_directory=True)
    assert only_problem(root) == (
        f"tests/_sync/test_stream.py: tests/_sync stands in its place, run: rm -r tests/_sync && {COMMAND}"
    )
    assert unasync.write(root, SMALL) == ([], [only_problem(root)])
    assert read(root / "tests/_async/test_stream.py") == FILES["tests/_async/test_stream.py"]


def test_a_directory_in_the_place_of_a_twin(root: Path) -> None:
    (root / TWIN).unlink()
    (root / TWIN).mkdir()
    assert only_problem(root) == f"{TWIN}: {TWIN} stands in its place, run: rm -r {TWIN} && {COMMAND}"
    assert unasync.write(root, SMALL) == ([], [only_problem(root)])


def test_a_file_in_the_place_of_a_package(root: Path) -> None:
    shutil.rmtree(root / "src/sekha/_sync/deep")
    plant(root, {"src/sekha/_sync/deep": ""})
    problems = unasync.check(root, SMALL)
    assert [problem.split(":")[0] for problem in problems] == [
        "src/sekha/_sync/deep/__init__.py",
        "src/sekha/_sync/deep/er.py",
        "src/sekha/_sync/deep",
    ]
    assert unasync.write(root, SMALL) == ([], problems)


# --- Names that are refused ---------------------------------------------------------------------------------

CORE = """
from sekha._async.stream import AsyncStream

async def async_sleep(async_seconds): pass
def sleep(seconds): pass
async def async_only(): pass
async_late = late = None
"""


def name_problem(root: Path, code: str, exceptions: Mapping[str, str] = SMALL) -> list[str]:
    """The problems of the names in `code`, in a file two folders deep, and of nothing else."""
    source = "src/sekha/_async/deep/er.py"
    plant(root, {source: code, "src/sekha/core.py": CORE, "src/sekha/__init__.py": ""})
    unasync.write(root, exceptions)
    problems = unasync.check(root, exceptions)
    end = f": rename it, or list it in tools/unasync.py, then run: {COMMAND}"
    assert all(problem.startswith(f"{source}:") and problem.endswith(end) for problem in problems)
    return [problem[len(source) + 1 : -len(end)] for problem in problems]


@pytest.mark.parametrize(
    "code",
    [
        "from sekha.core import async_sleep, async_late as late\nasync_sleep(late)",
        "from sekha import core, _async as x\ncore.async_sleep(async_seconds=1); x.stream.AsyncStream",
        "import sekha.core, sekha.core as c\nsekha.core.async_sleep(); c.async_late; sekha._async.stream.AsyncStream",
        "from ..stream import AsyncStream\nfrom .. import stream as s\nx: AsyncStream = s.AsyncStream()",
        "from . import er\nfrom .er import async_x\nasync def async_x(): er.async_x()",
        "def f(async_x, *, _async_y=1):\n    return [async_z for async_z in async_x if _async_y]",
        "class A:\n    async_x: int\n    def async_y(self): self.async_z = self.async_x\nA().async_z.async_y()",
        "x = 1  # AsyncStream, async_sleep(async_seconds)\nimport sekha.core; sekha.core.async_sleep",
        "def f():\n    from sekha.core import async_sleep\n    async_sleep()\n",
        "import httpx, time\nfrom sekha.core import async_sleep\nhttpx.Client; time.sleep(1)",
        "x = AsyncStream.close if 0 else 'AsyncStream'\nfrom sekha._async.stream import AsyncStream",
    ],
)
def test_names_that_the_twin_has(root: Path, code: str) -> None:
    assert name_problem(root, code) == []


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("\nAsyncStream()", "2: 'AsyncStream' becomes 'Stream', which the twin neither defines nor imports"),
        ("'AsyncStream'\nAsyncStream", "2: 'AsyncStream' becomes 'Stream', which the twin neither defines nor imports"),
        ("x: AsyncStream", "1: 'AsyncStream' becomes 'Stream', which the twin neither defines nor imports"),
        ("f'{AsyncStream}'", "1: 'AsyncStream' becomes 'Stream', which the twin neither defines nor imports"),
        (
            "from __future__ import annotations\nx: AsyncStream",
            "2: 'AsyncStream' becomes 'Stream', which the twin neither defines nor imports",
        ),
        (
            "def f(async_x): pass\ndef g():\n    return async_x",
            "1: 'async_x' becomes 'x', which the twin neither defines nor imports",
        ),
        (
            "class A:\n    async_x = 1\n    def f(self): return async_x",
            "2: 'async_x' becomes 'x', which the twin neither defines nor imports",
        ),
        ("async_print(1)", "1: 'async_print' becomes 'print', which the twin neither defines nor imports"),
        (
            "from sekha.core import async_only\nasync_only()",
            "1: 'async_only' becomes 'only', which sekha.core does not define",
        ),
        (
            "from sekha.core import async_only as x",
            "1: 'async_only' becomes 'only', which sekha.core does not define",
        ),
        (
            "from ..stream import AsyncMissing",
            "1: 'AsyncMissing' becomes 'Missing', which sekha._sync.stream does not define",
        ),
        ("from .. import AsyncStream", "1: 'AsyncStream' becomes 'Stream', which sekha._sync does not define"),
        ("from .missing import AsyncX", "1: 'AsyncX' becomes 'X', which sekha._sync.deep.missing does not define"),
        ("import sekha.core as c\nc.async_only", "2: 'async_only' becomes 'only', which sekha.core does not define"),
        ("import sekha\nsekha.core.async_x", "2: 'async_x' becomes 'x', which sekha.core does not define"),
        ("from httpx import AsyncClient", "1: 'AsyncClient' is a name of another package, httpx"),
        ("from httpx import AsyncClient as Client", "1: 'AsyncClient' is a name of another package, httpx"),
        ("import httpx\nhttpx.AsyncClient()", "2: 'AsyncClient' is a name of another package, httpx"),
        ("import httpx as h\nx: h.AsyncClient", "2: 'AsyncClient' is a name of another package, httpx"),
        (
            "from sekha.core import async_sleep\nasync_sleep()\nimport a\na.async_sleep()",
            "4: 'async_sleep' is a name of another package, a",
        ),
        ("import a.b\na.c.AsyncX", "2: 'AsyncX' is a name of another package, a.c"),
        ("from a import b\nb.c.async_x()", "2: 'async_x' is a name of another package, a.b.c"),
        ("def f():\n    import a\n    a.async_x", "3: 'async_x' is a name of another package, a"),
        ("x = []\nx.push_async_exit(1)", "2: 'push_async_exit' becomes 'push_exit', which nothing defines"),
        ("f = print\nf(async_end='')", "2: 'async_end' becomes 'end', which nothing defines"),
        ("# async_x", "1: 'async_x' becomes 'x', which nothing defines"),
    ],
)
def test_a_name_that_the_twin_does_not_have(root: Path, code: str, problem: str) -> None:
    assert name_problem(root, code) == [problem]


def test_a_listed_name_of_another_package_is_renamed(root: Path) -> None:
    code = "import httpx\nfrom httpx import AsyncClient as C\nhttpx.AsyncClient; httpx.AsyncByteStream\n"
    listed = {"AsyncClient": "Client", "AsyncByteStream": "SyncByteStream"}
    assert name_problem(root, code, {**SMALL, **listed}) == []
    assert "httpx.Client; httpx.SyncByteStream\n" in read(root / "src/sekha/_sync/deep/er.py")


def test_a_listed_name_may_become_a_builtin_but_no_other_name_that_is_missing(root: Path) -> None:
    exceptions = {**SMALL, "StopAsyncIteration": "StopIteration", "AsyncPerLoop": "PerProcess"}
    assert name_problem(root, "AsyncPerLoop = StopAsyncIteration", exceptions) == []
    code = "from sekha.core import AsyncPerLoop\nStopAsyncIteration"
    assert name_problem(root, code, exceptions) == [
        "1: 'AsyncPerLoop' becomes 'PerProcess', which sekha.core does not define"
    ]
    assert name_problem(root, "AsyncPerLoop, StopAsyncIteration", exceptions) == [
        "1: 'AsyncPerLoop' becomes 'PerProcess', which the twin neither defines nor imports"
    ]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("\nfrom x import Client\nclass AsyncClient: pass", 3),
        ("# AsyncClient\nx = 1\nclass AsyncClient: pass\nClient = 1", 3),
        ("import Client\ndef f(AsyncClient): pass", 2),
        ("import Client\ndef f():\n    AsyncClient = 1\n", 3),
        ("class A:\n    def Client(self): pass\n    def AsyncClient(self): pass", 3),
        ("class A:\n    Client: int\n    AsyncClient: int", 3),
        ("from __future__ import annotations\nfrom x import Client\ndef f(x: Client) -> AsyncClient: pass", 3),
    ],
)
def test_two_names_that_become_one(root: Path, code: str, line: int) -> None:
    assert name_problem(root, code) == [f"{line}: 'AsyncClient' and 'Client' become one name"]


@pytest.mark.parametrize(
    "code",
    [
        "class AsyncClient: pass  # Client\n'Client'",
        "class AsyncClient: pass\nimport httpx\nhttpx.Client",
        "class AsyncClient: pass\nAsyncClient(Client=1)",
        "class AsyncClient: pass\nclass A:\n    def Client(self): pass",
        "class A:\n    def Client(self): pass\nclass B:\n    def AsyncClient(self): pass",
        "class AsyncClient: pass\nfrom x import Client as C",
    ],
)
def test_two_names_that_stay_apart(root: Path, code: str) -> None:
    assert name_problem(root, code) == []


def test_a_listed_name_beside_its_new_name(root: Path) -> None:
    exceptions = {**SMALL, "AsyncIterator": "Iterator"}
    code = "from collections.abc import AsyncIterator, Iterator"
    assert name_problem(root, code, exceptions) == ["1: 'AsyncIterator' and 'Iterator' become one name"]


def test_an_imported_module_that_does_not_parse(root: Path) -> None:
    plant(root, {"src/sekha/broken.py": "x = 1\ndef f(:\n", "tests/_async/one.py": "from sekha.broken import f\n"})
    unasync.write(root, SMALL)
    problem = only_problem(root)
    assert problem.startswith("src: a module cannot be read (")
    assert "broken.py, line 2" in problem


# --- What the exceptions are refused for --------------------------------------------------------------------


@pytest.mark.parametrize("new", ["AsyncStream", "an AsyncStream", "async def", "_async", "a stream", ""])
def test_an_exception_that_makes_no_name_or_one_that_is_renamed(root: Path, new: str) -> None:
    problem = only_problem(root, {**SMALL, "a_stream": new})
    assert problem.startswith(f"tools/unasync.py: 'a_stream' becomes {new!r}, which is no name or changes again")
    assert unasync.write(root, {**SMALL, "a_stream": new}) == ([], [problem])


def test_a_twin_that_a_second_rendering_changes(root: Path) -> None:
    plant(root, {SOURCE: FILES[SOURCE] + "# await await f(x)\n"})
    unasync.write(root, SMALL)
    left, problem = unasync.check(root, SMALL)
    assert left.startswith(f"{SOURCE}:6: 'await' is left in the twin")
    assert problem.startswith(f"{SOURCE}:1: rendering the twin once more changes it")


def test_the_real_exceptions() -> None:
    assert all(new.isidentifier() and unasync.rename(new) == new for new in unasync.EXCEPTIONS.values())


# --- The command --------------------------------------------------------------------------------------------


def run(root: Path, *options: str) -> tuple[int, list[str]]:
    command = [sys.executable, str(ROOT / "tools/unasync.py"), "--root", str(root), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_the_command(tmp_path: Path) -> None:
    words = "\n".join(unasync.EXCEPTIONS)
    plant(
        tmp_path,
        {
            "src/sekha/_async/one.py": f'"""Every exception.\n\n{words}\n"""\n',
            "tests/_async/two.py": "async def f(x):\n    await x\n",
        },
    )
    twins = ["src/sekha/_sync/one.py", "tests/_sync/two.py"]
    assert run(tmp_path, "--check") == (1, [f"{twin}: the file is missing, run: {COMMAND}" for twin in twins])
    assert run(tmp_path) == (0, [f"wrote {twin}" for twin in twins])
    assert run(tmp_path, "--check") == (0, [])
    assert run(tmp_path) == (0, [])
    append(tmp_path / twins[0], "AsyncStream\n")
    assert run(tmp_path, "--check")[0] == 1
    plant(tmp_path, {"tests/_async/two.py": "async def f(x):\n    await x\nAsyncUnknown\n"})
    status, lines = run(tmp_path)
    assert status == 1
    assert lines[:2] == [f"wrote {twin}" for twin in twins]
    assert lines[2].startswith("tests/_async/two.py:3: 'AsyncUnknown' becomes 'Unknown', which")


# --- The Pythons --------------------------------------------------------------------------------------------

VERSIONS = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]
RENDER_ALL = """
import sys
sys.path.insert(0, sys.argv[1])
import unasync
for name in sys.argv[2:]:
    rendered = unasync.render(open(name, encoding="utf-8", newline="").read(), {exceptions!r})
    names = [sorted(filter(str.isidentifier, group)) for group in unasync.names_of(rendered.text)]
    sys.stdout.buffer.write(rendered.text.encode() + repr((rendered.origins, rendered.words, names)).encode())
"""


def installed_pythons() -> dict[str, str]:
    """The interpreters of the versions we support, from the search path and from pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found: dict[str, str] = {}
    for version in VERSIONS:
        on_path = shutil.which(f"python{version}")
        in_pyenv = [str(path) for path in pyenv.glob(f"versions/{version}.*/bin/python")]
        for candidate in [on_path, *in_pyenv] if on_path else in_pyenv:
            report = "import sys; print('%d.%d' % sys.version_info[:2])"
            done = subprocess.run([candidate, "-c", report], capture_output=True, text=True, check=False)
            if done.stdout.strip() == version:
                found.setdefault(version, candidate)
    return found


def test_every_python_renders_the_same_bytes(tmp_path: Path) -> None:
    pythons = installed_pythons()
    if len(pythons) < 2:
        pytest.skip(f"it takes two versions of Python to compare; here is {list(pythons)}")
    script = tmp_path / "render_all.py"
    script.write_text(RENDER_ALL.format(exceptions=EXCEPTIONS), encoding="utf-8")
    # Beside the golden sources some large files with strings of all kinds.
    names = [*GOLDEN, Path(__file__), Path(unasync.__file__), Path(tokenize.__file__)]
    rendered = {
        version: subprocess.run(
            [python, "-B", str(script), str(ROOT / "tools"), *map(str, names)],
            capture_output=True,
            check=True,
        ).stdout
        for version, python in pythons.items()
    }
    assert len(set(rendered.values())) == 1, {version: len(data) for version, data in rendered.items()}
