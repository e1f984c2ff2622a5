"""Every Python block of the README, the documentation, the docstrings and the specification runs and says the truth."""

from __future__ import annotations

import atexit
import inspect
import logging
import os
import re
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, Iterator, List, Mapping
from unittest import mock

import pytest

import sekha
from sekha import AsyncSekhaClient, SekhaAuthError, SekhaClient
from sekha.local import LocalSekha
from sekha.local.v0_1 import edge
from support.examples.blocks import Block, as_async, as_blocking, blocks_of, blocks_of_docstrings, promises_of
from support.examples.running import FLAVOURS, Ran, is_awaited, run
from support.examples.specification import EXPECTED, Expectation, Undelivered, completed
from support.examples.world import (
    ARCHITECTURE,
    AUTHENTICATION,
    DEPLOYMENT,
    DOCUMENTED,
    KNOWN,
    PROFILES,
    REAL,
    SECURITY,
    World,
)
from support.integrations import chosen, framework_files
from support.packages import require_packages

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
PACKAGE = Path(sekha.__file__).parent
SPECIFICATION = list(blocks_of((TESTS / "data" / "python-sdk.md").read_text("utf-8"), "python-sdk.md"))
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "skills/sekha/SKILL.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FRAMEWORK_FILES = framework_files()


def has_its_framework(block: Block) -> bool:
    """Whether a block is run here: those on a framework in the environment that has it, and nothing else there."""
    return FRAMEWORK_FILES.get(block.where.partition(":")[0], "") == chosen()


DOCUMENTATION = [
    block
    for page in PAGES
    for block in blocks_of(page.read_text("utf-8"), page.relative_to(ROOT).as_posix())
    if has_its_framework(block)
]
RUN_ELSEWHERE = {
    "docs/recipes/celery.md": "environments/test_celery_recipe.py",
    "docs/recipes/dask.md": "environments/test_dask_recipe.py",
    "docs/recipes/django.md": "examples/test_web_recipes.py",
}
"""Pages whose files need workers and work to do, or a project around them, and the tests that run them."""
DOCSTRINGS = list(filter(has_its_framework, blocks_of_docstrings(PACKAGE)))
FRAMEWORKS = {
    "examples": ("django", "fastapi", "flask", "pandas"),
    "environments": ("celery", "dask", "joblib"),
    "redis": ("redis",),
}
"""Packages that blocks import, by the extra that brings them."""
CLIENTS = [cls for name, cls in vars(sekha).items() if inspect.isclass(cls) and name.endswith(("Client", "Controller"))]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dict[str, World]]:
    with ExitStack() as stack:
        yield {profile: stack.enter_context(World(tmp_path_factory.mktemp("world"), profile)) for profile in PROFILES}


@pytest.fixture(autouse=True)
def _the_log_as_it_was() -> Iterator[None]:
    """An example may ask our logger to speak up."""
    logger = logging.getLogger("sekha")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def profile() -> str:
    """Which servers `world` is; tests that run on both have it as a parameter."""
    return DOCUMENTED


