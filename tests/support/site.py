"""The built site: its pages with their links and anchors, and its search, which ranks as in the browser."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple
from urllib.parse import unquote, urljoin, urlsplit

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
QUIET: Dict[str, str] = importlib.import_module("pages").MKDOCS_ENVIRONMENT
sys.path.pop(0)
_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
_NOT_LOADED = {"canonical", "prev", "next", "alternate", "edit"}


def build(folder: Path, environment: Mapping[str, str]) -> Site:
    """Build the site strictly into a folder."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env={**environment, **QUIET}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return Site(folder)


@dataclass
class Page(HTMLParser):
    """One page of the site.

    Attributes:
        ids: The anchors.
        links: The addresses of links.
        loaded: The addresses of scripts, styles and images.
        refresh: The address that it redirects to, or None.
    """

    ids: Set[str] = field(default_factory=set)
    links: List[str] = field(default_factory=list)
    loaded: List[str] = field(default_factory=list)
    refresh: Optional[str] = None

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if values.get("http-equiv", "").lower() == "refresh":
            self.refresh = values["content"].partition("url=")[2]
        if tag in _LOADED and _LOADED[tag] in values and values.get("rel") not in _NOT_LOADED:
            self.loaded.append(values[_LOADED[tag]])


class Site:
    """The site in a folder: its pages by their addresses, such as `guides/search/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages: Dict[str, Page] = {}
        for file in sorted(folder.rglob("*.html")):
            page = Page()
            page.feed(file.read_text("utf-8"))
            self.pages[file.relative_to(folder).as_posix().removesuffix("index.html")] = page

    def resolve(self, page: str, link: str) -> Tuple[str, str]:
        """Return the address that a link on a page leads to, and its anchor."""
        parts = urlsplit(urljoin(f"https://site.invalid/{page}", link))
        return unquote(parts.path).lstrip("/"), unquote(parts.fragment)

    def is_there(self, address: str, anchor: str) -> bool:
        """Return whether there is such a page with such an anchor, or such a file."""
        if address in self.pages:
            return not anchor or anchor in self.pages[address].ids
        return bool(address) and (self.folder / address).is_file()

    def search(self) -> Search:
        """Return the search of the site."""
        return Search(json.loads((self.folder / "search" / "search_index.json").read_text("utf-8")))


class Search:
    """The search of Material for MkDocs: lunr without stemming, and its way to rank pages.

    Each word finds what begins with it. A match counts more if it is in the title of a section, if all words match, and
    if the section is the beginning of a page. A page stands where its best section stands.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        from lunr.builder import Builder  # type: ignore[import-untyped]  # it has no types
        from lunr.stop_word_filter import stop_word_filter  # type: ignore[import-untyped]

        config = data["config"]
        assert (config["lang"], config["pipeline"]) == (["en"], ["stopWordFilter"]), (
            "the search is configured otherwise"
        )
        self._separator = re.compile(config["separator"])
        builder = Builder()
        builder.b(0)
        builder.ref("location")
        builder.pipeline.add(stop_word_filter)
        builder.search_pipeline.add(stop_word_filter)
        for name, options in config["fields"].items():
            builder.field(name, boost=options["boost"])
        self._beginnings: Set[str] = set()
        pages: Set[str] = set()
        for section in data["docs"]:
            page = section["location"].partition("#")[0]
            if page not in pages:
                pages.add(page)
                self._beginnings.add(section["location"])
            fields = {name: self._words(_text_of(section.get(name, ""))) for name in config["fields"]}
            builder.add({"location": section["location"], **fields}, {"boost": section.get("boost", 1)})
        self._index = builder.build()

    def _words(self, text: str) -> List[str]:
        return [word for word in self._separator.split(text.lower()) if word]

    def pages_for(self, words: str) -> Sequence[str]:
        """Return the addresses of the pages for some words, the best first."""
        terms = self._words(words)
        scores: Dict[str, float] = {}
        for found in self._index.search(" ".join(f"{term}*" for term in terms)):
            matched = sum(any(one.startswith(term) for one in found["match_data"].metadata) for term in terms)
            factor = (found["ref"] in self._beginnings) + matched / len(terms)
            page = found["ref"].partition("#")[0]
            scores[page] = max(scores.get(page, 0.0), found["score"] * (1 + factor**2))
        return sorted(scores, key=lambda page: -scores[page])


def _text_of(html: Any) -> str:
    """Return the text of a section; tags separate words, as they do in the browser."""
    if isinstance(html, list):
        return " ".join(map(str, html))
    return unescape(re.sub(r"<[^>]*>", " ", html))
