"""Events for the hooks ``on_request``, ``on_response``, ``on_retry`` and ``on_wait``: metadata only, never content."""

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
    """Start of an attempt; passed to ``on_request``.

    Attributes:
        service: The service: ``controller``, ``mcp`` or ``bridge``.
        method: HTTP method.
        path: Path template, with ``{id}`` in place of an ID.
        server: Host of the server, with the port if the address has one.
        attempt: Number of the attempt, starting at 1.

    Example:
        ```python
        from sekha import RequestEvent, SekhaClient


        def on_request(event: RequestEvent) -> None:
            print(
                event.service, event.method, event.path, event.attempt
            )  # controller GET /health 1


        with SekhaClient(
            controller_url="http://localhost:8080",
            api_key="sk-your-api-key",
            on_request=on_request,
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
    """End of an attempt; passed to ``on_response``, once for each `RequestEvent`.

    An attempt ends when the response has been read and validated, or with an error; for a stream, when the response
    headers have arrived.

    Attributes:
        service: The service: ``controller``, ``mcp`` or ``bridge``.
        method: HTTP method.
        path: Path template, with ``{id}`` in place of an ID.
        server: Host of the server, with the port if the address has one.
        attempt: Number of the attempt, starting at 1.
        status: HTTP status; None without a response.
        error: Class of the error; None if the attempt succeeded. `SekhaTimeoutError` if the deadline passed; not a
            `SekhaError` if the attempt was cancelled.
        elapsed: Duration of the attempt in seconds, without waits for the rate limit.

    Example:
        ```python
        from collections import Counter

        from sekha import ResponseEvent, SekhaClient

        answers: Counter = Counter()


        def on_response(event: ResponseEvent) -> None:
            answers[event.path, event.status] += 1


        with SekhaClient(
            controller_url="http://localhost:8080",
            api_key="sk-your-api-key",
            on_response=on_response,
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
    """A failed attempt that will be retried; passed to ``on_retry`` before the wait.

    Attributes:
        service: The service: ``controller``, ``mcp`` or ``bridge``.
        method: HTTP method.
        path: Path template, with ``{id}`` in place of an ID.
        server: Host of the server, with the port if the address has one.
        attempt: Number of the failed attempt, starting at 1.
        status: HTTP status; None without a response.
        error: Class of the error.
        elapsed: Duration of the attempt in seconds.
        wait: Seconds until the retry.

    Example:
        ```python
        from sekha import RetryEvent, SekhaClient


        def on_retry(event: RetryEvent) -> None:
            reason = event.status or event.error.__name__
            print(f"{event.path}: {reason}, retry in {event.wait:.1f} s")


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
    """Start of a wait before a request is sent; passed to ``on_wait``.

    Attributes:
        reason: Reason for the wait: ``rate_limit``, ``write_slot`` (see ``max_concurrent_writes``) or ``connection``
            (see ``max_connections``).
        service: The service: ``controller``, ``mcp`` or ``bridge``.
        seconds: Expected duration in seconds; known for the rate limit, None for waits that depend on other calls.

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
