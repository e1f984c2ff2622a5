"""What the hooks ``on_request``, ``on_response``, ``on_retry`` and ``on_wait`` receive: facts, never the content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Optional

from typing_extensions import TypeAlias

__all__ = ["RequestEvent", "ResponseEvent", "RetryEvent", "WaitEvent"]

WaitReason: TypeAlias = Literal["rate_limit", "connection", "write_slot"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


@dataclass(frozen=True)
class RequestEvent:
    """An attempt begins; ``on_request`` is called with it.

    Attributes:
        service: Who is asked: ``controller``, ``mcp`` or ``bridge``.
        method: HTTP method.
        path: Path template, with ``{id}`` where an id goes.
        server: Host, and port if the address has one.
        attempt: Number of the attempt, from 1.

    Example:
        ```python
        from sekha import RequestEvent, SekhaClient


        def on_request(event: RequestEvent) -> None:
            print(event.service, event.method, event.path, event.attempt)  # controller GET /health 1


        with SekhaClient(
            controller_url="http://localhost:8080", api_key="sk-your-api-key", on_request=on_request
        ) as client:
            client.controller.health()
        ```
    """

    service: str
    method: str
    path: str
    server: str
    attempt: int


@dataclass(frozen=True)
class ResponseEvent:
    """An attempt has ended; ``on_response`` is called with it, once for each `RequestEvent`.

    It ends when the answer has been read and checked, or with an error; that of a stream when its head has arrived.

    Attributes:
        service: Who was asked: ``controller``, ``mcp`` or ``bridge``.
        method: HTTP method.
        path: Path template, with ``{id}`` where an id goes.
        server: Host, and port if the address has one.
        attempt: Number of the attempt, from 1.
        status: HTTP status; None if no answer came.
        error: Class of the error that the attempt ended with; None if it succeeded. It is `SekhaTimeoutError` if the
            deadline ended it, and no `SekhaError` if it was cancelled.
        elapsed: Seconds from the beginning of the attempt; waiting for the rate limit is not part of it.

    Example:
        ```python
        from collections import Counter

        from sekha import ResponseEvent, SekhaClient

        answers: Counter = Counter()


        def on_response(event: ResponseEvent) -> None:
            answers[event.path, event.status] += 1


        with SekhaClient(
            controller_url="http://localhost:8080", api_key="sk-your-api-key", on_response=on_response
        ) as client:
            client.controller.health()
        print(answers)  # Counter({('/health', 200): 1})
        ```
    """

    service: str
    method: str
    path: str
    server: str
    attempt: int
    status: Optional[int]
    error: Optional[type[BaseException]]
    elapsed: float


@dataclass(frozen=True)
class RetryEvent:
    """An attempt has failed, and another will follow; ``on_retry`` is called with it, before the wait.

    Attributes:
        service: Who was asked: ``controller``, ``mcp`` or ``bridge``.
        method: HTTP method.
        path: Path template, with ``{id}`` where an id goes.
        server: Host, and port if the address has one.
        attempt: Number of the attempt that failed, from 1.
        status: Its HTTP status; None if no answer came.
        error: Class of the error that it ended with.
        elapsed: Seconds that it took.
        wait: Seconds until the next attempt.

    Example:
        ```python
        from sekha import RetryEvent, SekhaClient


        def on_retry(event: RetryEvent) -> None:
            print(f"{event.path}: {event.status or event.error.__name__}, again in {event.wait:.1f} s")


        with SekhaClient(
            controller_url="http://localhost:8080", api_key="sk-your-api-key", on_retry=on_retry
        ) as client:
            client.controller.health()
        ```
    """

    service: str
    method: str
    path: str
    server: str
    attempt: int
    status: Optional[int]
    error: type[BaseException]
    elapsed: float
    wait: float


@dataclass(frozen=True)
class WaitEvent:
    """A call begins to wait before it is sent; ``on_wait`` is called with it, and only if there is a wait.

    Attributes:
        reason: What it waits for: ``rate_limit``, ``write_slot`` (see ``max_concurrent_writes``), or ``connection``, a
            free one of ``max_connections``.
        service: Who is to be asked: ``controller``, ``mcp`` or ``bridge``.
        seconds: How long it will take, if that is known: that of the rate limit is, the others depend on other calls.

    Example:
        ```python
        from sekha import SekhaClient, WaitEvent


        def on_wait(event: WaitEvent) -> None:
            print(f"{event.service} waits for {event.reason}, seconds: {event.seconds}")


        with SekhaClient(
            controller_url="http://localhost:8080", api_key="sk-your-api-key", on_wait=on_wait
        ) as client:
            client.controller.health()
        ```
    """

    reason: WaitReason
    service: str
    seconds: Optional[float]
