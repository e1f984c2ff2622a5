"""What type checkers must refuse: one client type used as the other. Checked, and never run.

mypy and pyright report a comment whose line they would not refuse. `tests/package/test_type_checkers.py` takes the
comments away, and asks more checkers whether they refuse the same lines.
"""

from __future__ import annotations

from typing import AsyncIterable, Callable, Iterable, Optional

from sekha import AsyncSekhaClient, SekhaClient

# pyright: reportUnnecessaryTypeIgnoreComment=true


def needs_async(pieces: AsyncIterable[object]) -> None: ...


def needs_blocking(pieces: Iterable[object]) -> None: ...


class AwaitedGate:
    async def acquire(self, deadline: Optional[float], /) -> Optional[Callable[[], object]]: ...


def gates(gate: AwaitedGate) -> None:
    AsyncSekhaClient(write_gate=gate, rate_limiter=gate)
    SekhaClient(write_gate=gate)  # type: ignore[arg-type]
    SekhaClient(rate_limiter=gate)  # type: ignore[arg-type]


async def streams(client: SekhaClient, other: AsyncSekhaClient) -> None:
    stream = client.bridge.stream_complete([])
    needs_blocking(stream)
    needs_blocking(stream.text_stream())
    needs_async(stream)  # type: ignore[arg-type]
    needs_async(stream.text_stream())  # type: ignore[arg-type]
    async for _ in stream:  # type: ignore[attr-defined]
        pass
    async with stream:  # type: ignore[attr-defined]
        pass
    async with client.stream_with_context():  # type: ignore[attr-defined]
        pass

    other_stream = await other.bridge.stream_complete([])
    needs_async(other_stream)
    needs_async(other_stream.text_stream())
    needs_blocking(other_stream)  # type: ignore[arg-type]
    needs_blocking(other_stream.text_stream())  # type: ignore[arg-type]
    for _ in other_stream:  # type: ignore[attr-defined]
        pass
    with other_stream:  # type: ignore[attr-defined]
        pass
    call = other.stream_with_context()
    needs_async(call)  # type: ignore[arg-type]
    needs_blocking(call)  # type: ignore[arg-type]
    with call:  # type: ignore[attr-defined]
        pass


async def conversations(client: SekhaClient, other: AsyncSekhaClient) -> None:
    needs_async(client.controller.iter_conversations())  # type: ignore[arg-type]
    needs_blocking(other.controller.iter_conversations())  # type: ignore[arg-type]


async def clients(client: SekhaClient, other: AsyncSekhaClient) -> None:
    async with client:  # type: ignore[attr-defined]
        pass
    async with client.controller:  # type: ignore[attr-defined]
        pass
    with other:  # type: ignore[attr-defined]
        pass
    with other.controller:  # type: ignore[attr-defined]
        pass
