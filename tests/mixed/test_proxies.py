"""Proxy variables that do not concern a server change nothing for it; the command line says in a line what is wrong."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import anyio
import pytest

from sekha import AsyncSekhaClient, SekhaClient
from sekha.local import LocalSekha
from sekha.local.models.chat import RemoteChat
from sekha.local.models.settings import server_settings
from support import facts
from support.facts import REST_KEY
from support.replies import after, answer
from support.server import FakeServer

# On Python 3.9 asyncio forgets a socket when it is cancelled while it connects; nothing of ours holds it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <(function _SelectorTransp|socket.socket):pytest.PytestUnraisableExceptionWarning"
)
QUERY = "POST /api/v1/query"
UNCONCERNED = [
    {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost,127.0.0.1"},
    {"HTTPS_PROXY": "http://127.0.0.1:9", "FTP_PROXY": "http://127.0.0.1:9"},
    {"ALL_PROXY": "socks5://127.0.0.1:9", "NO_PROXY": "[::1],127.0.0.0/8"},
]


@pytest.mark.promise("R5", "R8", "W1")
@pytest.mark.parametrize("variables", UNCONCERNED)
async def test_after_a_burst_of_cancelled_calls_the_client_works(
    variables: Any, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    server.always(QUERY, after(0.005, answer(facts.hits())))
    chance = random.Random(15)
    async with AsyncSekhaClient(controller_url=server.url, api_key="k", max_connections=10, max_retries=0) as client:

        async def interrupted() -> None:
            with anyio.move_on_after(chance.random() * 0.05):
                await client.controller.query("x")

        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(interrupted)
        for _ in range(20):
            with anyio.fail_after(5):
                await client.controller.query("x")


IMPORTED = """
import sys
from sekha import SekhaClient
SekhaClient(controller_url="http://127.0.0.1:1", api_key="k", max_retries=0).health_check()
print("httpx" in sys.modules)
"""


@pytest.mark.promise("W1")
@pytest.mark.parametrize("variables", UNCONCERNED)
def test_a_server_that_no_proxy_concerns_needs_no_httpx(variables: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("False\n", "")


# A model of the local Sekha


@pytest.mark.promise("W1")
async def test_a_model_is_reached_through_the_proxy_that_concerns_it(
    server: FakeServer, bridge: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("NO_PROXY", "[::1],fe80::/10,127.0.0.1")
    models = answer({"data": [{"id": "llama3"}]})
    for fake, url in ((server, "http://model.test"), (bridge, bridge.url)):
        fake.on("GET /v1/models", models)
        settings = server_settings("llm", f"{url}/v1")
        assert settings is not None
        chat = RemoteChat(settings)
        assert await chat.name(None) == "llama3"
        await chat.close()
    assert server.only.target == "http://model.test/v1/models"
    assert bridge.only.target == "/v1/models"


@pytest.mark.promise("W1")
def test_a_proxy_for_a_model_that_cannot_be_used_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://me:{REST_KEY}#@h:1")
    with pytest.raises(Exception, match="HTTP_PROXY: the proxy at h:1") as caught:
        LocalSekha(llm_url="http://model.test/v1").start()
    assert REST_KEY not in str(caught.value)


@pytest.mark.promise("W1")
def test_a_blocking_client_of_this_machine_needs_no_exemption(
    sekha: LocalSekha, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks://nonsense")
    for name, value in sekha.options.items():
        monkeypatch.setenv(f"SEKHA_{name.upper()}", str(value))
    with SekhaClient() as client:
        assert client.health_check()["controller"]["status"] == "healthy"
