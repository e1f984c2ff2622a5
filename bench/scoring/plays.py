"""What a client is asked to do, in the child process. A play yields the outcomes of its calls."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import json
import logging
import pickle
import random
import resource
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from importlib.metadata import version as installed
from typing import Any

from scoring.clients import Client
from scoring.data import KEY

Outcome = dict[str, Any]
Wishes = dict[str, Any]


def version(client: Client) -> str:
    """The version of the library."""
    if client.name == "ours":
        from sekha import __version__

        return __version__
    return installed(client.distribution)


def _value(value: Any, start: float) -> Outcome:
    dump = getattr(value, "model_dump", None)
    data = dump(mode="json") if dump else value
    return {"what": "value", "value": data, "elapsed": time.perf_counter() - start, **_secret(repr(data))}


def _error(error: BaseException, client: Client, start: float) -> Outcome:
    response = getattr(error, "response", None)
    family = {base.__module__.partition(".")[0] for base in type(error).__mro__}
    return {
        "what": "error",
        "type": type(error).__name__,
        "own": client.module in family,
        "words": str(error).replace(KEY, "<key>")[:300],
        "status": getattr(error, "status_code", None) or getattr(response, "status_code", None),
        "elapsed": time.perf_counter() - start,
        **_secret(f"{error!r} {''.join(traceback.format_exception(type(error), error, error.__traceback__))}"),
    }


def _secret(text: str) -> Outcome:
    return {"key_shown": KEY[:20] in text}


async def _attempt(client: Client, call: Callable[[], Awaitable[Any]]) -> Outcome:
    start = time.perf_counter()
    try:
        return _value(await call(), start)
    except Exception as error:
        return _error(error, client, start)


async def _read_stream(client: Client, url: str, wishes: Wishes) -> Outcome:
    """The pieces of a stream, and how it ended."""
    start, pieces = time.perf_counter(), []
    try:
        async with client.stream(_open(client, url, wishes)) as texts:
            async for text in texts:
                pieces.append(text)
        outcome = _value("".join(pieces), start)
    except Exception as error:
        outcome = _error(error, client, start)
    return {**outcome, "text": "".join(pieces)}


def _open(client: Client, url: str, wishes: Wishes) -> Any:
    known = {name: value for name, value in wishes.items() if name in ("key", "timeout") or name in client.has}
    return client.open(url, **known)


def _one(name: str) -> Any:
    """A play of a single call."""

    def play(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
        async def run() -> Outcome:
            if name == "stream":
                return await _read_stream(client, url, wishes)
            return await _attempt(client, lambda: getattr(client, name)(_open(client, url, wishes)))

        yield asyncio.run(run())

    return play


read, write, complete, stream, text = (_one(name) for name in ("read", "write", "complete", "stream", "text"))


def nan(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """A number that JSON does not have: in a completion, else in what is stored."""

    async def run() -> Outcome:
        call = client.complete if "completion" in client.has else client.write
        return await _attempt(client, lambda: call(_open(client, url, wishes), float("nan")))

    yield asyncio.run(run())


def construct(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """Only make the clients."""
    start = time.perf_counter()
    threads = threading.active_count()
    kept = [client.open(url), client.open_blocking(url)]
    yield {**_value(len(kept), start), "threads": threading.active_count() - threads}


def prefixes(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """A read with three base URLs."""
    for base in (url, url + "/prefix", url + "/prefix/"):
        yield from read(client, base, wishes)


def ids(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """A read with a good id, and one with a bad one."""

    async def run(*id: str) -> Outcome:
        return await _attempt(client, lambda: client.read(_open(client, url, wishes), *id))

    yield asyncio.run(run())
    yield asyncio.run(run("../../x"))


def cancelled(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """For two seconds, 200 tasks call and are cancelled after 0 to 300 ms; then come 20 calls."""

    async def run() -> list[Outcome]:
        opened, draw, end = _open(client, url, wishes), random.Random(5), time.monotonic() + 2.0

        async def caller() -> None:
            while time.monotonic() < end:
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(client.read(opened), draw.uniform(0, 0.3))

        await asyncio.gather(*(caller() for _ in range(200)))
        outcomes = []
        for _ in range(20):
            outcomes.append(await _attempt(client, lambda: asyncio.wait_for(client.read(opened), 5.0)))
            if outcomes[-1]["what"] == "error":
                break
        return outcomes

    yield from asyncio.run(run())


def broken_off(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """The second piece of a stream is the last that is wanted; then comes a read."""

    async def run() -> list[Outcome]:
        opened = _open(client, url, wishes)
        async with client.stream(opened) as texts:
            async for _ in texts:
                break
        del texts
        await asyncio.sleep(0.5)
        return [await _attempt(client, lambda: asyncio.wait_for(client.read(opened), 5.0))]

    yield from asyncio.run(run())


def crowd(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """500 reads at the same time; the first outcome of each kind, with its number."""

    async def run() -> list[Outcome]:
        opened = _open(client, url, wishes)
        return await asyncio.gather(*(_attempt(client, lambda: client.read(opened)) for _ in range(500)))

    found: dict[str, Outcome] = {}
    for outcome in asyncio.run(run()):
        kind = outcome.get("type", "value")
        first = found.setdefault(kind, {**outcome, "times": 0})
        first["times"] += 1
        first["elapsed"] = max(first["elapsed"], outcome["elapsed"])
    yield from found.values()


def loops(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """One client in three event loops, one after the other."""
    opened = _open(client, url, wishes)
    for _ in range(3):
        yield asyncio.run(_attempt(client, lambda: client.read(opened)))


def stale(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """Two reads and a write, with a pause in which the server can close what it kept open."""

    async def run() -> list[Outcome]:
        opened = _open(client, url, wishes)
        outcomes = []
        for call in (client.read, client.read, client.write):
            outcomes.append(await _attempt(client, partial(call, opened)))
            await asyncio.sleep(0.3)
        return outcomes

    yield from asyncio.run(run())


kept_to_the_end: list[Any] = []


def forgotten(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """Clients are forgotten in a loop, after it, and at the end of the interpreter."""

    async def run() -> None:
        await client.read(_open(client, url, wishes))
        gc.collect()

    asyncio.run(run())
    outlived = _open(client, url, wishes)
    asyncio.run(client.read(outlived))
    del outlived
    gc.collect()
    blocking = client.open_blocking(url)
    client.read_blocking(blocking)
    kept_to_the_end.append(blocking)
    yield _value("forgotten", time.perf_counter())


def secrets(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """Where the key could show: repr of the clients, an error whose body repeats it, the log."""
    log = io.StringIO()
    logging.basicConfig(stream=log, level=logging.DEBUG)

    async def run() -> list[Outcome]:
        opened = _open(client, url, wishes)
        shown = f"{opened!r} {opened}"
        outcome = await _attempt(client, lambda: client.read(opened))
        return [{"what": "repr", **_secret(shown)}, outcome]

    yield from asyncio.run(run())
    yield {"what": "log", **_secret(log.getvalue())}


def bad_key(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """A key with a line break inside."""
    start = time.perf_counter()
    try:
        yield from read(client, url, {**wishes, "key": KEY[:24] + "\n" + KEY[24:]})
    except Exception as error:
        yield _error(error, client, start)


def bomb(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """A small read and then a large one; how far the memory grew meanwhile, in megabytes."""
    list(read(client, url, wishes))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for outcome in read(client, url, wishes):
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        value = "an answer" if outcome["what"] == "value" else None
        yield {**outcome, "value": value, "grown": grown}


def contacts(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """A read, a write, and a second in which a telemetry thread can work; what is sent at exit counts too."""
    yield from read(client, url, wishes)
    yield from write(client, url, wishes)
    time.sleep(1.0)


def pickled(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """Is an error the same after a round trip?"""

    async def run() -> Outcome:
        start = time.perf_counter()
        try:
            return _value(await client.read(_open(client, url, wishes)), start)
        except Exception as error:
            outcome = _error(error, client, start)
            try:
                again = pickle.loads(pickle.dumps(error))
                same = type(again) is type(error) and str(again) == str(error)
                fields = json.dumps(_fields(again)) == json.dumps(_fields(error))
                return {**outcome, "again": "the same" if same and fields else "something else came back"}
            except Exception as trouble:
                return {**outcome, "again": type(trouble).__name__}

    yield asyncio.run(run())


def _fields(error: BaseException) -> dict[str, Any]:
    plain = (str, int, float, bool, type(None))
    return {name: value for name, value in sorted(vars(error).items()) if isinstance(value, plain)}


def in_a_loop(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """The blocking client, where an event loop is running."""

    async def run() -> Outcome:
        start, threads = time.perf_counter(), threading.active_count()
        try:
            outcome = _value(client.read_blocking(client.open_blocking(url)), start)
        except Exception as error:
            outcome = _error(error, client, start)
        return {**outcome, "threads": threading.active_count() - threads}

    yield asyncio.run(run())


def first_call(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """How many modules does a first read import?"""

    async def run() -> Outcome:
        opened = _open(client, url, wishes)
        before = len(sys.modules)
        outcome = await _attempt(client, lambda: client.read(opened))
        return {**outcome, "imported": len(sys.modules) - before}

    yield asyncio.run(run())


def nothing(client: Client, url: str, wishes: Wishes) -> Iterator[Outcome]:
    """The import was all."""
    return iter(())
