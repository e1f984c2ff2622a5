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
from unasync import COMMAND, Rule  # noqa: E402

# Tables of our own, so that the real one can grow and shrink.
RULES = (
    Rule("keyword", "async"),
    Rule("keyword", "await"),
    Rule("name", "__aenter__", "__enter__"),
    Rule("name", "__aexit__", "__exit__"),
    Rule("name", "__aiter__", "__iter__"),
    Rule("name", "__anext__", "__next__"),
    Rule("name", "aclose", "close"),
    Rule("name", "StopAsyncIteration", "StopIteration"),
    Rule("name", "AsyncIterator", "Iterator"),
    Rule("name", "AsyncExitStack", "ExitStack"),
    Rule("name", "asynccontextmanager", "contextmanager"),
    Rule("name", "_async", "_sync"),
    Rule("name", "AsyncSekhaClient", "SekhaClient"),
    Rule("name", "AsyncStream", "Stream"),
    Rule("name", "async_sleep", "sleep"),
    Rule("phrase", "an async client", "a client"),
    Rule("phrase", "the async client", "the blocking client"),
    Rule("phrase", "async flavour", "blocking flavour"),
    Rule("phrase", "awaited", "called"),
    Rule("phrase", "asyncio.run(main())", "main()"),
    Rule("phrase", "# noqa: ASYNC109"),
    Rule("line", "import asyncio"),
)
SMALL_RULES = (Rule("keyword", "async"), Rule("name", "AsyncStream", "Stream"))

SOURCE = "src/sekha/_async/stream.py"
TWIN = "src/sekha/_sync/stream.py"
FILES = {
    "src/sekha/_async/__init__.py": "",
    SOURCE: '"""A stream."""\n\n\nasync def use(stream: AsyncStream) -> None:\n    pass\n',
    "src/sekha/_async/deep/__init__.py": "",
    "src/sekha/_async/deep/er.py": "VALUE = 1\n",
    "tests/_async/test_stream.py": "async def test_it() -> None:\n    assert AsyncStream\n",
}


# --- What is rendered ---------------------------------------------------------------------------------------

GOLDEN = sorted(Path(__file__).parent.glob("golden/*.async.txt"))


def read(path: Path) -> str:
    return path.read_bytes().decode()


@pytest.mark.parametrize("source", GOLDEN, ids=lambda path: path.name)
def test_golden_pair(source: Path) -> None:
    rendered = unasync.render(read(source), RULES)
    assert rendered.text == read(source.with_name(source.name.replace(".async.", ".sync.")))
    assert unasync.async_words(rendered) == []
    assert unasync.render(rendered.text, RULES) == unasync.Rendered(
        rendered.text, frozenset(), tuple(range(1, len(rendered.origins) + 1))
    )


def test_the_golden_pairs_use_every_rule() -> None:
    used = frozenset().union(*(unasync.render(read(path), RULES).used for path in GOLDEN))
    assert used == frozenset(RULES)


def render(text: str) -> str:
    return unasync.render(text, RULES).text


@pytest.mark.parametrize(
    ("source", "twin"),
    [
        ("x = (\n    await\n    y\n)\n", "x = (\n    y\n)\n"),
        ("x = await \\\n    y\n", "x = y\n"),
        ("[x async\n for x in y]", "[x for x in y]"),
        ("\tpass\f\n#\x0c AsyncStream\x1c\n  \n", "\tpass\f\n#\x0c Stream\x1c\n  \n"),
        ("x = 1   \ny = AsyncStream ;  \n\n\n", "x = 1   \ny = Stream ;  \n\n\n"),
        ("a.aclose(aclose=aclose).aclose", "a.close(close=close).close"),
        ("AsyncStreams = aclose_ = xaclose", "AsyncStreams = aclose_ = xaclose"),
        ("'\\nawait f(x)' '\\tAsyncStream'", "'\\nf(x)' '\\tStream'"),
        ("# Callers await the answer.", "# Callers await the answer."),
        ("# An async client is Awaited.", "# A client is Called."),
        ("import asyncio\nimport os\n", "import os\n"),
        ("import os\n\nimport asyncio\n\nimport re\n", "import os\n\nimport re\n"),
        ("import os\nimport asyncio\n\nimport re\n", "import os\n\nimport re\n"),
        ("import asyncio", ""),
        ("", ""),
    ],
)
def test_a_detail(source: str, twin: str) -> None:
    assert render(source) == twin


def test_lines_are_numbered_as_in_the_source() -> None:
    text = 'import asyncio\n"""\n>>> import asyncio\n"""\nx = (await\n\n  y)\nz = 1\n'
    rendered = unasync.render(text, RULES)
    assert rendered.text == '"""\n"""\nx = (y)\nz = 1\n'
    assert rendered.origins == (2, 4, 5, 8, 9)


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
    rendered = unasync.render(text, RULES)
    assert rendered == unasync.Rendered(text, frozenset(), tuple(range(1, text.count("\n") + 2)))


