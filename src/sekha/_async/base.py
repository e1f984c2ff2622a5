"""Base of the clients of all services: a transport that they own or borrow, and options for single calls."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Literal, Optional, Union

from typing_extensions import Self, Unpack

from sekha._api.compat.capabilities import Capabilities
from sekha._api.folder_view import FolderView
from sekha._api.model import Service
from sekha._concurrency.clock import Clock
from sekha._concurrency.misuse import AsyncMisuseGuard
from sekha._concurrency.process_bound import ProcessBound, make_view
from sekha._http.models import AsyncHTTPClient
from sekha._transport.operations import Operation
from sekha._transport.options import bridge_keys, controller_keys, key_overrides
from sekha._transport.spans import CallArguments, OperationSpan
from sekha._utils.redaction import Secret, redact_traceback
from sekha._utils.sentinel import NOT_GIVEN, NotGiven
from sekha.config import ClientConfig
from sekha.config._models import ClientSettings, ConnectionSettings
from sekha.config._resolve import resolve_service_config
from sekha.gates import AsyncClientGate

from .transport import AsyncTransport


class AsyncConnectionOptions(ConnectionSettings, total=False):
    """Additional keyword arguments of a client of one service."""

    http_client: Optional[AsyncHTTPClient]
    write_gate: Union[Literal["shared", "process"], AsyncClientGate]
    rate_limiter: Union[Literal["process"], AsyncClientGate]


class AsyncClientOptions(ClientSettings, total=False):
    """Keyword arguments of `AsyncSekhaClient`."""

    http_client: Optional[AsyncHTTPClient]
    write_gate: Union[Literal["shared", "process"], AsyncClientGate]
    rate_limiter: Union[Literal["process"], AsyncClientGate]


class AsyncServiceClient(AsyncMisuseGuard, ProcessBound):
    """Base of the clients of one service."""

    _transport: AsyncTransport
    _capabilities: Capabilities
    _owns_connections: bool
    _view: Optional[FolderView] = None

    @property
    def _service(self) -> Service:
        """The service, which determines settings and keys."""
        raise NotImplementedError

    @redact_traceback
    def __init__(
        self,
        config: Optional[ClientConfig] = None,
        *,
        base_url: Optional[str] = None,
        api_key: Optional[str] = None,
        timeout: Union[float, NotGiven, None] = NOT_GIVEN,
        max_retries: Union[int, NotGiven] = NOT_GIVEN,
        **options: Unpack[AsyncConnectionOptions],
    ) -> None:
        self._open(
            config,
            {"base_url": base_url, "api_key": api_key, "timeout": timeout, "max_retries": max_retries, **options},
        )

    @classmethod
    def _from_transport(
        cls, transport: AsyncTransport, capabilities: Capabilities, view: Optional[FolderView] = None
    ) -> Self:
        """Return a client that borrows a transport: closing it closes nothing.

        Args:
            transport: The transport.
            capabilities: The known capabilities of the controller.
            view: The folder that the client is restricted to; None for the whole memory.
        """
        self = cls.__new__(cls)
        self._transport = transport if view is None else transport.without_bodies()
        self._capabilities, self._view, self._owns_connections = capabilities, view, False
        return self

    def _open(self, config: ClientConfig | None, arguments: Mapping[str, object]) -> None:
        """Initialize a client that owns its connections."""
        settings = resolve_service_config(self._service.value, config, arguments)
        if self._service is Service.BRIDGE:
            base_url, keys = settings.bridge_url, bridge_keys(settings)
        else:
            base_url, keys = settings.controller_url, controller_keys(settings)
        self._transport = AsyncTransport.from_config(settings, str(base_url), keys, service=self._service)
        self._capabilities = Capabilities()
        self._owns_connections = True

    def __repr__(self) -> str:
        folder = "" if self._view is None else f" in {self._view.folder!r}"
        return f"<{type(self).__name__} {self._transport}{folder}>"

    @redact_traceback
    def with_options(
        self,
        *,
        timeout: Union[float, NotGiven, None] = NOT_GIVEN,
        max_retries: Union[int, NotGiven] = NOT_GIVEN,
        deadline: Union[float, NotGiven, None] = NOT_GIVEN,
        api_key: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Self:
        """Return a view of this client with other options; closing it closes nothing.

        Args:
            timeout: Seconds for each phase of one attempt (connect, send, wait for bytes); None means no limit.
            max_retries: Retries after a failed first attempt, 0 or more.
            deadline: Seconds for a whole call, waits and retries included; None means no limit.
            api_key: Key to send instead of that of this client.
            headers: Headers to send in addition to those of this client.

        Raises:
            SekhaConfigError: A value is invalid.

        Example:
            ```python title="python -m asyncio"
            patient = client.controller.with_options(timeout=120.0)
            print((await patient.health())["status"])
            ```
        """
        transport = self._transport.with_options(
            timeout=timeout, max_retries=max_retries, deadline=deadline, headers=headers
        )
        transport = transport.with_keys(self._key_overrides(api_key))
        return self._from_transport(transport, self._capabilities, self._view)

    def _start_operation(self, operation: Operation, arguments: CallArguments) -> OperationSpan | None:
        """Return the span of an operation that starts; None if it has none, or is part of another operation."""
        return self._transport._start_operation(operation, arguments)

    def _in_operation(self, span: OperationSpan) -> Self:
        """Return a view whose requests belong to an operation."""
        view = make_view(self)
        view._transport, view._owns_connections = self._transport._in_operation(span), False
        return view

    def _use_clock(self, clock: Clock) -> None:
        self._transport.use_clock(clock)

    def _key_overrides(self, api_key: str | None) -> dict[Service, Secret]:
        """Return the keys that a view with another ``api_key`` sends."""
        return key_overrides(api_key=api_key)

    async def aclose(self) -> None:
        """Close the connections if this client owns them; further calls do nothing.

        Calls in progress fail, as with `AsyncSekhaClient.aclose`.
        """
        if self._owns_connections:
            await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: Optional[type[BaseException]] = None,
        exc: Optional[BaseException] = None,
        traceback: Optional[TracebackType] = None,
    ) -> None:
        await self.aclose()
