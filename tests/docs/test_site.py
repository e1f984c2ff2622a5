"""The built site: old addresses, links, and what its search finds for the words that people use."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Dict, List, Set, Tuple

import pytest

from support.packages import require_packages
from support.site import Search, Site, build

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
STORE, SEARCH, ASK, CHAT = "guides/store/", "guides/search/", "guides/ask/", "guides/chat/"
RETRIES, ERRORS, USERS, TESTING = "guides/retries/", "guides/errors/", "guides/users/", "guides/testing/"
LOGGING, SECURITY, IMPORT, SETTINGS = "guides/logging/", "guides/security/", "guides/import/", "reference/settings/"
QUICKSTART, SYNC, MODELS, CLI = "get-started/quickstart/", "guides/sync-and-async/", "guides/models/", "command-line/"
SERVER, LOCAL = "get-started/real-server/", "get-started/local-server/"
WORDS = [
    ("quickstart", QUICKSTART),
    ("getting started", QUICKSTART),
    ("install", QUICKSTART),
    ("pip install", QUICKSTART),
    ("concepts", "get-started/concepts/"),
    ("run a server", SERVER),
    ("get server", SERVER),
    ("start server", LOCAL),
    ("delete a conversation", STORE),
    ("disable retries", RETRIES),
    ("real server", SERVER),
    ("local server", LOCAL),
    ("terminal", "get-started/terminal/"),
    ("command line", CLI),
    ("cli", CLI),
    ("store", STORE),
    ("update", STORE),
    ("delete", STORE),
    ("archive", STORE),
    ("importance", STORE),
    ("idempotent", STORE),
    ("label", STORE),
    ("tag", STORE),
    ("search", SEARCH),
    ("filter", SEARCH),
    ("score", SEARCH),
    ("hybrid search", SEARCH),
    ("full-text search", SEARCH),
    ("prompt", ASK),
    ("RAG", ASK),
    ("chat history", CHAT),
    ("streaming", "guides/streaming/"),
    ("embeddings", MODELS),
    ("chat completions", MODELS),
    ("tools", "guides/mcp-tools/"),
    ("MCP server", "integrations/mcp-server/"),
    ("import", IMPORT),
    ("chatgpt export", IMPORT),
    ("notes", IMPORT),
    ("backup", CLI),
    ("multi-user", USERS),
    ("user_id", USERS),
    ("keep users apart", USERS),
    ("folder", USERS),
    ("asyncio", SYNC),
    ("async", SYNC),
    ("trio", "recipes/trio/"),
    ("threads", SYNC),
    ("errors", ERRORS),
    ("exceptions", ERRORS),
    ("unknown outcome", ERRORS),
    ("may_have_been_applied", ERRORS),
    ("retry", RETRIES),
    ("retries", RETRIES),
    ("switch retries off", RETRIES),
    ("backoff", RETRIES),
    ("timeout", RETRIES),
    ("deadline", RETRIES),
    ("rate limit", RETRIES),
    ("max_retries", RETRIES),
    ("pagination", "guides/pagination/"),
    ("page_size", "guides/pagination/"),
    ("paginate", "guides/pagination/"),
    ("mock", TESTING),
    ("pytest fixtures", TESTING),
    ("testing", TESTING),
    ("logging", LOGGING),
    ("opentelemetry", LOGGING),
    ("tracing", LOGGING),
    ("hooks", LOGGING),
    ("debug", LOGGING),
    ("privacy", SECURITY),
    ("security", SECURITY),
    ("prompt injection", SECURITY),
    ("production", "guides/deployment/"),
    ("deployment", "guides/deployment/"),
    ("reliability", "guides/reliability/"),
    ("settings", SETTINGS),
    ("configuration", SETTINGS),
    ("environment variables", SETTINGS),
    ("api key", SETTINGS),
    ("proxy", SETTINGS),
    ("certificates", SETTINGS),
    ("langchain", "integrations/langchain/"),
    ("openai", "integrations/openai/"),
    ("claude desktop", "integrations/claude-desktop/"),
    ("redis", "integrations/redis/"),
    ("django", "recipes/django/"),
    ("fastapi", "recipes/fastapi/"),
    ("jupyter", "recipes/notebooks/"),
    ("celery", "recipes/celery/"),
    ("multiprocessing", "recipes/processes/"),
    ("mem0", "help/coming-from/"),
    ("migrate", IMPORT),
    ("faq", "help/faq/"),
    ("compatibility", "help/compatibility/"),
    ("known limitations", "help/compatibility/"),
    ("changelog", "help/changelog/"),
    ("upgrade", "help/upgrading/"),
    ("contributing", "contributing/"),
]
"""What people type, and the page that has to be among the first three."""
QUESTIONS = {
    "install, first call": ("", "pip install"),
    "get a real server": (SERVER, "controller"),
    "know what label, folder, importance, controller and bridge are": ("get-started/concepts/", "importance"),
    "switch retries off": (RETRIES, "max_retries=0"),
    "stream to a browser": ("recipes/fastapi/", "StreamingResponse"),
    "keep users apart": (USERS, "in_folder"),
    "delete something": (STORE, "delete_conversation"),
    "page through results": ("guides/pagination/", "page_size"),
    "import notes": (IMPORT, "notes"),
    "see a method": ("reference/sync/controller/", "create_conversation"),
    "read the changelog": ("help/changelog/", "0.2.0"),
    "contribute": ("contributing/", "nox"),
    "use it from LangChain": ("integrations/langchain/", "SekhaMemoryMiddleware"),
    "know what happens to a write with an unknown outcome": (ERRORS, "may_have_been_applied"),
}
"""What people want to do: the page that tells how, one click from each page, and a word of the answer."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return build(tmp_path_factory.mktemp("site") / "site", os.environ)


@pytest.fixture(scope="module")
def search(site: Site) -> Search:
    return site.search()


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


@pytest.mark.parametrize(("words", "page"), WORDS, ids=[words for words, _ in WORDS])
def test_the_search_finds_the_page_by_the_word_that_people_use(words: str, page: str, search: Search) -> None:
    assert page in list(search.pages_for(words))[:3]


def test_every_question_is_answered_one_click_away(site: Site) -> None:
    """Every page has the whole navigation."""
    missing: Dict[str, str] = {}
    for question, (address, answer) in QUESTIONS.items():
        linked = {site.resolve("", link)[0] for link in site.pages[""].links}
        if address not in linked | {""}:
            missing[question] = f"{address} is not in the navigation"
        elif answer not in (site.folder / address / "index.html").read_text("utf-8"):
            missing[question] = f"{address} does not say {answer}"
    assert missing == {}


def test_signatures_are_formatted(site: Site) -> None:
    """A long one has a line for each parameter, so that it fits without scrolling."""
    checked = 0
    for file in sorted((site.folder / "reference").rglob("index.html")):
        for block in re.findall(r'<div class="[^"]*doc-signature[^"]*">.*?</div>', file.read_text("utf-8"), re.DOTALL):
            lines = re.sub(r"<[^>]+>", "", block).strip("\n").split("\n")
            assert max(map(len, lines)) <= 100, lines  # an entity such as &gt; counts more than it shows
            checked += len(lines) > 1
    assert checked > 50