@given(st.text(alphabet=st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])))
def test_any_text_in_a_docstring_renders_to_something_stable(text: str) -> None:
    source = f"{text!r}  # {text!a} AsyncStream, await f(AsyncStream)\nasync def f(): pass\n"
    rendered = unasync.render(source, RULES)
    assert unasync.render(rendered.text, RULES).text == rendered.text
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
    changes, problems = unasync.write(tmp_path, SMALL_RULES)
    assert changes == [f"wrote {name.replace('_async', '_sync')}" for name in FILES]
    assert problems == unasync.check(tmp_path, SMALL_RULES) == []
    return tmp_path


def only_problem(root: Path, *rules: Rule) -> str:
    (problem,) = unasync.check(root, rules or SMALL_RULES)
    assert "\n" not in problem
    return problem


def repair(root: Path) -> None:
    """What the printed command does."""
    changes, problems = unasync.write(root, SMALL_RULES)
    assert len(changes) == 1
    assert problems == unasync.check(root, SMALL_RULES) == []


def append(path: Path, text: str) -> None:
    path.write_bytes(path.read_bytes() + text.encode())


def test_the_banner_names_the_source_and_the_command(root: Path) -> None:
    banner = f"# Generated from {SOURCE}: do not edit.\n# To change it, edit that file, then run: {COMMAND}\n"
    assert read(root / TWIN) == banner + unasync.render(FILES[SOURCE], SMALL_RULES).text


def test_nothing_is_written_twice_and_check_writes_nothing(root: Path) -> None:
    (root / TWIN).unlink()
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert unasync.check(root, SMALL_RULES)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert unasync.write(root, SMALL_RULES) == ([f"wrote {TWIN}"], [])
    assert unasync.write(root, SMALL_RULES) == ([], [])


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
    assert unasync.write(root, SMALL_RULES) == ([], [only_problem(root)])
    assert (root / name).exists()


def test_bytecode_is_no_orphan(root: Path) -> None:
    plant(root, {"src/sekha/_sync/__pycache__/x.txt": "", "src/sekha/_sync/x.pyc": ""})
    assert unasync.check(root, SMALL_RULES) == []


def test_source_that_does_not_parse(root: Path) -> None:
    plant(root, {SOURCE: "x = 1\ndef f(:\n"})
    assert only_problem(root).startswith(f"{SOURCE}:2: the source cannot be rendered (")
    assert unasync.write(root, SMALL_RULES) == ([], [only_problem(root)])


def test_source_that_is_too_new(root: Path) -> None:
    plant(root, {SOURCE: "match x:\n    case 1:\n        pass\n"})
    assert only_problem(root).startswith(f"{SOURCE}:")


def test_twin_that_would_not_parse(root: Path) -> None:
    plant(root, {SOURCE: "if x:\n    import asyncio\ny = 1\n"})
    problem = only_problem(root, *SMALL_RULES, Rule("line", "import asyncio"))
    assert problem.startswith(f"{SOURCE}:3: the twin would not parse (")


def test_twin_on_disk_that_does_not_parse(root: Path) -> None:
    append(root / TWIN, "def f(:\n")
    assert only_problem(root).startswith(f"{TWIN}:8: the file does not parse (")
    repair(root)


@pytest.mark.parametrize(
    "line", ["x: AsyncThing", "# an AsyncThing", "'AsyncThing'", "f'{AsyncThing!r}'", "AsyncThing()"]
)
def test_a_name_without_a_rule(root: Path, line: str) -> None:
    plant(root, {SOURCE: FILES[SOURCE] + line + "\n"})
    unasync.write(root, SMALL_RULES)
    assert only_problem(root) == (
        f"{SOURCE}:6: 'AsyncThing' is left in the twin: "
        f"add a rule to tools/unasync.py or reword it, then run: {COMMAND}"
    )


LEFT = """
async async_thing _awaited run_async Async asyncio ASYNC109 anyio anyio_backend trio TRIO runTrio Trio
trio_run await awaiting asynchronous aclose_all __aiter__ _aclose anext AsyncThing
"""


@pytest.mark.parametrize("word", LEFT.split())
def test_a_word_of_async_that_is_left(root: Path, word: str) -> None:
    plant(root, {SOURCE: FILES[SOURCE] + f'"""Text.\n\nIt says {word}.\n"""\n'})
    unasync.write(root, SMALL_RULES)
    assert only_problem(root).startswith(f"{SOURCE}:8: {word!r} is left in the twin")


@pytest.mark.parametrize("code", ['"as" "ync"', '"\\x61wait"', '("a"\n "nyio")', '"tr" f"io {x}"'])
def test_a_word_of_async_that_hides_in_a_literal(root: Path, code: str) -> None:
    plant(root, {SOURCE: FILES[SOURCE] + f"value = {code}\n"})
    unasync.write(root, SMALL_RULES)
    assert only_problem(root).startswith(f"{SOURCE}:6: ")


@pytest.mark.parametrize("word", ["patriotic", "trios", "synchronous", "a wait", "enclose", "waiting", "nation"])
def test_a_word_of_english(root: Path, word: str) -> None:
    plant(root, {SOURCE: FILES[SOURCE] + f"# {word}\n"})
    unasync.write(root, SMALL_RULES)
    assert unasync.check(root, SMALL_RULES) == []


