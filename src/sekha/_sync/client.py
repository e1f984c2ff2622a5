# Generated from src/sekha/_async/client.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""One client for everything: controller, bridge and MCP tools, and the workflows that combine them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from ssl import SSLContext
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Optional, Union

from typing_extensions import Self, Unpack

from sekha._api.compat.capabilities import Capabilities
from sekha._api.folder_view import FolderView
from sekha._api.model import Service
from sekha._concurrency.clock import Clock
from sekha._concurrency.process_bound import make_view
from sekha._http.models import HTTPClient
from sekha._transport.options import bridge_keys, controller_keys, key_overrides
from sekha._utils.public import exported_from_sekha
from sekha._utils.redaction import redact_traceback
from sekha._utils.sentinel import NOT_GIVEN, NotGiven
from sekha.config import SekhaConfig
from sekha.config._models import StrPath
from sekha.config._resolve import missing_message, resolve_config
from sekha.events import RequestEvent, ResponseEvent, RetryEvent, WaitEvent
from sekha.gates import ClientGate

from .base import ClientOptions
from .bridge import BridgeClient
from .controller.client import MemoryController
from .mcp import MCPClient
from .transport import Transport, UnconfiguredTransport
from .workflows import Workflows


@exported_from_sekha
class SekhaClient(Workflows):
    """A client of a whole Sekha. Make one for a process, and close it in the end.

    Settings come from the arguments, else from ``config``, else from the environment, else from the defaults; see
    `sekha.SekhaConfig` for what each means.

    Args:
        config: Settings as one object.
        controller_url: Address of the controller; else ``SEKHA_CONTROLLER_URL``.
        api_key: Key for the controller; else ``SEKHA_API_KEY``.
        bridge_url: Address of the LLM bridge; else ``SEKHA_BRIDGE_URL``. Without it, only bridge calls fail.
        bridge_api_key: Key for the bridge; none is sent to it otherwise.
        mcp_api_key: Key for the controller's MCP tools, where it differs from ``api_key``.
        timeout: Seconds for each of connecting, sending, and waiting for the next bytes of one attempt; None means
            no limit. Not given: 30, but 300 to wait for models and embedders.
        max_retries: Repetitions after a first attempt that failed in a repeatable way, 0 or more; default 3.
        deadline: Seconds that a whole call may take, waits and repetitions included; default None, no limit.
        rate_limit_requests: Requests to one server in any window; default 1000. None, or "none", means no limit.
        rate_limit_window: Length of that window in seconds; default 60.
        max_connections: Connections to one server; default 100.
        max_concurrent_writes: Conversations stored at the same time; default 4.
        write_gate: Who shares that number: "shared", the processes of this user on this machine; "process", the threads
            and tasks of one client; or a gate (`sekha.gates`), such as that of several machines; default shared.
        rate_limiter: Who shares ``rate_limit_requests``: "process", one client in one process; or a gate, such as that
            of several machines; default process.
        max_response_bytes: Longest answer that is read, in bytes; default 64 MiB.
        verify: TLS: True, a path to a CA file or folder, or an `ssl.SSLContext`; False checks nothing.
        cert: Client certificate: a path, or (certificate, key) paths, or with the key's password if it has one.
        proxy: Address of a proxy for every server; "none" connects directly, whatever the environment says.
        trust_env: Whether proxy and certificate settings of environment and system apply; default True.
        headers: Further headers for every request.
        http_client: An httpx client of yours to send with; it is not closed by us.
        on_request: Called with a `RequestEvent` when an attempt begins; must be quick and not wait.
        on_response: Called with a `ResponseEvent` when an attempt has an answer or an error.
        on_retry: Called with a `RetryEvent` before the wait for another attempt.
        on_wait: Called with a `WaitEvent` when a call has to wait before it is sent.
        tracing: Whether there are OpenTelemetry spans where ``opentelemetry-api`` is installed; default True.

    Attributes:
        controller: Conversations and what is remembered of them (`MemoryController`).
        bridge: Chat completions and embeddings (`BridgeClient`).
        mcp: The MCP tools (`MCPClient`).

    Raises:
        SekhaConfigError: A setting is missing, cannot be used, or contradicts another.

    Example:
        ```python
        from sekha import SekhaClient

        with SekhaClient(
            controller_url=controller_url, api_key="sk-your-api-key", bridge_url=bridge_url
        ) as client:
            client.controller.create_conversation(messages=[{"role": "user", "content": "Hello Sekha!"}])
        ```
    """

    if not TYPE_CHECKING:  # `create_autospec` takes a class for the spec of what its instances have under this name
        controller, bridge, mcp = MemoryController, BridgeClient, MCPClient

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
        write_gate: Union[Literal["shared", "process"], ClientGate, NotGiven] = NOT_GIVEN,
        rate_limiter: Union[Literal["process"], ClientGate, NotGiven] = NOT_GIVEN,
        max_response_bytes: Union[int, NotGiven] = NOT_GIVEN,
        verify: Union[bool, StrPath, SSLContext, NotGiven] = NOT_GIVEN,
        cert: Union[StrPath, Sequence[StrPath], NotGiven, None] = NOT_GIVEN,
        proxy: Optional[str] = None,
        trust_env: Union[bool, NotGiven] = NOT_GIVEN,
        headers: Optional[Mapping[str, str]] = None,
        http_client: Optional[HTTPClient] = None,
        on_request: Optional[Callable[[RequestEvent], object]] = None,
        on_response: Optional[Callable[[ResponseEvent], object]] = None,
        on_retry: Optional[Callable[[RetryEvent], object]] = None,
        on_wait: Optional[Callable[[WaitEvent], object]] = None,
        tracing: Union[bool, NotGiven] = NOT_GIVEN,
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name not in ("self", "config", "__class__")}
        settings = resolve_config(config, arguments)
        self._controller_transport = Transport.from_config(
            settings, str(settings.controller_url), controller_keys(settings)
        )
        self._bridge_transport: Transport = (
            UnconfiguredTransport(missing_message("bridge_url"))
            if settings.bridge_url is None
            else Transport.from_config(
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
        self.controller: MemoryController = MemoryController._from_transport(
            controller, capabilities, self._view
        )
        self.mcp: MCPClient = MCPClient._from_transport(controller, capabilities, self._view)
        self.bridge: BridgeClient = BridgeClient._from_transport(bridge, capabilities)

    @property
    def folder(self) -> Optional[str]:
        """The folder that this view is confined to; None for the whole memory."""
        return None if self._view is None else self._view.folder

    def in_folder(self, folder: str, *segments: str) -> Self:
        """A view of this client that sees and changes only what is in a folder and below it: one user's memory.

        No request is made; closing the view closes nothing. What is stored through it goes into its folder, every
        search and list stays in it, and the id of a conversation elsewhere is unknown. What it is a wall against, what
        it refuses and what its calls cost is in the guide, under "One memory per user".

        Args:
            folder: A folder below ``/``; in a view, below the folder of that. It is not brought into one form: an
                empty name, ``.``, ``..`` or a ``/`` at its end is refused.
            segments: Any texts that are not empty, such as the id of a user. Each becomes one name below the folder,
                percent-encoded where needed.

        Returns:
            The view, a client with the same methods.

        Raises:
            SekhaValidationError: The folder is not one, or a segment is empty; ``field`` is ``folder``.

        Example:
            ```python
            user_id = "ann@example.com"
            memory = client.in_folder("/users", user_id)
            memory.controller.create_conversation(messages=[{"role": "user", "content": "I like tea."}])
            results = memory.controller.query("What does she like?")
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
        """A view of this client with other options; it shares connections, limiter and write cap.

        Args:
            timeout: Seconds for each phase of one attempt; None means no limit.
            max_retries: Repetitions after a first attempt, 0 or more.
            deadline: Seconds that a whole call may take; None means no limit.
            api_key: Key for the controller.
            mcp_api_key: Key for the MCP tools.
            bridge_api_key: Key for the bridge.
            headers: Headers to send besides those of this client.

        Returns:
            The view; closing it closes nothing.

        Raises:
            SekhaConfigError: A value cannot be used.

        Example:
            ```python
            once = client.with_options(max_retries=0, deadline=10.0)
            print((once.controller.health())["status"])  # healthy
            ```
        """
        options = {"timeout": timeout, "max_retries": max_retries, "deadline": deadline, "headers": headers}
        controller = self._controller_transport.with_options(**options)
        bridge = self._bridge_transport.with_options(**options)
        keys = key_overrides(api_key, mcp_api_key, bridge_api_key)
        return self._from_transports(controller.with_keys(keys), bridge.with_keys(keys))

    def _from_transports(self, controller: Transport, bridge: Transport) -> Self:
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

    def close(self) -> None:
        """Close all connections; calling it again does nothing. A client of yours (``http_client``) stays open.

        Calls that are under way fail: with a `SekhaConnectionError` if they have sent a request that must not be
        repeated, else with a `SekhaClosedError`. They do so at once, or when what they wait for is over: the rate
        limit, the time until the next attempt, the lookup of a host. Through a proxy, some end by their ``timeout``.
        """
        if self._owns_connections:
            with ExitStack() as stack:  # each is closed, whatever becomes of the other
                stack.callback(self._bridge_transport.close)
                stack.callback(self._controller_transport.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]] = None,
        exc: Optional[BaseException] = None,
        traceback: Optional[TracebackType] = None,
    ) -> None:
        self.close()


@exported_from_sekha
@redact_traceback
def create_sekha_client(
    config: Optional[SekhaConfig] = None, **options: Unpack[ClientOptions]
) -> SekhaClient:
    """The same as `SekhaClient`, as a function.

    Args:
        config: Settings as one object.
        options: Settings by keyword, as for `SekhaClient`.

    Raises:
        SekhaConfigError: A setting is missing, cannot be used, or contradicts another.

    Example:
        ```python
        from sekha import create_sekha_client

        with create_sekha_client(controller_url=controller_url, api_key="sk-your-api-key") as client:
            print((client.controller.health())["status"])  # healthy
        ```
    """
    return SekhaClient(config, **options)
