"""uvloop, the event loop that uvicorn takes where it is installed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import anyio
import pytest

from sekha import AsyncSekhaClient, SekhaConnectionError, SekhaTimeoutError
from support import facts
from support.certificates import Certificates
from support.facts import MESSAGES
from support.interrupting import held
from support.replies import DONE, HANG, answer, chunked, delta, raw
from support.server import FakeServer

pytest.importorskip("uvloop", reason="uvloop is not installed; no extra brings it, since it is large")

QUERY, CHAT = "POST /api/v1/query", "POST /v1/chat/completions"
COUNT, METRICS = "GET /api/v1/conversations/count", "GET /metrics"


@pytest.fixture
def anyio_backend() -> Tuple[str, Dict[str, Any]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture(params=["plain", "TLS"])
def server(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[FakeServer]:
    """A server that answers some requests, and others never."""
    server = FakeServer(tls=certificates.server() if request.param == "TLS" else None)
    server.always(QUERY, answer(facts.hits()))
    server.always(COUNT, HANG)
    server.on(CHAT, chunked(delta("Hel"), delta("lo", "stop"), DONE), chunked(delta("Hi"), end="hang"))
    yield server
    server.close()
    server.check()


async def test_everything_works_on_uvloop(server: FakeServer, certificates: Certificates) -> None:
    settings: Any = {"controller_url": server.url, "bridge_url": server.url, "api_key": "k", "verify": certificates.ca}
    async with AsyncSekhaClient(**settings, max_retries=0) as client:
        assert (await client.controller.query("x"))["total"] == 0
        assert await (await client.bridge.stream_complete(MESSAGES)).get_final_text() == "Hello"
        for view in (client.with_options(timeout=0.05), client.with_options(deadline=0.05)):
            with pytest.raises(SekhaTimeoutError):
                await view.controller.count_conversations()
        with anyio.move_on_after(0.05) as scope:
            await client.controller.count_conversations()
        assert (scope.cancelled_caught, held(client)) == (True, [])

        stream = await client.bridge.stream_complete(MESSAGES)
        assert await stream.text_stream().__anext__() == "Hi"
        failures, arrived = [], threading.Event()
        server.on(METRICS, raw(arrived.set, end="hang"))

        async def wait() -> None:
            with pytest.raises(SekhaConnectionError) as caught:
                await client.controller.metrics()
            failures.append(caught.value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            assert await anyio.to_thread.run_sync(arrived.wait, 10)
            await client.aclose()
        await stream.aclose()
        assert [failure.sent for failure in failures] == [True]
