"""A web page of another site, in a real browser, and the memory on the same machine."""

from __future__ import annotations

import importlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from local.conftest import create
from sekha.local import LocalSekha
from sekha.local.profiles import PROFILES

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
screenshots: Any = importlib.import_module("screenshots")
del sys.path[0]
pytestmark = pytest.mark.slow
SECRET = "The alarm code is 4711."


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>page</title>")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def page_port() -> Iterator[int]:
    """The port of a server of empty pages; a browser opens connections ahead, on which it asks nothing."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser for which `evil.example` stands for this machine, as it does after DNS rebinding."""
    if screenshots.find_chromium() is None:
        pytest.skip("no Chromium is installed")
    rules = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    with screenshots.Chromium(tmp_path_factory.mktemp("profile"), rules) as browser:
        yield browser


def store_secret(sekha: LocalSekha) -> None:
    with httpx.Client(base_url=sekha.controller_url, headers={"authorization": "Bearer x"}, verify=False) as api:
        create(api, SECRET)


def ask(browser: Any, page: str, url: str, more: str = "") -> str:
    """What the script of a page gets from an address: status and text, or the name of an error."""
    browser.open(page)
    address = urlsplit(page)
    browser.wait_for(f"location.host === '{address.netloc}' && document.readyState === 'complete'")
    options = f"{{headers: {{authorization: 'Bearer x'}}, {more}}}"
    read = f"fetch('{url}', {options}).then(async answer => answer.status + ' ' + await answer.text())"
    browser.value(f"delete window.got; {read}.then(text => window.got = text, error => window.got = error.name); 0")
    browser.wait_for("window.got !== undefined")
    return str(browser.value("window.got"))


MESSAGES = "/api/v1/search/fts"
JSON = 'headers: {authorization: "Bearer x", "content-type": "application/json"}'
SEARCH = f'method: "POST", body: JSON.stringify({{query: "alarm"}}), {JSON}'


@pytest.mark.parametrize("profile", PROFILES)
def test_a_name_that_is_bound_to_this_machine_does_not_help(browser: Any, profile: str) -> None:
    for names in ([], ["evil.example"]):
        with LocalSekha(profile=profile, allowed_hosts=names) as sekha:
            store_secret(sekha)
            for url in (sekha.controller_url, sekha.bridge_url):
                port = urlsplit(url).port
                answer = ask(browser, f"http://evil.example:{port}/health", "/health")
                assert answer.startswith("200 " if names else "421 ")
            page = f"http://evil.example:{urlsplit(sekha.controller_url).port}/health"
            answer = ask(browser, page, MESSAGES, SEARCH)
            assert (SECRET in answer) is bool(names), "where the name is allowed, the page would have read it"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_page_of_another_site_reads_nothing_and_asks_no_model(browser: Any, profile: str, page_port: int) -> None:
    with LocalSekha(profile=profile) as sekha:
        store_secret(sekha)
        page = f"http://evil.example:{page_port}/"
        before = httpx.get(f"{sekha.bridge_url}/metrics/", verify=False).text
        for host in ("127.0.0.1", "localhost", "evil.example"):
            controller = f"http://{host}:{urlsplit(sekha.controller_url).port}"
            bridge = f"http://{host}:{urlsplit(sekha.bridge_url).port}"
            assert ask(browser, page, f"{controller}/health") == "TypeError"
            assert ask(browser, page, f"{controller}{MESSAGES}", SEARCH) == "TypeError"
            simple = 'method: "POST", mode: "no-cors", headers: {}, body: JSON.stringify({text: "Hello"})'
            assert ask(browser, page, f"{bridge}/embed", simple) in ("0 ", "TypeError")  # opaque, or blocked
        assert httpx.get(f"{sekha.bridge_url}/metrics/", verify=False).text == before


def test_a_page_of_this_machine_still_reads_where_the_server_lets_it(browser: Any, page_port: int) -> None:
    with LocalSekha(profile="controller-0.1") as sekha:
        store_secret(sekha)
        url = f"{sekha.controller_url}{MESSAGES}"
        assert SECRET in ask(browser, f"http://localhost:{page_port}/", url, SEARCH)
