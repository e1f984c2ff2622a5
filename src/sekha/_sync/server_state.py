# Generated from src/sekha/_async/server_state.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""State of a server that all its clients and views share."""

from __future__ import annotations

from contextlib import ExitStack

from sekha._api.model import Service
from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import PerProcess, Semaphore
from sekha._http.models import HTTPTransport
from sekha._http.proxies import proxy_for
from sekha._http.tls import context_for_pool, read_certificates
from sekha._transport.gates import ServerLimits
from sekha._transport.instrumentation import Instrumentation
from sekha._transport.preload import preload
from sekha._transport.rate_limit import RateLimiter, describe_limit
from sekha._transport.write_locks import WriteLocks
from sekha.config import SekhaConfig
from sekha.config._models import http_settings
from sekha.errors import SekhaClosedError

from .gates import SharedGate
from .http.pool import Pool
from .write_gate import WriteGate


class ServerState:
    """Connections, rate limit and write slots that all clients and views of one server share.

    Args:
        config: The settings.
        base_url: Address of the server.
        clock: Time and waiting.
        service: Its name in shared limits: the controller, including the MCP tools, or the bridge.
    """

    def __init__(self, config: SekhaConfig, base_url: str, clock: Clock, service: Service = Service.CONTROLLER) -> None:
        settings = http_settings(config)
        proxy = proxy_for(settings, base_url)
        settings = settings._replace(proxy=proxy.url if proxy is not None else None)
        settings = read_certificates(settings, base_url)
        self._uses_httpx: bool = proxy is not None or settings.http_client is not None
        if self._uses_httpx:
            from .http.httpx_adapter import check_client, check_proxy  # most clients do not need it

            check_client(settings.http_client)
            check_proxy(proxy)
        preload()
        self.base_url = base_url
        self.clock = clock
        self.instrumentation: Instrumentation = Instrumentation(config, base_url)
        self.rate_limiter: RateLimiter = RateLimiter(config.rate_limit_requests, config.rate_limit_window)
        self.rate_limit: str = describe_limit(config.rate_limit_requests, config.rate_limit_window)
        server = ServerLimits(
            Service.BRIDGE.value if service is Service.BRIDGE else Service.CONTROLLER.value,
            base_url,
            config.max_concurrent_writes,
            config.rate_limit_requests,
            config.rate_limit_window,
        )
        self.shared_limiter: SharedGate | None = _shared_gate("rate_limiter", config.rate_limiter, server)
        locks = WriteLocks(base_url, config.max_concurrent_writes) if config.write_gate == "shared" else None
        self.write_gate: WriteGate = WriteGate(
            config.max_concurrent_writes, locks, _shared_gate("write_gate", config.write_gate, server)
        )
        self.questions: Semaphore = Semaphore(1)
        self.max_response_bytes: int = config.max_response_bytes
        self.closed: bool = False
        self.proxy: str | None = str(proxy) if proxy is not None else None
        self._proxy = proxy
        self._settings = settings
        self._transports = PerProcess(self._make_transport)
        # Our own pool opens a connection beyond its limit for a request that must not wait; httpx cannot.
        self._transports_at_once = PerProcess(self._make_transport) if proxy is not None else self._transports

    def _make_transport(self) -> HTTPTransport:
        if self._uses_httpx:
            from .http.httpx_adapter import make_transport

            return make_transport(self._settings, self._proxy, self.base_url)
        context = context_for_pool(self._settings, self.base_url)
        return Pool(self.base_url, context, self._settings.max_connections, self.clock)

    def http_transport(self, *, sent_at_once: bool = False) -> HTTPTransport:
        """Return the HTTP transport: our own pool, or httpx.

        Args:
            sent_at_once: Whether the request must not wait for connections in use.

        Raises:
            SekhaClosedError: The client is closed.
        """
        if self.closed:
            raise SekhaClosedError("the client is closed; create a new one")
        return (self._transports_at_once if sent_at_once else self._transports).get()

    def close(self) -> None:
        """Close the connections; the user's ``http_client`` stays open."""
        self.closed = True
        self.write_gate.close()
        with ExitStack() as stack:  # each is closed, even if closing another one fails
            for transport in (self._transports.pop(), self._transports_at_once.pop()):
                if transport is not None:
                    stack.callback(transport.close)


def _shared_gate(setting: str, gate: object, server: ServerLimits) -> SharedGate | None:
    """Return the gate of a setting, None if its value is a word."""
    return None if isinstance(gate, str) else SharedGate(setting, gate, server)
