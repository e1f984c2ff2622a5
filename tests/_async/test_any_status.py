"""A status is a status: an error keeps its class and its words, whatever is wrong with its body."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest

from sekha import SekhaAPIError, SekhaConnectionError, SekhaDecodeError, SekhaError
from sekha._concurrency.clock import Clock
from support import facts
from support.bodies import REFUSALS
from support.clock import give_clock
from support.facts import MESSAGES
from support.replies import answer, body, chunked, empty, head, raw, text
from support.server import FakeServer, Reply, eventually

from .conftest import MakeClient

COUNT, CREATE, CHAT = "GET /api/v1/conversations/count", "POST /api/v1/conversations", "POST /v1/chat/completions"
PAGE = b"<html>\r\n<head><title>Oops</title></head>\r\n<body><h1>Too   busy</h1>\r\n<hr>nginx</body></html>\r\n"
BUSY = json.dumps({"error": "Too busy", "code": "b1"}).encode()
NOISE = bytes(range(256)) * 4


def with_body(status: int, data: bytes, **headers: str) -> Reply:
    """An answer whose body has a coding or a charset."""
    return body(data, status, headers.pop("content_type", "text/html"), retry_after="7", **headers)


def unframed(status: int, data: bytes, end: Any = "close", length: int = 500) -> Reply:
    """An answer that ends before its length."""
    return raw(head(status, content_length=str(length), retry_after="7") + b"\r\n" + data, 0.02, end=end)


WRONG: dict[str, Any] = {
    "a plain page under gzip": (lambda s: with_body(s, PAGE, content_encoding="gzip"), "Too busy nginx"),
    "a plain page under br": (lambda s: with_body(s, PAGE, content_encoding="br"), "Too busy nginx"),
    "a plain page under zstd": (lambda s: with_body(s, PAGE, content_encoding="zstd"), "Too busy nginx"),
    "plain words under deflate": (lambda s: with_body(s, BUSY, content_encoding="deflate"), "Too busy"),
    "br": (lambda s: with_body(s, NOISE, content_encoding="br"), "compressed with br"),
    "an unknown coding": (lambda s: with_body(s, NOISE, content_encoding="rot13"), "compressed with rot13"),
    "gzip": (lambda s: with_body(s, gzip.compress(BUSY), content_encoding="gzip"), "Too busy"),
    "gzip in upper case": (lambda s: with_body(s, gzip.compress(BUSY), content_encoding="GZIP"), "Too busy"),
    "half of gzip": (
        lambda s: with_body(s, gzip.compress(PAGE + NOISE.hex().encode())[:-90], content_encoding="gzip"),
        "the compressed response ended early",
    ),
    "zlib, cut": (
        lambda s: with_body(s, zlib.compress(BUSY)[:-4], content_encoding="deflate"),
        "Too busy (the compressed response ended early)",
    ),
    "gzip with a tail": (lambda s: with_body(s, gzip.compress(BUSY) + b"tail", content_encoding="gzip"), "Too busy"),
    "cut": (lambda s: unframed(s, b"Too busy"), "Too busy (the connection broke before the end of the response)"),
    "nothing of it": (lambda s: unframed(s, b""), "the connection broke before the end of the response"),
    "a reset": (lambda s: unframed(s, b"Too busy", "reset"), "the connection broke before the end of the response"),
    "a bad chunk": (
        lambda s: raw(head(s, transfer_encoding="chunked", retry_after="7") + b"\r\n8\r\nToo busy\r\nno chunk\r\n"),
        "Too busy (the connection broke before the end of the response)",
    ),
    "too long": (lambda s: with_body(s, b"Too busy " + b"x" * 20_000), "longer than 10000 bytes"),
    "too long when it is opened": (
        lambda s: with_body(s, gzip.compress(b"Too busy " + b"x" * 20_000), content_encoding="gzip"),
        "longer than 10000 bytes",
    ),
    "endless": (
        lambda s: chunked(b"Too busy ", *(b"x" * 5000,) * 9, status=s, content_type="text/plain", end="hang"),
        "longer than 10000 bytes",
    ),
    "Latin-1": (
        lambda s: with_body(s, "Trop occupé".encode("latin-1"), content_type="text/plain; charset=iso-8859-1"),
        "Trop occupé",
    ),
    "Latin-1 without a word": (
        lambda s: with_body(s, "Trop occupé".encode("latin-1"), content_type="text/plain"),
        "Trop occup\ufffd",
    ),
    "UTF-16": (
        lambda s: with_body(s, "Occupé".encode("utf-16"), content_type='text/plain; charset="UTF-16"'),
        "Occupé",
    ),
    "an unknown charset": (
        lambda s: with_body(s, "occupé\xa0".encode("latin-1"), content_type="text/plain; charset=x-klingon"),
        "occup\ufffd",
    ),
    "a charset that is no charset": (
        lambda s: with_body(s, b"\xffToo busy", content_type="text/plain; charset=latin-9999"),
        "Too busy",
    ),
    "a BOM": (lambda s: with_body(s, b"\xef\xbb\xbf" + BUSY, content_type="application/json"), "Too busy"),
}


@pytest.mark.promise("C7", "W3")
@pytest.mark.parametrize("lent", [False, True], ids=["own pool", "httpx"])
@pytest.mark.parametrize("wrong", WRONG)
async def test_an_error_keeps_its_class_whatever_its_body_is(
    wrong: str, lent: bool, make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    reply, words = WRONG[wrong]
    async with httpx.AsyncClient() as own:
        limits: dict[str, Any] = {"max_response_bytes": 10_000, "max_retries": 0, "rate_limit_requests": 10_000}
        client = make(**limits, **({"http_client": own} if lent else {}))
        for status in (401, 404, 413, 429, 502, 503):
            server.on(COUNT, reply(status))
            server.on(CREATE, reply(status))
            bridge.on(CHAT, reply(status), reply(status))
            calls: list[Any] = [
                client.controller.count_conversations,
                lambda: client.controller.create_conversation(messages=MESSAGES),
                lambda: client.bridge.stream_complete(MESSAGES),
                lambda: client.bridge.complete(MESSAGES),
            ]
            for call in calls:
                with pytest.raises(SekhaAPIError) as caught:
                    await call()
                error = caught.value
                assert type(error) is REFUSALS[status]
                assert (error.status_code, error.sent) == (status, True)
                assert words in error.message
                assert error.retry_after == 7.0 or wrong == "endless"
                unknown = status == 502 or (status == 503 and wrong == "endless")
                assert error.may_have_been_applied is (unknown and call is not calls[0])


@pytest.mark.promise("C7", "R3", "W3")
@pytest.mark.parametrize(
    "wrong", ["a plain page under gzip", "br", "half of gzip", "cut", "nothing of it", "a reset", "too long"]
)
async def test_retries_follow_the_status_and_not_the_body(
    wrong: str, make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    reply, _ = WRONG[wrong]
    client = make(max_retries=1, max_response_bytes=10_000)
    for status in (429, 502, 503):
        server.on(COUNT, reply(status), answer({"count": 3}))
        assert (await client.controller.count_conversations())["count"] == 3
    for status in (429, 503):  # it was certainly not processed
        server.on(CREATE, reply(status), answer(facts.CREATED, 201))
        await client.controller.create_conversation(messages=MESSAGES)
    seen = len(server.seen)
    server.on(COUNT, reply(401))
    server.on(CREATE, reply(422), reply(502))
    refused: list[tuple[Any, bool]] = [
        (client.controller.count_conversations, False),
        (lambda: client.controller.create_conversation(messages=MESSAGES), False),
        (lambda: client.controller.create_conversation(messages=MESSAGES), True),
    ]
    for call, unknown in refused:
        with pytest.raises(SekhaAPIError) as caught:
            await call()
        assert (caught.value.attempts, caught.value.may_have_been_applied) == (1, unknown)
    assert len(server.seen) == seen + 3


@pytest.mark.promise("C7", "W3")
async def test_a_workflow_has_the_error_of_the_status(make: MakeClient, server: FakeServer, bridge: FakeServer) -> None:
    server.on("POST /api/v1/context/assemble", answer([]))
    bridge.on(CHAT, with_body(403, NOISE, content_encoding="br"))
    with pytest.raises(SekhaError, match="compressed with br") as caught:
        await make().complete_with_context("Hi", "hi")
    assert type(caught.value) is REFUSALS[403]


@pytest.mark.promise("C7")
@pytest.mark.parametrize(("wrong", "reused"), [("a plain page under gzip", True), ("br", True), ("too long", False)])
async def test_the_connection_of_an_error_is_used_again_if_all_of_it_was_read(
    wrong: str, reused: bool, make: MakeClient, server: FakeServer
) -> None:
    client = make(max_retries=0, max_response_bytes=10_000)
    server.on(COUNT, WRONG[wrong][0](404), answer({"count": 3}))
    with pytest.raises(SekhaAPIError):
        await client.controller.count_conversations()
    assert (await client.controller.count_conversations())["count"] == 3
    assert server.connections == (1 if reused else 2)


@pytest.mark.promise("C7", "W3")
@pytest.mark.parametrize("lent", [False, True], ids=["own pool", "httpx"])
@pytest.mark.parametrize("options", [{"timeout": 0.5}, {"deadline": 0.6}, {"deadline": 0.6, "timeout": None}], ids=str)
async def test_a_body_that_does_not_come_hides_no_status(
    options: Any, lent: bool, make: MakeClient, server: FakeServer
) -> None:
    if lent and options.get("timeout", 0.5) is None:
        options = {**options, "timeout": 0.5}  # threads have no other way to interrupt a read of httpx
    async with httpx.AsyncClient() as own:
        client = make(max_retries=0, **options, **({"http_client": own} if lent else {}))
        give_clock(client, Clock())
        server.on(CREATE, unframed(401, b"Too ", "hang"))
        started = Clock().now()
        with pytest.raises(SekhaAPIError, match=r"Too \(the rest of the response did not arrive in time\)") as caught:
            await client.controller.create_conversation(messages=MESSAGES)
        assert Clock().now() - started < 3.0
    assert type(caught.value) is REFUSALS[401]
    assert (caught.value.sent, caught.value.may_have_been_applied) == (True, False)
    eventually(lambda: server.open_connections == 0)


@pytest.mark.promise("C7")
async def test_a_2xx_that_cannot_be_read_is_still_an_error(client: Any, make: MakeClient, server: FakeServer) -> None:
    server.on(COUNT, body(NOISE, 200, content_encoding="br"))
    with pytest.raises(SekhaDecodeError, match="compressed with br"):
        await client.controller.count_conversations()
    server.on(COUNT, unframed(200, b'{"count": '))
    with pytest.raises(SekhaConnectionError):
        await make(max_retries=0).controller.count_conversations()
    server.on("GET /metrics", body(gzip.compress(b"# HELP x")[:-8], 200, "text/plain", content_encoding="gzip"))
    with pytest.raises(SekhaDecodeError, match="the compressed response ended early"):
        await client.controller.metrics()


@pytest.mark.parametrize(
    "coding",
    ["identity", "none", "utf-8", "UTF8", "binary", "", " ", ",", "identity, identity", "text/plain", "8bit", "null"],
)
async def test_what_is_no_compression_is_ignored(coding: str, make: MakeClient, server: FakeServer) -> None:
    server.on(COUNT, body(b'{"count": 3}', content_encoding=coding))
    assert (await make().controller.count_conversations())["count"] == 3


@pytest.mark.parametrize("coding", ["gzip, identity", "identity,gzip", "gzip,", " x-gzip , utf-8", "none, gzip"])
async def test_a_compression_among_others_is_found(coding: str, make: MakeClient, server: FakeServer) -> None:
    server.on(COUNT, body(gzip.compress(b'{"count": 3}'), content_encoding=coding))
    assert (await make().controller.count_conversations())["count"] == 3


async def test_json_with_a_bom_is_read(client: Any, server: FakeServer, bridge: FakeServer) -> None:
    server.on(COUNT, body(b'\xef\xbb\xbf{"count": 3}'))
    assert (await client.controller.count_conversations())["count"] == 3
    bridge.on(CHAT, *[body(b"\xef\xbb\xbf" + json.dumps(facts.COMPLETION).encode())] * 2)
    whole = await client.bridge.complete(MESSAGES)
    stream = await client.bridge.stream_complete(MESSAGES)
    assert await stream.get_final_completion() == whole


@pytest.mark.promise("W3")
async def test_a_304_says_what_it_is(client: Any, server: FakeServer) -> None:
    server.on(COUNT, empty(304))
    with pytest.raises(SekhaAPIError, match="Not Modified, although the request was not conditional") as caught:
        await client.controller.count_conversations()
    assert caught.value.status_code == 304


@pytest.mark.promise("W3")
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (empty(502), "Bad Gateway (the response was empty)"),
        (body(PAGE, 502, "text/html"), "an HTML page instead of JSON: Too busy nginx"),
        (text("no healthy upstream", 503), "no healthy upstream"),
        (unframed(503, b"no heal"), "no heal (the connection broke before the end of the response)"),
    ],
)
async def test_health_shows_what_a_proxy_says(
    reply: Reply, words: str, client: Any, server: FakeServer, bridge: FakeServer
) -> None:
    server.on("GET /health", reply)
    bridge.on("GET /health", reply)
    for health in (await client.controller.health(), await client.bridge.health()):
        assert (health["status"], health["error"]) == ("unhealthy", words)
