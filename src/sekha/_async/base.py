"""What the clients of all services share: a transport that they own or borrow, and options for single calls."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Optional

from typing_extensions import Self

from sekha._concurrency.clock import Clock
from sekha._concurrency.misuse import AsyncMisuseGuard
from sekha._http.models import AsyncHTTPClient
from sekha._transport.options import changed_keys, changed_options
from sekha._utils.redaction import redact_traceback
from sekha._utils.sentinel import NOT_GIVEN, NotGiven
from sekha.config import ClientSettings, ConnectionSettings

from .transport import AsyncTransport


class AsyncConnectionOptions(ConnectionSettings, total=False):
    """The further keywords of a client of one service."""

    http_client: Optional[AsyncHTTPClient]


class AsyncClientOptions(ClientSettings, total=False):
    """The keywords of `AsyncSekhaClient`."""

    http_client: Optional[AsyncHTTPClient]


class AsyncServiceClient(AsyncMisuseGuard):
    """A client of one server."""

    _transport: AsyncTransport
    _owns_connections: bool

    @classmethod
    def _over(cls, transport: AsyncTransport, *, owns_connections: bool = False) -> Self:
        """A client that sends through a transport which somebody else made."""
        self = cls.__new__(cls)
        self._transport = transport
        self._owns_connections = owns_connections
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._transport}>"

    @redact_traceback
    def with_options(
        self,
        *,
        timeout: float | NotGiven | None = NOT_GIVEN,
        max_retries: int | NotGiven = NOT_GIVEN,
        deadline: float | NotGiven | None = NOT_GIVEN,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """A view of this client with other options; closing it closes nothing.

        Args:
            timeout: Seconds for each phase of one attempt; None means no limit.
            max_retries: Repetitions after a first attempt, 0 or more.
            deadline: Seconds that a whole call may take; None means no limit.
            api_key: Key to send instead.
            headers: Headers to send besides those of this client.

        Raises:
            SekhaConfigError: A value cannot be used.

        Example:
            ```python
            patient = client.controller.with_options(timeout=120.0)
            print((await patient.health())["status"])
            ```
        """
        options = changed_options(
            self._transport.headers,
            timeout=timeout,
            max_retries=max_retries,
            deadline=deadline,
            headers=headers,
        )
        return self._over(self._transport.view(options, self._keys(api_key)))

    def _use_clock(self, clock: Clock) -> None:
        self._transport.use_clock(clock)

    def _keys(self, api_key: str | None) -> Mapping[Any, Any]:
        return changed_keys(api_key=api_key)

    async def aclose(self) -> None:
        """Close the connections, if they are this client's own; calling it again does nothing."""
        if self._owns_connections:
            await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()
