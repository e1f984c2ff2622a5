"""Write the index of all methods, `docs/reference/methods.md`, from the pages of the reference and the code.

    python tools/method_index.py           write the page if it differs
    python tools/method_index.py --check   write nothing; exit 1 if the page is not what would be written

It lists what the pages document with `:::`. The folders `sync` and `async` have the same pages, with the same entries
in the same order; the other pages are the same for both clients.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from pages import ROOT, run

FOLDER = "docs/reference"
PAGE = f"{FOLDER}/methods.md"
CLIENTS = ("client", "controller", "bridge", "mcp", "streams", "memory")
"""The pages of each of the two folders, in the order of the navigation."""

HEAD = """\
# All methods

<!-- Written by tools/method_index.py: change the docstrings, and run it. -->

Every public method, sync and async, with a link to its arguments, results, errors and an example. `client` is a
`SekhaClient` or an `AsyncSekhaClient`, `stream` is the object that a streaming method returns, and `memory` is a
`Memory` or an `AsyncMemory`. The [alphabetical list](#from-a-to-z) is at the end.
"""
OWNERS = {
    "SekhaClient": "client",
    "MemoryController": "client.controller",
    "BridgeClient": "client.bridge",
    "MCPClient": "client.mcp",
    "Stream": "stream",
    "MemoryStream": "stream",
    "Memory": "memory",
    "Turn": "turn",
    "Remembers": "adapter",
}
"""What the examples call an object of each class."""
RENAMED = {"close": "aclose"}
WALKED = {"iter_conversations", "remember_stream", "text_stream"}
"""What is read with ``for``, or ``async for``."""
LAST = {"with_options", "close", "aclose"}
"""What every client has."""


class Entry(NamedTuple):
    """A function or method: its name from A to Z, where it is called, its links, and what it does."""

    name: str
    owner: str
    links: list[str]
    summary: str


def listed(root: Path, page: str) -> list[str]:
    """Return what a page of the reference documents, such as ``sekha.SekhaClient``."""
    return re.findall(r"^::: ([\w.]+)$", (root / FOLDER / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE)


def entries_of(root: Path, folder: str) -> Iterator[tuple[str, str]]:
    """Yield the entries of the client pages in one of the two folders, each with its page."""
    for name in CLIENTS:
        for path in listed(root, f"{folder}/{name}"):
            yield f"{folder}/{name}", path


def shared_pages(root: Path) -> list[str]:
    """Return the pages that sync and async clients share."""
    files = (root / FOLDER).rglob("*.md")
    pages = sorted(file.relative_to(root / FOLDER).with_suffix("").as_posix() for file in files)
    return [page for page in pages if page.split("/")[0] not in ("sync", "async") and f"{FOLDER}/{page}.md" != PAGE]


def resolved(path: str) -> Any:
    """The module, class or function of this name."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)


def methods(cls: type) -> list[str]:
    """The names of the public methods of a class, as they stand in the source."""
    found: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] == "sekha":
            found.update(
                dict.fromkeys(
                    name
                    for name, value in vars(base).items()
                    if not name.startswith("_") and inspect.isroutine(inspect.unwrap(getattr(base, name, value)))
                )
            )
    return sorted(found, key=LAST.__contains__)


def summary(thing: Any) -> str:
    """The first sentence of a docstring, fit for a cell of a table."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.sub(r"``?([^`]+)``?", r"`\1`", text).replace("|", r"\|")


def link(text: str, page: str, anchor: str) -> str:
    """Return a link to an anchor of a page, with its text as code."""
    return f"[`{text}`]({page}.md#{anchor})"


def both_clients(root: Path) -> Iterator[tuple[str, list[Entry]]]:
    """Yield the classes of the clients with their methods, and the functions that make clients."""
    for (page, path), (other_page, other_path) in zip(entries_of(root, "sync"), entries_of(root, "async")):
        one, other = resolved(path), resolved(other_path)
        name = one.__name__
        if not inspect.isclass(one):
            call = "await " * inspect.iscoroutinefunction(other) + f"{other.__name__}(...)"
            shown = [link(f"{name}(...)", page, path), link(call, other_page, other_path)]
            yield name, [Entry(name, path.rpartition(".")[0], shown, summary(one))]
            continue
        entries: list[Entry] = []
        for method in methods(one):
            twin = RENAMED.get(method, method)
            shown = [
                link(_called(one, method, OWNERS[name]), page, f"{path}.{method}"),
                link(_called(other, twin, OWNERS[name]), other_page, f"{other_path}.{twin}"),
            ]
            entries.append(Entry(method, name, shown, summary(getattr(one, method))))
        yield name, entries


def _called(cls: type, method: str, owner: str) -> str:
    walk = "async for ... in " if cls.__name__.startswith("Async") else "for ... in "
    before = (
        "await "
        if inspect.iscoroutinefunction(inspect.unwrap(getattr(cls, method)))
        else walk
        if method in WALKED
        else ""
    )
    return f"{before}{owner}.{method}(...)"


def shared(root: Path) -> Iterator[Entry]:
    """Yield functions, and methods of other classes; errors and types have none of their own."""
    for page in shared_pages(root):
        for path in listed(root, page):
            yield from _shared_entries(page, path)


def _shared_entries(page: str, path: str) -> Iterator[Entry]:
    thing = resolved(path)
    if inspect.ismodule(thing):
        for name in getattr(thing, "__all__", ()):
            value = getattr(thing, name)
            if inspect.isfunction(value):
                yield Entry(name, path, [link(f"{name}(...)", page, f"{path}.{name}")], summary(value))
    elif inspect.isclass(thing):
        name = thing.__name__
        if issubclass(thing, (BaseException, dict)):
            return
        for method in methods(thing):
            call = link(f"{name}.{method}(...)", page, f"{path}.{method}")
            yield Entry(method, name, [call], summary(getattr(thing, method)))
    elif inspect.isfunction(thing):
        name = thing.__name__
        yield Entry(name, path.rpartition(".")[0], [link(f"{name}(...)", page, path)], summary(thing))


def rendered(root: Path) -> str:
    """The page."""
    parts = [HEAD]
    twins = list(both_clients(root))
    for name, entries in twins:
        if name in OWNERS:
            parts.append(f"## {name}, Async{name}\n\n{_table(('sync', 'async', 'description'), entries)}")
    functions = [entry for name, entries in twins if name not in OWNERS for entry in entries]
    parts.append(f"## Functions\n\n{_table(('sync', 'async', 'description'), functions)}")
    others = list(shared(root))
    parts.append(
        "## Everything else\n\nThe same for sync and async clients.\n\n"
        + _table(("function or method", "description"), others)
    )
    everything = [entry for _, entries in twins for entry in entries] + others
    parts.append("## From A to Z\n\n" + _table(("name", "of", "reference"), sorted(everything), by_name=True))
    return "\n".join(parts)


def _table(head: Sequence[str], entries: Sequence[Entry], *, by_name: bool = False) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for entry in entries:
        cells = [f"`{entry.name}`", f"`{entry.owner}`", _short(entry)] if by_name else [*entry.links, entry.summary]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _short(entry: Entry) -> str:
    words = ("sync", "async") if len(entry.links) == 2 else ("both",)
    return ", ".join(re.sub(r"\[`[^`]+`\]", f"[{word}]", each) for word, each in zip(words, entry.links))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; the status for the shell."""
    about = "Write the index of all methods from the reference and the code."
    return run("method_index.py", about, PAGE, rendered, arguments)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "src"))  # the code beside this file, whatever is installed
    sys.exit(main())
