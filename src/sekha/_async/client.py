"""Client for all services: controller, bridge and MCP tools, and the workflows that combine them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from ssl import SSLContext
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Optional, Union

from typing_extensions import Self, Unpack

from sekha._api.compat.capabilities import Capabilities
from sekha._api.folder_view import FolderView
from sekha._api.model import Service
from sekha._concurrency.clock import Clock
from sekha._concurrency.process_bound import make_view
from sekha._http.models import AsyncHTTPClient
from sekha._transport.options import bridge_keys, controller_keys, key_overrides
from sekha._utils.public import exported_from_sekha
from sekha._utils.redaction import redact_traceback
from sekha._utils.sentinel import NOT_GIVEN, NotGiven
from sekha.config import SekhaConfig
from sekha.config._models import StrPath
from sekha.config._resolve import missing_message, resolve_config
from sekha.events import RequestEvent, ResponseEvent, RetryEvent, WaitEvent
from sekha.gates import AsyncClientGate

from .base import AsyncClientOptions
from .bridge import AsyncBridgeClient
from .controller.client import AsyncMemoryController
from .mcp import AsyncMCPClient
from .transport import AsyncTransport, AsyncUnconfiguredTransport
from .workflows import AsyncWorkflows


@exported_from_sekha
class AsyncSekhaClient(AsyncWorkflows):
    """Client for all Sekha services. Create one per process and close it when the process ends.

    Settings come, in order of precedence, from the arguments, from ``config``, from the environment, and from the
    defaults. `sekha.SekhaConfig` describes each setting.

    Args:
        config: Settings as one object.
        controller_url: Address of the controller; default: ``SEKHA_CONTROLLER_URL``.
        api_key: Key for the controller; default: ``SEKHA_API_KEY``.
        bridge_url: Address of the LLM bridge; default: ``SEKHA_BRIDGE_URL``. Without it, only bridge calls fail.
        bridge_api_key: Key for the bridge; without it, no key is sent to the bridge.
        mcp_api_key: Key for the controller's MCP tools if it differs from ``api_key``.
        timeout: Seconds for each phase of one attempt: connecting, sending, and waiting for the next bytes. None means
            no limit. Default 30, or 300 while waiting for models and embedding.
        max_retries: Retries after a failed first attempt, 0 or more; default 3.
        deadline: Seconds for a whole call, waits and retries included; default None, no limit.
        rate_limit_requests: Requests to one server in any sliding window; default 1000. None or "none" means no limit.
        rate_limit_window: Length of that window in seconds; default 60.
        max_connections: Connections to one server; default 100.
        max_concurrent_writes: Concurrent requests that store a conversation; default 4.
        write_gate: Scope of ``max_concurrent_writes``: "shared" for all processes of this user on this machine,
            "process" for one client, or a gate (`sekha.gates`), for example for several machines; default shared.
        rate_limiter: Scope of ``rate_limit_requests``: "process" for one client in one process, or a gate, for example
            for several machines; default process.
        max_response_bytes: Maximum response size in bytes after decompression; default 64 MiB.
        verify: TLS verification: True (default), a path to a CA file or folder, or an `ssl.SSLContext`. False turns
            verification off.
        cert: Client certificate: a path, a pair of paths (certificate, key), or these with the password of the key.
        proxy: Address of a proxy for every server; "none" connects directly and ignores the environment.
        trust_env: Whether to use the proxy and certificate settings of the environment and the system; default True.
        headers: Additional headers for every request.
        http_client: Your own httpx client to send requests with; the library does not close it.
        on_request: Called with a `RequestEvent` when an attempt starts; must return quickly and not block.
        on_response: Called with a `ResponseEvent` when an attempt ends with a response or an error.
        on_retry: Called with a `RetryEvent` before the wait for a retry.
        on_wait: Called with a `WaitEvent` when a request has to wait before it is sent.
        tracing: Whether to create OpenTelemetry spans if ``opentelemetry-api`` is installed; default True.

    Attributes:
        controller: Conversations and search (`AsyncMemoryController`).
        bridge: Chat completions and embeddings (`AsyncBridgeClient`).
        mcp: The MCP tools (`AsyncMCPClient`).

    Raises:
        SekhaConfigError: A setting is missing, invalid, or conflicts with another one.

    Example:
        ```python title="python -m asyncio"
        from sekha import AsyncSekhaClient

        async with AsyncSekhaClient(
            controller_url=controller_url, api_key="sk-your-api-key", bridge_url=bridge_url
        ) as client:
            await client.controller.create_conversation(
                messages=[{"role": "user", "content": "Hello Sekha!"}]
            )
        ```
    """

    if not TYPE_CHECKING:  # `create_autospec` uses a class as the spec of the attribute of instances with this name
        controller, bridge, mcp = AsyncMemoryController, AsyncBridgeClient, AsyncMCPClient

    @redact_traceback
    def __init__(
        self,
        config: Optional[SekhaConfig] = None,
        *,
        controller_url: Optional[str] = None,
        api_key: Optional[str] = None,
        bridge_url: Optional[str] = None,
        bridge_api_key: Optional[str] = None,
        mcp_api_key: Optional[str] = None,
        timeout: Union[float, NotGiven, None] = NOT_GIVEN,
        max_retries: Union[int, NotGiven] = NOT_GIVEN,
        deadline: Union[float, NotGiven, None] = NOT_GIVEN,
        rate_limit_requests: Union[int, Literal["none"], NotGiven, None] = NOT_GIVEN,
        rate_limit_window: Union[float, NotGiven] = NOT_GIVEN,
        max_connections: Union[int, NotGiven] = NOT_GIVEN,
        max_concurrent_writes: Union[int, NotGiven] = NOT_GIVEN,
        write_gate: Union[Literal["shared", "process"], AsyncClientGate, NotGiven] = NOT_GIVEN,
        rate_limiter: Union[Literal["process"], AsyncClientGate, NotGiven] = NOT_GIVEN,
        max_response_bytes: Union[int, NotGiven] = NOT_GIVEN,
        verify: Union[bool, StrPath, SSLContext, NotGiven] = NOT_GIVEN,
        cert: Union[StrPath, Sequence[StrPath], NotGiven, None] = NOT_GIVEN,
        proxy: Optional[str] = None,
        trust_env: Union[bool, NotGiven] = NOT_GIVEN,
        headers: Optional[Mapping[str, str]] = None,
        http_client: Optional[AsyncHTTPClient] = None,
        on_request: Optional[Callable[[RequestEvent], object]] = None,
        on_response: Optional[Callable[[ResponseEvent], object]] = None,
        on_retry: Optional[Callable[[RetryEvent], object]] = None,
        on_wait: Optional[Callable[[WaitEvent], object]] = None,
        tracing: Union[bool, NotGiven] = NOT_GIVEN,
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name not in ("self", "config", "__class__")}
        settings = resolve_config(config, arguments)
        self._controller_transport = AsyncTransport.from_config(
            settings, str(settings.controller_url), controller_keys(settings)
        )
        self._bridge_transport: AsyncTransport = (
            AsyncUnconfiguredTransport(missing_message("bridge_url"))
            if settings.bridge_url is None
            else AsyncTransport.from_config(
                settings, settings.bridge_url, bridge_keys(settings), service=Service.BRIDGE
            )
        )
        self._capabilities = Capabilities()
        self._owns_connections = True
        self._view: FolderView | None = None
        self._make_services()

    def __repr__(self) -> str:
        folder = "" if self._view is None else f", in {self._view.folder!r}"
        servers = f"controller {self._controller_transport}, bridge {self._bridge_transport}"
        return f"<{type(self).__name__} {servers}{folder}>"

    def _make_services(self) -> None:
        controller, bridge, capabilities = self._controller_transport, self._bridge_transport, self._capabilities
        self.controller: AsyncMemoryController = AsyncMemoryController._from_transport(
            controller, capabilities, self._view
        )
        self.mcp: AsyncMCPClient = AsyncMCPClient._from_transport(controller, capabilities, self._view)
        self.bridge: AsyncBridgeClient = AsyncBridgeClient._from_transport(bridge, capabilities)

    @property
    def folder(self) -> Optional[str]:
        """The folder that this view is restricted to; None for the whole memory."""
        return None if self._view is None else self._view.folder

    def in_folder(self, folder: str, *segments: str) -> Self:
        """Return a view of this client that is restricted to a folder and its subfolders: one user's memory.

        No request is made, and closing the view closes nothing. The view stores conversations in its folder, searches
        and lists only this folder, and treats the ID of any other conversation as unknown. The guide "Users and
        folders" describes the guarantees, the unsupported methods, and the cost of each call.

        Args:
            folder: A folder below ``/``; in a view, below the folder of the view. It is not normalized: an empty name,
                ``.``, ``..`` or a trailing ``/`` is rejected.
            segments: Any non-empty texts, such as the ID of a user. Each becomes one name below the folder,
                percent-encoded if needed.

        Returns:
            The view, which has the same methods.

        Raises:
            SekhaValidationError: The folder is invalid, or a segment is empty; ``field`` is ``folder``.

        Example:
            ```python title="python -m asyncio"
            user_id = "ann@example.com"
            memory = client.in_folder("/users", user_id)
            await memory.controller.create_conversation(
                messages=[{"role": "user", "content": "I like tea."}]
            )
            results = await memory.controller.query("What does she like?")
            print([result["folder"] for result in results["results"]])  # ['/users/ann@example.com']
            ```
        """
        view = make_view(self)
        view._view, view._owns_connections = FolderView.parse(folder, segments, self._view), False
        view._make_services()
        return view

    @redact_traceback
    def with_options(
        self,
        *,
        timeout: Union[float, NotGiven, None] = NOT_GIVEN,
        max_retries: Union[int, NotGiven] = NOT_GIVEN,
        deadline: Union[float, NotGiven, None] = NOT_GIVEN,
        api_key: Optional[str] = None,
        mcp_api_key: Optional[str] = None,
        bridge_api_key: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Self:
        """Return a view of this client with other options; it shares connections, rate limit and write limit.

        Args:
            timeout: Seconds for each phase of one attempt (connect, send, wait for bytes); None means no limit.
            max_retries: Retries after a failed first attempt, 0 or more.
            deadline: Seconds for a whole call, waits and retries included; None means no limit.
            api_key: Key for the controller.
            mcp_api_key: Key for the MCP tools.
            bridge_api_key: Key for the bridge.
            headers: Headers to send in addition to those of this client.

        Returns:
            The view; closing it closes nothing.

        Raises:
            SekhaConfigError: A value is invalid.

        Example:
            ```python title="python -m asyncio"
            once = client.with_options(max_retries=0, deadline=10.0)
            print((await once.controller.health())["status"])  # healthy
            ```
        """
        options = {"timeout": timeout, "max_retries": max_retries, "deadline": deadline, "headers": headers}
        controller = self._controller_transport.with_options(**options)
        bridge = self._bridge_transport.with_options(**options)
        keys = key_overrides(api_key, mcp_api_key, bridge_api_key)
        return self._from_transports(controller.with_keys(keys), bridge.with_keys(keys))

    def _from_transports(self, controller: AsyncTransport, bridge: AsyncTransport) -> Self:
        view = make_view(self)
        view._controller_transport, view._bridge_transport, view._owns_connections = controller, bridge, False
        view._make_services()
        return view

    def _use_clock(self, clock: Clock) -> None:
        self._controller_transport.use_clock(clock)
        self._bridge_transport.use_clock(clock)

    def _start_deadline(self) -> Self:
        return self._from_transports(
            self._controller_transport.start_deadline(), self._bridge_transport.start_deadline()
        )

    async def aclose(self) -> None:
        """Close all connections; further calls do nothing. Your own ``http_client`` stays open.

        Calls in progress fail: with a `SekhaConnectionError` if they have sent a request that must not be retried, else
        with a `SekhaClosedError`. They fail immediately, or at the end of their current wait: for the rate limit, for
        the next attempt, or for a DNS lookup. Through a proxy, some calls fail only at their ``timeout``.
        """
        if self._owns_connections:
            async with AsyncExitStack() as stack:  # each is closed, even if closing the other one fails
                stack.push_async_callback(self._bridge_transport.aclose)
                stack.push_async_callback(self._controller_transport.aclose)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: Optional[type[BaseException]] = None,
        exc: Optional[BaseException] = None,
        traceback: Optional[TracebackType] = None,
    ) -> None:
        await self.aclose()


@exported_from_sekha
@redact_traceback
def create_async_sekha_client(
    config: Optional[SekhaConfig] = None, **options: Unpack[AsyncClientOptions]
) -> AsyncSekhaClient:
    """Create an `AsyncSekhaClient`; same arguments as the class.

    Args:
        config: Settings as one object.
        options: Settings by keyword, as for `AsyncSekhaClient`.

    Raises:
        SekhaConfigError: A setting is missing, invalid, or conflicts with another one.

    Example:
        ```python title="python -m asyncio"
        from sekha import create_async_sekha_client

        async with create_async_sekha_client(
            controller_url=controller_url, api_key="sk-your-api-key"
        ) as client:
            print((await client.controller.health())["status"])  # healthy
        ```
    """
    return AsyncSekhaClient(config, **options)
