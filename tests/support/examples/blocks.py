"""The Python blocks of texts: where they are, how they read in the other flavour, and what they promise to print."""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple

_BLOCK = re.compile(
    r'^(?P<indent> *)```python(?: title="(?P<title>[^"\n]+)")?[^\n]*\n(?P<source>.*?)^(?P=indent)```[ ]*$',
    re.MULTILINE | re.DOTALL,
)
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_FENCED = re.compile(r"^ *```.*?^ *```[ ]*$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"#\s?(?P<text>.*)")

RENAMED = {
    "SekhaClient": "AsyncSekhaClient",
    "MemoryController": "AsyncMemoryController",
    "create_sekha_client": "create_async_sekha_client",
}


class Block(NamedTuple):
    """A Python block of a text."""

    where: str
    """File and line, such as ``README.md:12``."""
    heading: str
    """The heading above it, with a number from the second block on: ``Breaking Changes 2``."""
    source: str
    title: str = ""
    """The file that it is, such as ``notes/views.py``."""


class Promise(NamedTuple):
    """A comment behind a ``print`` that says what is printed; ``<...>`` and ``...`` in it stand for anything."""

    first: int
    last: int
    text: str

    def holds(self, printed: str) -> bool:
        """Whether this is what was promised."""
        parts = re.split(r"<[^<>]*>|\.\.\.", self.text)
        pattern = ".+".join(re.escape(part) for part in parts)
        return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def blocks_of(text: str, name: str, first_line: int = 1) -> Iterator[Block]:
    """The Python blocks of a Markdown text, or of a docstring."""
    fences = [match.span() for match in _FENCED.finditer(text)]
    headings = [
        match for match in _HEADING.finditer(text) if not any(start <= match.start() < end for start, end in fences)
    ]
    seen: Dict[str, int] = {}
    for match in _BLOCK.finditer(text):
        above = [found.group(1) for found in headings if found.start() < match.start()]
        heading = above[-1] if above else ""
        seen[heading] = seen.get(heading, 0) + 1
        line = first_line + text.count("\n", 0, match.start())
        numbered = heading if seen[heading] == 1 else f"{heading} {seen[heading]}"
        yield Block(f"{name}:{line}", numbered, textwrap.dedent(match["source"]), match["title"] or "")


def blocks_of_docstrings(package: Path) -> Iterator[Block]:
    """The Python blocks of all docstrings of a package; ``heading`` is the name of what they belong to."""
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package.parent).as_posix()
        yield from _docstrings(ast.parse(path.read_text("utf-8")), name, "")


def _docstrings(node: ast.AST, file: str, owner: str) -> Iterator[Block]:
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _docstrings(inner, file, f"{owner}.{inner.name}".lstrip("."))
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        text = ast.get_docstring(node)
        if text:
            for block in blocks_of(text, file, node.body[0].lineno):
                yield block._replace(heading=owner)


def as_async(source: str) -> str:
    """A block of the specification as it reads in the async flavour."""
    for old, new in RENAMED.items():
        source = re.sub(rf"\b{old}\b", new, source)
    return source


def as_blocking(source: str) -> str:
    """A block of the specification as it reads in the blocking flavour."""
    return re.sub(r"\bawait\s+|\basync\s+(?=with\b|for\b)", "", source)


def promises_of(source: str) -> List[Promise]:
    """What the comments behind, or in the line after, the ``print`` lines of a block promise."""
    comments = {
        token.start[0]: token
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    lines = source.splitlines()
    found: List[Promise] = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
            continue
        if not (isinstance(node.value.func, ast.Name) and node.value.func.id == "print"):
            continue
        last = node.end_lineno or node.lineno
        token = comments.get(last)
        if token is None and last + 1 in comments and lines[last].lstrip().startswith("#"):
            token = comments[last + 1]
        match = token and _COMMENT.fullmatch(token.string)
        if match:
            found.append(Promise(node.lineno, last, match["text"].strip()))
    return found
