"""Write the index of all methods, `docs/reference/index-of-methods.md`, from the pages of the reference and the code.

    python tools/method_index.py           write the page if it differs
    python tools/method_index.py --check   write nothing; exit 1 if the page is not what would be written

What is listed is what `blocking.md`, `async.md` and `shared.md` document with `:::`. The first two list the same in the
same order.
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
PAGE = f"{FOLDER}/index-of-methods.md"

HEAD = """\
# All methods

<!-- Written by tools/method_index.py: change the docstrings, and run it. -->

Every public method once, in both flavours; each leads to its arguments, results, errors and an example. `client` is a
`SekhaClient` or an `AsyncSekhaClient`, `stream` what its streaming methods give, and `memory` a `Memory` or an
`AsyncMemory`. There is a list [from A to Z](#from-a-to-z), too.
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
    """What a page of the reference documents, such as ``sekha.SekhaClient``."""
    return re.findall(r"^::: ([\w.]+)$", (root / FOLDER / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE)


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
    return f"[`{text}`]({page}.md#{anchor})"


def both_flavours(root: Path) -> Iterator[tuple[str, list[Entry]]]:
    """The classes of the clients with their methods, and the functions that make clients."""
    for blocking, awaited in zip(listed(root, "blocking"), listed(root, "async")):
        one, other = resolved(blocking), resolved(awaited)
        name = one.__name__
        if not inspect.isclass(one):
            call = "await " * inspect.iscoroutinefunction(other) + f"{other.__name__}(...)"
            shown = [link(f"{name}(...)", "blocking", blocking), link(call, "async", awaited)]
            yield name, [Entry(name, blocking.rpartition(".")[0], shown, summary(one))]
            continue
        entries: list[Entry] = []
        for method in methods(one):
            twin = RENAMED.get(method, method)
            shown = [
                link(_called(one, method, OWNERS[name]), "blocking", f"{blocking}.{method}"),
                link(_called(other, twin, OWNERS[name]), "async", f"{awaited}.{twin}"),
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
    """Functions, and methods of other classes; errors and types have none of their own."""
    for path in listed(root, "shared"):
        thing = resolved(path)
        if inspect.ismodule(thing):
            for name in getattr(thing, "__all__", ()):
                value = getattr(thing, name)
                if inspect.isfunction(value):
                    yield Entry(name, path, [link(f"{name}(...)", "shared", f"{path}.{name}")], summary(value))
        elif inspect.isclass(thing):
            name = thing.__name__
            if issubclass(thing, (BaseException, dict)):
                continue
            for method in methods(thing):
                call = link(f"{name}.{method}(...)", "shared", f"{path}.{method}")
                yield Entry(method, name, [call], summary(getattr(thing, method)))
        elif inspect.isfunction(thing):
            yield Entry(
                thing.__name__,
                path.rpartition(".")[0],
                [link(f"{thing.__name__}(...)", "shared", path)],
                summary(thing),
            )


def rendered(root: Path) -> str:
    """The page."""
    parts = [HEAD]
    twins = list(both_flavours(root))
    for name, entries in twins:
        if name in OWNERS:
            parts.append(f"## {name}, Async{name}\n\n{_table(('blocking', 'async', 'what it does'), entries)}")
    functions = [entry for name, entries in twins if name not in OWNERS for entry in entries]
    parts.append(f"## Functions\n\n{_table(('blocking', 'async', 'what it does'), functions)}")
    others = list(shared(root))
    parts.append(
        "## Everything else\n\nThe same for both flavours.\n\n" + _table(("function or method", "what it does"), others)
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
    words = ("blocking", "async") if len(entry.links) == 2 else ("shared",)
    return ", ".join(re.sub(r"\[`[^`]+`\]", f"[{word}]", each) for word, each in zip(words, entry.links))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; the status for the shell."""
    about = "Write the index of all methods from the reference and the code."
    return run("method_index.py", about, PAGE, rendered, arguments)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "src"))  # the code beside this file, whatever is installed
    sys.exit(main())
