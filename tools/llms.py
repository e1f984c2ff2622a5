"""Write `docs/llms.txt`, the list of all pages for language models, from `mkdocs.yml` and the pages.

    python tools/llms.py           write the file if it differs
    python tools/llms.py --check   write nothing; exit 1 if the file is not what would be written

The form is that of https://llmstxt.org. Each page of the navigation is a link, with its first sentence as the
description. The links are those of the built site, relative to the file, which stands at its root.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import yaml

from pages import run

PAGE = "docs/llms.txt"

HEAD = """\
# Sekha Python SDK

> The typed Python client for Sekha, a self-hosted memory for AI applications: `SekhaClient` blocks, `AsyncSekhaClient`
> is awaited, and both have the same methods. A command line and a local server are part of the package.

The package is `sekha-python-sdk` (`sekha` on PyPI is another project), the import is `sekha`, and it needs Python 3.9
or newer: `pip install "sekha-python-sdk[cli,local]"`. `sekha serve` starts a local server. Every Python example in the
pages below runs.
"""
FIRST = "Pages"
"""What is called the section of the pages that stand in none."""
ABOUT = {
    "reference/settings.md": "All settings, their environment variables and which of several counts",
    "integrations/index.md": "Which adapter, recipe, MCP server or hook fits a framework or program",
    "integrations/not-built.md": "Interfaces of frameworks that Sekha does not implement, why, and what to use instead",
    "integrations/core.md": "Recall before a model is called and remember after the turn, for frameworks and own loops",
    "integrations/coding-agents.md": "`sekha hook` gives Claude Code and Codex a memory across sessions",
    "integrations/redis.md": "One write gate and one rate limit for several machines",
    "contributing/index.md": "Set up, change a method, run the checks",
    "help/changelog.md": "What has changed in each version",
    "help/troubleshooting.md": "What to do, by the class of the error or warning",
}
"""What is said of pages whose first sentence says too little on its own."""
OPTIONAL = ("Reference", "Contributing")
"""Pages and sections that a model may leave out if it has little room."""


class Page(NamedTuple):
    """A page of the navigation: its section, title and file."""

    section: str
    title: str
    file: str


def navigation(root: Path) -> Iterator[Page]:
    """Yield the pages in the order of the navigation."""
    nav: Any = yaml.load((root / "mkdocs.yml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)["nav"]
    for entry in nav:
        for title, found in entry.items():
            section = "Optional" if title in OPTIONAL else FIRST if isinstance(found, str) else title
            yield from _pages(section, title, found)


def _pages(section: str, title: str, found: Any) -> Iterator[Page]:
    """Yield a page, or those of a section and of the sections in it."""
    if isinstance(found, str):
        yield Page(section, title, found)
        return
    for entry in found:
        for name, below in entry.items():
            yield from _pages(section, name, below)


def address(file: str) -> str:
    """Return the address of a page, relative to the root of the site."""
    folder = file[: -len("index.md")] if f"/{file}".endswith("/index.md") else f"{file[: -len('.md')]}/"
    return folder or "./"


def first_sentence(text: str) -> str:
    """Return the first sentence of a page as plain text: of its first paragraph that is no title, table or code."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)  # what the page says to the search
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", text):
        line = " ".join(paragraph.split())
        if line and not re.match(r"[#|!<:=]|[-*+] |\d+\. |\[\^", line):
            line = re.sub(r"\[([^\]]+)\](?:\([^)]*\)|\[[^\]]*\])", r"\1", line).replace("**", "")
            found = re.match(r".+?[.:!?](?=\s|$)", line)
            return (found[0] if found else line).rstrip(".:")
    raise ValueError("a page without a sentence")


def written(root: Path) -> str:
    """Return what the file is to be."""
    sections: dict[str, list[str]] = {}
    for page in navigation(root):
        text = (root / "docs" / page.file).read_text(encoding="utf-8")  # which is there, whatever is said of it
        about = ABOUT.get(page.file) or first_sentence(text)
        sections.setdefault(page.section, []).append(f"- [{page.title}]({address(page.file)}): {about}")
    optional = sections.pop("Optional", [])
    if optional:
        sections["Optional"] = optional  # the last one, with a name that models know
    parts = [HEAD, *(f"## {name}\n\n" + "\n".join(lines) + "\n" for name, lines in sections.items())]
    return "\n".join(parts)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; the status for the shell."""
    about = "Write the list of all pages for language models."
    return run("llms.py", about, PAGE, written, arguments)


if __name__ == "__main__":
    sys.exit(main())