@pytest.fixture
def world(worlds: Dict[str, World], profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The memory as it was in the beginning, an empty working folder, and nothing of ours in the environment.

    Nothing but the key of the MCP tools, where they have their own: the specification says only `api_key` (D27).
    """
    world = worlds[profile]
    world.reset()
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("SEKHA_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    if "mcp_api_key" in world.options:
        monkeypatch.setenv("SEKHA_MCP_API_KEY", world.options["mcp_api_key"])
    monkeypatch.setattr(edge, "MAX_REQUESTS", 10**9)  # all tests are one client
    return world


def named(block: Block) -> str:
    return f"{block.where}-{block.heading}"


# The specification


def in_flavour(source: str, flavour: str) -> str:
    return as_blocking(source) if flavour == "blocking" else as_async(source)


def run_specified(block: Block, expected: Expectation, flavour: str, world: World) -> Ran:
    ids = {"architecture": ARCHITECTURE, "security": SECURITY, "deployment": DEPLOYMENT}
    expected = expected._replace(ids=tuple(world.ids[ids[id]] if id in ids else id for id in expected.ids))
    source = in_flavour(completed(block.source, expected, world) + expected.after, flavour)
    names = {"options": world.options, "SekhaClient": SekhaClient, "AsyncSekhaClient": AsyncSekhaClient}
    raises = tuple(cls for one in expected.exceptions if one.decision in world.exceptions for cls in one.raises)
    return run(source, block.where, flavour, world.options, names, raises)


def test_every_block_of_the_specification_has_an_expectation() -> None:
    assert len(SPECIFICATION) == 37
    assert [block.heading for block in SPECIFICATION] == list(EXPECTED)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("block", SPECIFICATION, ids=named)
def test_specification(block: Block, flavour: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = EXPECTED[block.heading]
    if world.profile != DOCUMENTED:
        world.exceptions = {one.decision for one in expected.exceptions}
    for name, value in (expected.environment or {}).items():
        monkeypatch.setenv(name, value.format(**world.options))
    expected.check(run_specified(block, expected, flavour, world), world)
    assert world.excepted == world.exceptions, "an exception is listed that nothing needs"


_RESERVED = socket.socket()
"""Bound, and not listening: connections to its port are refused, and nobody else gets it."""
atexit.register(_RESERVED.close)


def refused_port() -> int:
    if _RESERVED.getsockname()[1] == 0:
        _RESERVED.bind(("127.0.0.1", 0))
    port: int = _RESERVED.getsockname()[1]
    return port


BLOCKS = {block.heading: block for block in SPECIFICATION}


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("profile", PROFILES)
def test_the_delete_block_where_there_are_no_messages(flavour: str, world: World) -> None:
    """D49 is about conversations with messages only."""
    empty = world.tool("memory_store", label="Empty", folder="/", messages=[])["id"]
    expected = EXPECTED["Pin/Archive/Delete"]._replace(ids=(KNOWN, KNOWN, empty), exceptions=())
    assert run_specified(BLOCKS["Pin/Archive/Delete"], expected, flavour, world).values == [None, None, None]
    assert world.get(f"/api/v1/conversations/{empty}").status_code == 404


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("profile", [REAL])
def test_a_block_without_the_key_of_the_tools(flavour: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """D27: what needs no tool is done, and the error says which key is missing."""
    monkeypatch.delenv("SEKHA_MCP_API_KEY")
    heading = "Unified Client (Recommended)"
    expected = EXPECTED[heading]._replace(exceptions=(Undelivered("D27", "", (SekhaAuthError,)),))
    world.exceptions = {"D27"}
    ran = run_specified(BLOCKS[heading], expected, flavour, world)
    assert isinstance(ran.error, SekhaAuthError)
    assert "mcp_api_key" in ran.error.message
    assert ran.lines == [world.answer_to("Explain quantum computing")]
    assert [stored["label"] for stored in world.added()] == ["My Conversation"]


BROKEN: Dict[str, Any] = {
    "a wrong key": ({"api_key": "sk-wrong"}, KNOWN, "Invalid API key"),
    "nobody there": ({"max_retries": 0}, KNOWN, "Controller unreachable"),
    "a bad id": ({}, "...", "API error: conversation_id: <what> (status: 400)"),
    "a closed client": ({}, KNOWN, "Unexpected error: <what>"),
}


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("what", BROKEN)
def test_the_error_handling_block_tells_every_failure(what: str, flavour: str, world: World) -> None:
    block = BLOCKS["Error Handling"]
    options, id, said = BROKEN[what]
    if what == "nobody there":
        options = {**options, "controller_url": f"http://127.0.0.1:{refused_port()}"}
    closing = "await client.close()\n" if what == "a closed client" else ""
    expected = EXPECTED[block.heading]._replace(ids=(id,))
    source = block.source if id == "..." else completed(block.source, expected, world)
    with ExitStack() as stack:
        if what == "a wrong key" and world.profile != REAL:
            keyed = stack.enter_context(LocalSekha(api_key="sk-right"))
            options = {**options, "controller_url": keyed.controller_url}
        ran = run(in_flavour(closing + source, flavour), block.where, flavour, {**world.options, **options}, {})
    if what == "a wrong key" and world.profile == REAL:  # D28: its REST routes take any key
        assert ran.lines == []
        assert ran.names["conversation"]["label"] == AUTHENTICATION.label
        return
    assert len(ran.lines) == 1
    assert re.fullmatch(re.escape(said).replace("<what>", ".+"), ran.lines[0])


# Documentation and docstrings


def flavours_of(block: Block) -> List[str]:
    """Awaited blocks run on asyncio and trio, all others blocking."""
    awaited = is_awaited(block.source) or block.where.startswith("sekha/_async/")
    if not awaited:
        return ["blocking"]
    if chosen() or re.search(r"^ *(import|from) asyncio\b", block.source, re.MULTILINE):  # no framework runs on trio
        return ["asyncio"]
    return ["asyncio", "trio"]


def with_flavours(blocks: List[Block]) -> List[Any]:
    return [
        pytest.param(block, flavour, id=f"{named(block)}-{flavour}")
        for block in blocks
        for flavour in flavours_of(block)
    ]


def run_documented(block: Block, flavour: str, world: World) -> None:
    """Runs a block, and compares what it prints with what its comments say."""
    source = filled_in(block.source, world)
    if "def test_" in source:
        Path("test_block.py").write_text(source, "utf-8")
        run_tests("test_block.py")
        return
    Path(".env").write_text(
        f"SEKHA_CONTROLLER_URL={world.options['controller_url']}\nSEKHA_API_KEY={world.options['api_key']}\n"
        f"SEKHA_BRIDGE_URL={world.options['bridge_url']}\n",
        "utf-8",
    )
    names = {
        "conversation_id": KNOWN,
        "controller_url": world.options["controller_url"],
        "bridge_url": world.options["bridge_url"],
    }
    settings = {f"SEKHA_{name.upper()}": value for name, value in world.options.items()}
    with mock.patch.dict(os.environ, settings if "SekhaClient()" in source else {}):
        ran = run(source, block.where, flavour, world.options, names)
    for promise in promises_of(source):
        printed = [text for line, text in ran.prints if promise.first <= line <= promise.last]
        assert printed, f"{block.where}: line {promise.first} of the block prints nothing"
        for text in printed:
            assert promise.holds(text), f"{block.where}: printed {text!r}, promised {promise.text!r}"


def provide_redis(block: Block, world: World, request: pytest.FixtureRequest) -> None:
    """Start a Redis if a page has a block that needs one; without it, the test is skipped."""
    pages = [one.source for one in DOCUMENTATION if one.is_file and page_of(one) == page_of(block)]
    if any("redis://" in source for source in (block.source, *pages)):
        world.redis_url = request.getfixturevalue("redis").url


def filled_in(source: str, world: World) -> str:
    source = source.replace("redis://localhost:6379", world.redis_url)
    source = source.replace("http://localhost:8080", world.options["controller_url"])
    source = source.replace("http://localhost:5001", world.options["bridge_url"])
    return re.sub(r"\bsk-your-api-key(-here)?\b", world.options["api_key"], source)


def run_file(block: Block, world: World) -> None:
    """Runs a block that is a file, beside the other files of its page and with the settings in the environment."""
    for one in DOCUMENTATION:
        if one.is_file and page_of(one) == page_of(block):
            Path(one.title).parent.mkdir(parents=True, exist_ok=True)
            Path(one.title).write_text(filled_in(one.source, world), "utf-8")
    settings = {f"SEKHA_{name.upper()}": value for name, value in world.options.items()}
    if "def test_" in block.source:
        run_tests(block.title, settings)
        return
    assert not promises_of(block.source), "what a file prints is not looked at"
    run_module(block.title[: -len(".py")].replace("/", "."), settings)


def page_of(block: Block) -> str:
    return block.where.partition(":")[0]


def run_tests(file: str, settings: Mapping[str, str] = MappingProxyType({})) -> None:
    """Runs a test module, with pytest, in another process."""
    options = [option for plugin in ("no:cacheprovider", "anyio", "pytest_sekha") for option in ("-p", plugin)]
    # Users have these two where they are installed; all others that we have installed take a second to load.
    alone = {**settings, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    assert " passed" in run_module("pytest", alone, "-q", *options, file)


def run_module(name: str, settings: Mapping[str, str], *arguments: str) -> str:
    """Runs a module in another process; what it prints."""
    path = os.pathsep.join(part for part in (str(PACKAGE.parent), os.environ.get("PYTHONPATH")) if part)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", name, *arguments],
        env={**os.environ, **settings, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def frameworks_of(block: Block, extra: str) -> List[str]:
    """Packages of an extra that the blocks of a page import, and that tests of the core do without."""
    page = block.where.partition(":")[0]
    sources = "\n".join(one.source for one in DOCUMENTATION if one.where.startswith(f"{page}:"))
    return [name for name in FRAMEWORKS[extra] if re.search(rf"^ *(import|from) {name}\b", sources, re.MULTILINE)]


def is_run_here(block: Block) -> bool:
    return not (block.is_file and page_of(block) in RUN_ELSEWHERE)


@pytest.mark.parametrize("page", RUN_ELSEWHERE)
def test_files_that_are_not_run_here_are_run_elsewhere(page: str) -> None:
    assert f'"{page[len("docs/") :]}"' in (TESTS / RUN_ELSEWHERE[page]).read_text("utf-8")
    assert not all(is_run_here(block) for block in DOCUMENTATION if page_of(block) == page)


@pytest.mark.parametrize(("block", "flavour"), with_flavours(list(filter(is_run_here, DOCUMENTATION))))
def test_documentation(block: Block, flavour: str, world: World, request: pytest.FixtureRequest) -> None:
    provide_redis(block, world, request)
    for extra in FRAMEWORKS:
        require_packages(extra, *frameworks_of(block, extra))
    if block.is_file:
        run_file(block, world)
    else:
        run_documented(block, flavour, world)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_the_documentation_says_its_language(page: Path) -> None:
    """So that none is left out because it does not say that it is Python."""
    fences = re.findall(r"^ *```(.*)$", page.read_text("utf-8"), re.MULTILINE)
    assert len(fences) % 2 == 0
    assert {fence.split(" ")[0] for fence in fences[::2]} <= {
        "python",
        "bash",
        "console",
        "text",
        "ini",
        "json",
        "toml",
        "yaml",
    }


@pytest.mark.promise("C9")
@pytest.mark.parametrize(("block", "flavour"), with_flavours(DOCSTRINGS))
def test_every_docstring_runs(block: Block, flavour: str, world: World, request: pytest.FixtureRequest) -> None:
    provide_redis(block, world, request)
    run_documented(block, flavour, world)


@pytest.mark.promise("C9")
def test_both_flavours_have_the_same_examples() -> None:
    def headings(tree: str) -> List[str]:
        found = [block.heading for block in DOCSTRINGS if block.where.startswith(f"sekha/{tree}/")]
        return [heading.replace("Async", "").replace("async_", "") for heading in found]

    assert headings("_async") == headings("_sync")
    assert len(headings("_async")) > 40


@pytest.mark.parametrize("cls", CLIENTS, ids=lambda cls: cls.__name__)
def test_every_public_method_has_an_example(cls: type) -> None:
    without = [
        name
        for name, method in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_") and name not in ("close", "aclose") and "```python" not in (method.__doc__ or "")
    ]
    assert not without


# The harness itself


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('print("one")  # two', "printed 'one"),
        ('print("one")\n# two', "printed 'one"),
        ('if False:\n    print("one")  # one', "prints nothing"),
        ("for n in (1, 2):\n    print(n)  # 1", "printed '2"),
        ('print(\n    "one"\n)  # two', "printed 'one"),
    ],
)
def test_a_false_comment_is_noticed(source: str, fault: str, world: World) -> None:
    with pytest.raises(AssertionError, match=fault):
        run_documented(Block("here:1", "", source), "blocking", world)


@pytest.mark.parametrize(
    "source",
    [
        'print("one")  # one',
        'print("one", 1.5)  # <word> 1.5',
        'print("one two")\n# one...',
        'print("one")\n\n# two comes next',
        'print("# one")',
    ],
)
def test_a_true_comment_is_accepted(source: str, world: World) -> None:
    run_documented(Block("here:1", "", source), "blocking", world)


def test_a_warning_in_a_block_is_an_error(world: World) -> None:
    with pytest.raises(DeprecationWarning):
        run("import warnings\nwarnings.warn('old', DeprecationWarning)", "here:1", "blocking", world.options, {})


def test_a_failing_test_module_is_noticed(world: World) -> None:
    Path("test_it.py").write_text("def test_it():\n    assert 1 == 2\n", "utf-8")
    with pytest.raises(AssertionError, match="1 failed"):
        run_tests("test_it.py")


def test_a_failing_file_is_noticed(world: World) -> None:
    Path("broken.py").write_text("1 / 0\n", "utf-8")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_file(Block("here:1", "", "", "broken.py"), world)


PAGE = """\
# One
```python
a
```
## Two
=== "Tab"

    ```python
    b
        c
    ```

```text
# no heading
```
```python title="x"
d
```
"""


def test_blocks_are_found() -> None:
    assert list(blocks_of(PAGE, "page.md", 10)) == [
        Block("page.md:11", "One", "a\n"),
        Block("page.md:17", "Two", "b\n    c\n"),
        Block("page.md:25", "Two 2", "d\n", "x"),
    ]