def test_a_word_of_async_in_a_file_name(root: Path) -> None:
    plant(root, {"tests/_async/test_async_stream.py": ""})
    unasync.write(root, SMALL_RULES)
    assert only_problem(root).startswith("tests/_async/test_async_stream.py:1: the name of the file")


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in SMALL_RULES], ids=lambda rule: rule.old)
def test_an_unused_rule(root: Path, rule: Rule) -> None:
    assert only_problem(root, *SMALL_RULES, rule) == (
        f"tools/unasync.py: nothing uses the rule for {rule.old!r}: remove it, then run: {COMMAND}"
    )


def test_one_use_in_either_tree_is_enough(root: Path) -> None:
    plant(root, {"tests/_async/deep/test.py": "# aclose\n"})
    rules = (*SMALL_RULES, Rule("name", "aclose", "close"))
    assert unasync.write(root, rules) == (["wrote tests/_sync/deep/test.py"], [])


@pytest.mark.parametrize("gone", ["file", "tree"])
def test_a_source_tree_without_files(root: Path, gone: str) -> None:
    shutil.rmtree(root / "tests/_async")
    if gone == "file":
        plant(root, {"tests/_async/data.json": ""})
    assert only_problem(root).startswith("tests/_async: the source tree ")
    assert unasync.write(root, SMALL_RULES) == ([], [only_problem(root)])
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
    assert unasync.write(root, SMALL_RULES) == ([], [only_problem(root)])
    assert read(root / "tests/_async/test_stream.py") == FILES["tests/_async/test_stream.py"]


def test_a_directory_in_the_place_of_a_twin(root: Path) -> None:
    (root / TWIN).unlink()
    (root / TWIN).mkdir()
    assert only_problem(root) == f"{TWIN}: {TWIN} stands in its place, run: rm -r {TWIN} && {COMMAND}"
    assert unasync.write(root, SMALL_RULES) == ([], [only_problem(root)])


def test_a_file_in_the_place_of_a_package(root: Path) -> None:
    shutil.rmtree(root / "src/sekha/_sync/deep")
    plant(root, {"src/sekha/_sync/deep": ""})
    problems = unasync.check(root, SMALL_RULES)
    assert [problem.split(":")[0] for problem in problems] == [
        "src/sekha/_sync/deep/__init__.py",
        "src/sekha/_sync/deep/er.py",
        "src/sekha/_sync/deep",
    ]
    assert unasync.write(root, SMALL_RULES) == ([], problems)


# --- What the table is refused for --------------------------------------------------------------------------


def test_two_rules_with_the_same_left_side(root: Path) -> None:
    problem = only_problem(root, *SMALL_RULES, Rule("phrase", "AsyncStream", "stream"))
    assert problem == f"tools/unasync.py: 'AsyncStream' has two rules: remove one, then run: {COMMAND}"


@pytest.mark.parametrize("new", ["AsyncStream", "an AsyncStream", "async def"])
def test_a_rule_that_writes_what_another_rule_reads(root: Path, new: str) -> None:
    problem = only_problem(root, *SMALL_RULES, Rule("phrase", "a stream", new))
    assert problem.startswith(f"tools/unasync.py: the rule for 'a stream' writes {new!r}, which another rule")


def test_a_twin_that_a_second_rendering_changes(root: Path) -> None:
    plant(root, {SOURCE: FILES[SOURCE] + "# <<>>\n"})
    rules = (*SMALL_RULES, Rule("phrase", "<>", ""))
    unasync.write(root, rules)
    assert only_problem(root, *rules).startswith(f"{SOURCE}:1: rendering the twin once more changes it")


def test_the_real_table() -> None:
    assert unasync.table_problems() == []


# --- The command --------------------------------------------------------------------------------------------


def run(root: Path, *options: str) -> tuple[int, list[str]]:
    command = [sys.executable, str(ROOT / "tools/unasync.py"), "--root", str(root), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_the_command(tmp_path: Path) -> None:
    words = "\n".join(rule.old for rule in unasync.RULES if rule.kind != "keyword")
    plant(
        tmp_path,
        {
            "src/sekha/_async/one.py": f'"""Every rule.\n\n{words}\n"""\n',
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
    assert lines[2].startswith("tests/_async/two.py:3: 'AsyncUnknown' is left in the twin")


# --- The Pythons --------------------------------------------------------------------------------------------

VERSIONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]
RENDER_ALL = """
import sys
sys.path.insert(0, sys.argv[1])
import unasync
rules = [unasync.Rule(*rule) for rule in {rules!r}]
for name in sys.argv[2:]:
    rendered = unasync.render(open(name, encoding="utf-8", newline="").read(), rules)
    sys.stdout.buffer.write(rendered.text.encode() + repr(rendered.origins).encode())
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
    script.write_text(RENDER_ALL.format(rules=[tuple(rule) for rule in RULES]), encoding="utf-8")
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
