"""The built site: old addresses, and links."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import List, Set, Tuple

import pytest

from support.packages import require_packages
from support.site import Site, build

require_packages("docs", "lunr", "material", "mkdocs", "mkdocstrings")

OLD = [
    "blocking-and-async",
    "bridge",
    "command-line",
    "configuration",
    "controller",
    "design",
    "errors",
    "importing",
    "local-sekha",
    "mcp",
    "observability",
    "performance",
    "reliability",
    "servers",
    "streaming",
    "testing",
    "troubleshooting",
    "upgrading",
    "users",
    "workflows",
    "reference/async",
    "reference/blocking",
    "reference/index-of-methods",
    "reference/shared",
]
"""Addresses that pages once had."""
EXTERNAL = (Path(__file__).parents[1] / "data" / "external_links.txt").read_text("utf-8").split()
"""The links that lead out of the site: a new one is looked at by a person, and added to the list."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return build(tmp_path_factory.mktemp("site") / "site", os.environ)


def test_old_addresses_lead_to_pages(site: Site) -> None:
    lost: List[str] = []
    for old in OLD:
        page = site.pages.get(f"{old}/")
        refresh = page.refresh if page else None
        if page is None or (refresh is not None and not site.is_there(*site.resolve(f"{old}/", refresh))):
            lost.append(old)
    assert lost == []


def test_every_link_leads_somewhere(site: Site) -> None:
    broken: Set[Tuple[str, str]] = set()
    for address, page in site.pages.items():
        for link in (*page.links, *page.loaded):
            if re.match(r"[a-z]+:", link) or link.startswith("//") or address == "404.html":
                continue
            if not site.is_there(*site.resolve(address, link)) and site.resolve(address, link) != ("", ""):
                broken.add((address, link))
    assert sorted(broken) == []


def test_links_that_lead_out_are_listed(site: Site) -> None:
    found = {link for page in site.pages.values() for link in page.links if re.match(r"https?:|//", link)}
    ours = ("https://docs.sekha.dev/", "https://github.com/sekha-ai/sekha-python-sdk")
    assert sorted(link for link in found if not link.startswith(ours)) == sorted(EXTERNAL)


def test_signatures_are_formatted(site: Site) -> None:
    """A long one has a line for each parameter, so that it fits without scrolling."""
    checked = 0
    for file in sorted((site.folder / "reference").rglob("index.html")):
        for block in re.findall(r'<div class="[^"]*doc-signature[^"]*">.*?</div>', file.read_text("utf-8"), re.DOTALL):
            lines = re.sub(r"<[^>]+>", "", block).strip("\n").split("\n")
            assert max(map(len, lines)) <= 100, lines  # an entity such as &gt; counts more than it shows
            checked += len(lines) > 1
    assert checked > 50
