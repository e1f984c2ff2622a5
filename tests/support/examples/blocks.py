"""The Python blocks of texts: where they are, how they read in the other flavour, and what they promise to print."""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>\w*)(?P<options>[^`\n]*)\n"
    r"(?P<source>.*?)^(?P=indent)(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="(?P<title>[^"]+)"')
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_COMMENT = re.compile(r"#\s?(?P<text>.*)")

REPL = "python -m asyncio"
"""The title of a block for the asyncio REPL and for notebooks: it may ``await`` outside of functions."""

RENAMED = {
    "SekhaClient": "AsyncSekhaClient",
    "MemoryController": "AsyncMemoryController",
    "create_sekha_client": "create_async_sekha_client",
}


class Fence(NamedTuple):
    """A block of code in a text, of any language."""

    line: int
    """Where it begins; the first line of the text is 0."""
    language: str
    title: str
    source: str

    @property
    def is_tree(self) -> bool:
        """Whether it is the tree of the package."""
        return self.language == "text" and self.source.startswith("src/")


class Block(NamedTuple):
    """A Python block of a text."""

    where: str
    """File and line, such as ``README.md:12``."""
    heading: str
    """The heading above it, with a number from the second block on: ``Breaking Changes 2``."""
    source: str
    title: str = ""
    """The file that it is, such as ``notes/views.py``, or where it is entered: `REPL`."""

    @property
    def is_file(self) -> bool:
        """Whether its title is the name of a file."""
        return self.title.endswith(".py")

    @property
    def is_for_repl(self) -> bool:
        """Whether it is entered in the asyncio REPL."""
        return self.title == REPL


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


def fences_of(text: str) -> Iterator[Fence]:
    """The blocks of code of a Markdown text, or of a docstring."""
    for match in _FENCE.finditer(text):
        title = _TITLE.search(match["options"])
        line = text.count("\n", 0, match.start())
        yield Fence(line, match["language"], title["title"] if title else "", textwrap.dedent(match["source"]))


def blocks_of(text: str, name: str, first_line: int = 1) -> Iterator[Block]:
    """The Python blocks of a Markdown text, or of a docstring."""
    fences = list(fences_of(text))
    in_code = {line for one in fences for line in range(one.line, one.line + one.source.count("\n") + 1)}
    headings = {
        line: match.group(1)
        for line, match in ((text.count("\n", 0, match.start()), match) for match in _HEADING.finditer(text))
        if line not in in_code
    }
    seen: Dict[str, int] = {}
    for one in fences:
        if one.language != "python":
            continue
        above = [heading for line, heading in headings.items() if line < one.line]
        heading = above[-1] if above else ""
        seen[heading] = seen.get(heading, 0) + 1
        numbered = heading if seen[heading] == 1 else f"{heading} {seen[heading]}"
        yield Block(f"{name}:{first_line + one.line}", numbered, one.source, one.title)


def blocks_of_docstrings(package: Path) -> Iterator[Block]:
    """The Python blocks of all docstrings of a package; ``heading`` is the name of what they belong to."""
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package.parent).as_posix()
        for owner, line, text in docstrings_of(ast.parse(path.read_text("utf-8"))):
            for block in blocks_of(text, name, line):
                yield block._replace(heading=owner)


def docstrings_of(node: ast.AST, owner: str = "") -> Iterator[Tuple[str, int, str]]:
    """The docstrings in a module: whose it is, its line, and its text."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from docstrings_of(inner, f"{owner}.{inner.name}".lstrip("."))
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        text = ast.get_docstring(node)
        if text:
            yield owner, node.body[0].lineno, text


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
