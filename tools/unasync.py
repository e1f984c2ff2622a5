"""Generate the sync client and its tests from the async ones.

    python tools/unasync.py           write twins that differ, remove generated files that lost their source
    python tools/unasync.py --check   write nothing; exit 1 and report one problem a line

Every `.py` file of a source tree has a twin of the same name in its twin tree (`TREES`). The source is cut into
tokens: `async` and `await` are dropped, and names lose their mark (`AsyncStream` becomes `Stream`, `async_sleep`
becomes `sleep`) unless `EXCEPTIONS` has another name; in code, strings and comments. Blocks of code in docstrings lose
the title `python -m asyncio`. The rest is kept byte by byte. The output is the same on every Python from 3.9 on.

What is in doubt is an error, never a guess: a word of async that is left, a new name that nothing defines, a name of
another package that is not listed, two names that become one, an exception that nothing uses, a file that does not
parse, a twin that is not what its source generates, a file in a twin tree that nothing generates. Writing repairs what
it can and reports the rest. It removes only files with the banner of a source that is gone.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import io
import os
import re
import symtable
import sys
import token
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, takewhile
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Optional

MARK = re.compile(r"(?<![^\W_])(?:Async(?=[A-Z])|async_(?=[a-z]))")  # at the start, or behind an underscore
Renames = Mapping[str, str]  # old names, each with the new one

# Names whose twin is not the name without its mark, and all names of other packages: `MARK` alone renames only ours.
EXCEPTIONS = {
    # Python and other packages. `Generator` takes one parameter more than `AsyncGenerator`: write `AsyncIterator`.
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "StopAsyncIteration": "StopIteration",
    "AsyncIterable": "Iterable",
    "AsyncIterator": "Iterator",
    "AsyncExitStack": "ExitStack",
    "push_async_callback": "callback",
    "aclose": "close",
    "AsyncRetrying": "Retrying",
    "AsyncByteStream": "SyncByteStream",
    "AsyncClient": "Client",
    "AsyncHTTPTransport": "HTTPTransport",
    "aiter_bytes": "iter_bytes",
    "handle_async_request": "handle_request",
    # Sekha
    "_async": "_sync",
    "AsyncPerLoop": "PerProcess",
}

TREES = (("src/sekha/_async", "src/sekha/_sync"), ("tests/_async", "tests/_sync"))
IMPORT_ROOTS = ("src", "tests")
TOOL = "tools/unasync.py"
COMMAND = f"python {TOOL}"
BANNER = f"# Generated from {{}}: do not edit.\n# To change it, edit that file, then run: {COMMAND}\n"

# What may not be left in a twin. "trio" counts only as a word of its own: "patriotic" is no word of async.
ASYNC_WORD = re.compile(
    r"\w*(?i:async|await|anyio)\w*"
    r"|\w*(?:(?<![A-Za-z])trio(?![a-z])|Trio(?![a-z])|(?<![A-Z])TRIO(?![A-Z]))\w*"
    r"|\w*(?<![A-Za-z])a(?:close|enter|exit|iter|next)(?![A-Za-z])\w*",
    re.ASCII,
)

# A keyword leaves a text only where it stands as in code. "Callers await it" is for the writer to reword.
BEGIN = r"(?:(?<![\w\\])|(?<=\\[nrt]))"  # of a word, which an escape like \n may precede
WORD_IN_TEXT = re.compile(
    rf"(?P<keyword>{BEGIN}async[ \t]+(?=(?:def|with|for)\b)"
    rf"|{BEGIN}await[ \t]+(?=[A-Za-z_]\w*(?:\.\w|[\[(]))"  # await client.query, await f(x), await xs[0]
    r"|(?<=[`{\[])await[ \t]+"  # `await task`, {await task}, [await task for ...]
    r"|(?<=\()await[ \t]+(?=[\w.]+\))"  # (await task)
    r"|(?:(?<== )|(?<=>>> )|(?<=return ))await[ \t]+)"
    rf"|{BEGIN}[A-Za-z_]\w*",
    re.ASCII,
)
WHITE_SPACE = re.compile(r"(?:\s|\\\n)*")

# A block of code for the asyncio REPL; in the twin it is for any.
REPL_TITLE = re.compile(r'(?<=```python) title="python -m asyncio"')


# --- One text -----------------------------------------------------------------------------------------------


class Rendered(NamedTuple):
    """A generated text, the source line of each of its lines, and the first line of each word of the source."""

    text: str
    origins: tuple[int, ...]
    words: Mapping[str, int]


def rename(name: str, exceptions: Renames = EXCEPTIONS) -> str:
    """Return what the twin calls `name`."""
    return exceptions.get(name) or MARK.sub("", name)


def render(text: str, exceptions: Renames = EXCEPTIONS) -> Rendered:
    """Translate the Python source `text`, which must parse."""
    output: list[str] = []
    origins = [1]
    row, after_keyword = 1, False
    in_code: dict[str, int] = {}
    in_text: dict[str, int] = {}

    def replace(match: re.Match[str]) -> str:
        if match["keyword"]:
            return ""
        in_text.setdefault(match[0], row + match.string.count("\n", 0, match.start()))
        return rename(match[0], exceptions)

    for kind, old in _split(text):
        new = old
        if kind == "NAME":
            in_code.setdefault(old, row)
            new = "" if old in ("async", "await") else rename(old, exceptions)
        elif kind == "GAP" and after_keyword:
            new = WHITE_SPACE.sub("", old, count=1)
        elif kind in ("STRING", "COMMENT"):
            new = WORD_IN_TEXT.sub(replace, REPL_TITLE.sub("", old))
        after_keyword = kind == "NAME" and not new
        # Line ends get lost only behind a keyword, the first ones of a gap.
        row += old.count("\n")
        origins += range(row - new.count("\n") + 1, row + 1)
        output.append(new)
    return Rendered("".join(output), tuple(origins), {**in_text, **in_code})


def _split(text: str) -> Iterator[tuple[str, str]]:
    """Cut `text` into NAME, STRING and COMMENT, each behind its GAP; an f-string is one STRING, as before 3.12."""
    starts = [0, *accumulate(map(len, io.StringIO(text)))]
    position = begin = depth = 0
    for item in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = token.tok_name[item.type]
        if depth == 0:
            begin = starts[item.start[0] - 1] + item.start[1]
        if kind == "FSTRING_START":
            depth += 1
        elif kind == "FSTRING_END":
            depth -= 1
            kind = "STRING"
        if depth == 0 and kind in ("NAME", "STRING", "COMMENT"):
            end = starts[item.end[0] - 1] + item.end[1]
            yield "GAP", text[position:begin]
            yield kind, text[begin:end]
            position = end
    yield "GAP", text[position:]


def async_words(rendered: Rendered) -> list[tuple[int, str]]:
    """Return the words of async that are left, each with the number of its source line."""
    lines = enumerate(rendered.text.split("\n"), start=1)
    found = {(number, match.group()) for number, line in lines for match in ASYNC_WORD.finditer(line)}
    known = {number for number, _ in found}
    # A word may also hide in the value of a literal: "as" "ync", or behind an escape.
    for node in ast.walk(parse(rendered.text)):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        if known.isdisjoint(range(node.lineno, (node.end_lineno or node.lineno) + 1)):
            found |= {(node.lineno, match.group()) for match in ASYNC_WORD.finditer(node.value)}
    return [(rendered.origins[number - 1], word) for number, word in sorted(found)]


def parse(text: str) -> ast.Module:
    """Parse with the grammar of the oldest Python, whichever is running."""
    scopes_of(text)  # refuses what the parser alone accepts, such as two arguments of one name
    return ast.parse(text, feature_version=(3, 9))


# --- Names --------------------------------------------------------------------------------------------------


class Names(NamedTuple):
    """Names that a module binds at its top level, binds in any scope or as attributes, and reads unbound."""

    top: set[str]
    anywhere: set[str]
    unbound: set[str]


def names_of(text: str, file: str = "") -> Names:
    """Collect the names of a module."""
    scopes = scopes_of(text, file)
    bound = [{symbol.get_name() for symbol in scope.get_symbols() if symbol.is_local()} for scope in scopes]
    read = {symbol.get_name() for scope in scopes for symbol in scope.get_symbols() if symbol.is_global()}
    attributes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute))
    stored = {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    return Names(bound[0], stored.union(*bound), read - bound[0])


def scopes_of(text: str, file: str = "") -> list[symtable.SymbolTable]:
    """Return the scope of a module and those in it; an import from __future__ would hide names in annotations."""
    scopes = [symtable.symtable(text.replace("from __future__ import", "from future import"), file, "exec")]
    for scope in scopes:
        scopes += scope.get_children()
    return scopes


def find(module: str, root: Path, known: dict[str, Names]) -> Optional[Names]:
    """Return the names of a module if it is in this checkout; `known` has all twins, and keeps what is read."""
    files = [f"{folder}/{module.replace('.', '/')}{end}" for folder in IMPORT_ROOTS for end in (".py", "/__init__.py")]
    unread = (file for file in files if file not in known and (root / file).is_file())
    known.update((file, names_of((root / file).read_text(encoding="utf-8"), file)) for file in unread)
    return next((known[file] for file in files if file in known), None)


def name_problems(twin: Twin, root: Path, known: dict[str, Names], exceptions: Renames) -> Iterator[str]:
    """Report each name of a source that cannot get its new name."""
    lines = twin.rendered.words
    renamed = {old: new for old in lines if (new := rename(old, exceptions)) != old}
    found = {old: (lines[old], f"and {other!r} become one name") for old, other in _collisions(twin, renamed)}
    for owner, old, line in _taken(twin, renamed):
        module, name = re.sub(r"\w+", lambda match: rename(match[0], exceptions), owner), renamed.get(old)
        names = find(module, root, known)  # keeps what is imported for the last check as well
        if name and not names and not find(module.partition(".")[0], root, known):
            if old not in exceptions:
                found.setdefault(old, (line or lines[old], f"is a name of another package, {module}"))
        elif name and (name not in names.top if names else not line) and not find(f"{module}.{name}", root, known):
            found.setdefault(old, (line or lines[old], f"becomes {name!r}, which {module} does not define"))
    for old, new in renamed.items():
        if new in known[twin.name].unbound and not (old in exceptions and hasattr(builtins, new)):
            found.setdefault(old, (lines[old], f"becomes {new!r}, which the twin neither defines nor imports"))
        elif old not in exceptions and not any(new in names.anywhere for names in known.values()):
            found.setdefault(old, (lines[old], f"becomes {new!r}, which nothing defines"))
    for line, old, problem in sorted((line, old, problem) for old, (line, problem) in found.items()):
        yield f"{twin.source}:{line}: {old!r} {problem}: rename it, or list it in {TOOL}"


def _collisions(twin: Twin, renamed: Renames) -> Iterator[tuple[str, str]]:
    """Yield renamed names with others that become the same, in one class or anywhere else in a module."""
    scopes = scopes_of(twin.source_text)
    groups = [set(scope.get_identifiers()) for scope in scopes if scope.get_type() == "class"]
    groups.append({name for scope in scopes if scope.get_type() != "class" for name in scope.get_identifiers()})
    for names in groups:
        for old in renamed.keys() & names:
            yield from ((old, name) for name in sorted(names - {old}) if renamed.get(name, name) == renamed[old])


def _taken(twin: Twin, renamed: Renames) -> Iterator[tuple[str, str, int]]:
    """Yield what a source imports, and renamed attributes of that, each with its owner; an attribute with its line."""
    paths: dict[str, str] = {}
    for node in sorted(ast.walk(parse(twin.source_text)), key=lambda node: isinstance(node, ast.Attribute)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                path = alias.name if alias.asname else alias.name.partition(".")[0]
                paths[alias.asname or path] = path
        elif isinstance(node, ast.ImportFrom):
            package = PurePosixPath(twin.name).parts[1 : -node.level] if node.level else ()
            path = ".".join(filter(None, (*package, node.module)))
            for alias in node.names:
                paths[alias.asname or alias.name] = f"{path}.{alias.name}"
                yield path, alias.name, 0
        elif isinstance(node, ast.Attribute):
            name, dot, rest = ast.unparse(node.value).partition(".")
            if name in paths and node.attr in renamed:
                yield paths[name] + dot + rest, node.attr, node.lineno


# --- The trees ----------------------------------------------------------------------------------------------


class Twin(NamedTuple):
    """A file of a twin tree, its source, both relative to the root, and their texts."""

    name: str
    source: str
    source_text: str
    rendered: Rendered


def make_plan(root: Path, exceptions: Renames) -> tuple[list[Twin], dict[str, str], list[str]]:
    """Render every source in memory; return twins, other files with the source they would have, and problems."""
    twins: list[Twin] = []
    orphans: dict[str, str] = {}
    problems = [
        f"{TOOL}: {old!r} becomes {new!r}, which is no name or changes again: correct it"
        for old, new in exceptions.items()
        if not new.isidentifier() or rename(new, exceptions) != new
    ]
    complete = not problems
    for source_tree, twin_tree in TREES if complete else ():
        names = [name for name in _files(root, source_tree) if name.endswith(".py") or (root / name).is_dir()]
        if not names:
            problems.append(f"{source_tree}: the source tree is missing or has no .py file: restore it")
            complete = False
            continue
        sources = {twin_tree + name[len(source_tree) :]: name for name in names}
        results = [_render_file(root, name, source, exceptions) for name, source in sources.items()]
        twins += (twin for twin, _ in results if twin)
        problems += (problem for _, found in results for problem in found)
        complete = complete and all(twin for twin, _ in results)
        others = (name for name in _files(root, twin_tree) if name not in sources)
        orphans.update((name, source_tree + name[len(twin_tree) :]) for name in others)
    if complete:
        known = {twin.name: names_of(twin.rendered.text) for twin in twins}
        try:
            problems += (problem for twin in twins for problem in name_problems(twin, root, known, exceptions))
        except (SyntaxError, ValueError) as error:
            problems.append(f"{IMPORT_ROOTS[0]}: a module cannot be read ({error}): correct it")
        unused = exceptions.keys() - {word for twin in twins for word in twin.rendered.words}
        problems += (f"{TOOL}: nothing uses the exception {old!r}: remove it" for old in sorted(unused))
    return twins, orphans, [f"{problem}, then run: {COMMAND}" for problem in problems]


def _render_file(root: Path, name: str, source: str, exceptions: Renames) -> tuple[Optional[Twin], list[str]]:
    """Render one source, unless it or its twin does not parse, and report what is wrong with it."""
    rendered = None
    try:
        if _obstacle(root, source):
            raise ValueError("neither it nor a directory above it may be a symbolic link or a special file")
        data = (root / source).read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        if encoding != "utf-8" or b"\r" in data:
            raise ValueError("it must be UTF-8 without a byte order mark, and without carriage returns")
        text = data.decode()
        parse(text)
        rendered = render(text, exceptions)
        parse(rendered.text)
    except (OSError, SyntaxError, ValueError) as error:
        line, reason = _explain(error)
        if not rendered:
            return None, [f"{source}:{line}: the source cannot be rendered ({reason}): correct it"]
        line = rendered.origins[min(line, len(rendered.origins)) - 1]
        return None, [f"{source}:{line}: the twin would not parse ({reason}): rewrite the source"]
    left = f"is left in the twin: list it in {TOOL} or reword it"
    problems = [f"{source}:{line}: {word!r} {left}" for line, word in async_words(rendered)]
    if ASYNC_WORD.search(PurePosixPath(source).name):
        problems.append(f"{source}:1: the name of the file has a word of async, and so has its twin: rename it")
    if render(rendered.text, exceptions).text != rendered.text:
        problems.append(f"{source}:1: rendering the twin once more changes it: rewrite the source")
    return Twin(name, source, text, rendered), problems


def _explain(error: Exception) -> tuple[int, str]:
    return (error.lineno or 1, error.msg) if isinstance(error, SyntaxError) else (1, str(error))


def _files(root: Path, tree: str) -> Iterator[str]:
    """Yield files and links below `tree`, as names relative to `root`, in order, without bytecode."""
    for folder, folders, names in os.walk(root / tree):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        kept = (name for name in sorted(names + links) if not name.endswith(".pyc"))
        yield from (Path(folder, name).relative_to(root).as_posix() for name in kept)
        folders[:] = sorted(set(folders) - {"__pycache__"})


def _obstacle(root: Path, name: str) -> Optional[str]:
    """Return the link on the way to a file, or what is in its place and no file."""
    path = PurePosixPath(name)
    for part in (*reversed(path.parents), path):
        here = root / part
        if here.is_symlink() or (here.exists() and not (here.is_file() if part == path else here.is_dir())):
            return str(part)
    return None


# --- The command --------------------------------------------------------------------------------------------


def check(root: Path, exceptions: Renames = EXCEPTIONS) -> list[str]:
    """Return every problem below `root`, one line each."""
    return write(root, exceptions, dry_run=True)[1]


def write(root: Path, exceptions: Renames = EXCEPTIONS, *, dry_run: bool = False) -> tuple[list[str], list[str]]:
    """Make the twin trees what they should be; return what was changed, and the problems that are left."""
    root = root.resolve()
    twins, orphans, problems = make_plan(root, exceptions)
    changes: list[str] = []
    for twin in twins:
        path, expected = root / twin.name, (BANNER.format(twin.source) + twin.rendered.text).encode()
        problem = _twin_problem(root, twin, expected)
        if problem and not dry_run and not _obstacle(root, twin.name):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(expected)
            changes.append(f"wrote {twin.name}")
        elif problem:
            problems.append(problem)
    for name, source in orphans.items():
        # What has the banner of just this place holds nothing that anyone wrote.
        if _obstacle(root, name) or not (root / name).read_bytes().startswith(BANNER.format(source).encode()):
            problems.append(f"{name}: nothing generates this file, keep it elsewhere or run: rm {name}")
        elif dry_run:
            problems.append(f"{name}: {source} is gone, run: {COMMAND}")
        else:
            (root / name).unlink()
            changes.append(f"removed {name}")
    return changes, problems


def _twin_problem(root: Path, twin: Twin, expected: bytes) -> Optional[str]:
    obstacle = _obstacle(root, twin.name)
    if obstacle:
        return f"{twin.name}: {obstacle} stands in its place, run: rm -r {obstacle} && {COMMAND}"
    if not (root / twin.name).exists():
        return f"{twin.name}: the file is missing, run: {COMMAND}"
    actual = (root / twin.name).read_bytes()
    if actual == expected:
        return None
    lines = zip(actual.splitlines(keepends=True), expected.splitlines(keepends=True))
    line = 1 + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], lines))
    problem = f"is not what {twin.source} renders to (stale, or edited by hand)"
    if actual.startswith(expected):
        problem = f"goes on behind what {twin.source} renders to"
    try:
        ast.parse(actual)
    except (SyntaxError, ValueError) as error:
        line, reason = _explain(error)
        problem = f"does not parse ({reason})"
    return f"{twin.name}:{line}: the file {problem}, run: {COMMAND}"


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Write the twin trees, or check them; return the exit code."""
    parser = argparse.ArgumentParser(description="Generate the sync client and its tests from the async ones.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if anything is wrong")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="the checkout to work on")
    options = parser.parse_args(argv)
    changes, problems = write(options.root, dry_run=options.check)
    for line in (*changes, *problems):
        print(line)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
