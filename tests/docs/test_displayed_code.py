"""Code on pages and in docstrings fits the column that shows it, and async code says where it runs."""

from __future__ import annotations

import ast
import codeop
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import pytest

from support.examples.blocks import REPL, Block, Fence, blocks_of, docstrings_of, fences_of
from support.examples.running import is_awaited

ROOT = Path(__file__).parents[2]
WIDTH = 88
"""Columns that a page shows without a scroll bar."""
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "skills/sekha/SKILL.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
MODULES = [path for path in sorted((ROOT / "src").rglob("*.py")) if "_sync" not in path.parts]  # which is generated


def texts_of(path: Path) -> Iterator[Tuple[int, str]]:
    """The texts of a file, each with its line: a page is one, a module has its docstrings."""
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        yield 1, text
        return
    for _, line, docstring in docstrings_of(ast.parse(text)):
        yield line, docstring


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def long_lines(fence: Fence) -> Iterator[Tuple[int, str]]:
    """The lines of a block that are too long, with their place in the text; the tree of the package may have some."""
    if fence.is_tree:
        return
    for number, line in enumerate(fence.source.splitlines(), fence.line + 1):
        if len(line) > WIDTH:
            yield number, line


def is_pasted_in_vain(block: Block) -> bool:
    """Whether a block is a syntax error in a file, and does not say that it is for the REPL."""
    return is_awaited(block.source) != block.is_for_repl


def rejected_line(source: str) -> Optional[str]:
    """The line at which a REPL that reads line by line, as before Python 3.13, reports a syntax error."""
    compiler = codeop.CommandCompiler()
    compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    statement = ""
    for line in (*source.splitlines(), "", ""):
        statement += line
        try:
            statement = "" if compiler(statement, "<REPL>", "single") else f"{statement}\n"
        except SyntaxError:
            return line
    return None


TEXTS: Dict[str, List[Tuple[int, str]]] = {name_of(path): list(texts_of(path)) for path in (*PAGES, *MODULES)}
CODE = [name for name, texts in TEXTS.items() if any(True for _, text in texts for _ in fences_of(text))]


@pytest.mark.parametrize("name", CODE)
def test_code_is_no_wider_than_its_column(name: str) -> None:
    wide = [
        f"{name}:{first + number}: {len(line)} columns: {line}"
        for first, text in TEXTS[name]
        for fence in fences_of(text)
        for number, line in long_lines(fence)
    ]
    assert wide == []


@pytest.mark.parametrize("name", CODE)
def test_async_code_is_a_program_or_marked_for_the_repl(name: str) -> None:
    unmarked = [
        f'{block.where}: make it a program, or give it title="{REPL}" if it has a top-level await'
        for first, text in TEXTS[name]
        for block in blocks_of(text, name, first)
        if is_pasted_in_vain(block)
    ]
    assert unmarked == []


@pytest.mark.parametrize("name", CODE)
def test_code_for_the_repl_can_be_pasted(name: str) -> None:
    """A blank line ends a compound statement, and stands nowhere else in it."""
    rejected = {
        block.where: line
        for first, text in TEXTS[name]
        for block in blocks_of(text, name, first)
        for line in ([rejected_line(block.source)] if block.is_for_repl else [])
        if line is not None
    }
    assert rejected == {}


FENCED = """\
=== "Tab"

    ```{language}
    {line}
    ```
"""


@pytest.mark.parametrize("language", ["python", "bash", "console", "text", "json", "toml", "yaml", "ini"])
def test_a_long_line_is_found(language: str) -> None:
    fits, is_too_long = (
        [
            found
            for fence in fences_of(FENCED.format(language=language, line="x" * width))
            for found in long_lines(fence)
        ]
        for width in (WIDTH, WIDTH + 1)
    )
    assert fits == []
    assert is_too_long == [(3, "x" * (WIDTH + 1))]


def test_the_tree_of_the_package_may_be_wide() -> None:
    (fence,) = fences_of("```text\nsrc/sekha/\n  x.py  " + "what is in it " * 9 + "\n```\n")
    assert list(long_lines(fence)) == []


@pytest.mark.parametrize(
    ("source", "title", "expected"),
    [
        ("await f()\n", "", True),
        ("async with f() as x:\n    pass\n", "", True),
        ("async for x in f():\n    pass\n", "app.py", True),
        ("await f()\n", REPL, False),
        ("async def main():\n    await f()\n\n\nasyncio.run(main())\n", "", False),
        ("print(1)\n", "", False),
        ("print(1)\n", REPL, True),
    ],
)
def test_what_runs_when_pasted(source: str, title: str, expected: bool) -> None:
    assert is_pasted_in_vain(Block("here:1", "", source, title)) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = await f()\nprint(x)\n", None),
        ("async with f() as x:\n    print(x)\n", None),
        ("async with f() as x:\n    print(x)\n\nprint(1)\n", None),
        ("async with f() as x:\n    print(x)\nprint(1)\n", "print(1)"),
        ("for x in y:\n    print(x)\n\n    print(1)\n", "    print(1)"),
        ("f(\n    1,\n)\n", None),
    ],
)
def test_what_the_repl_rejects(source: str, expected: Optional[str]) -> None:
    assert rejected_line(source) == expected
