"""Streamable HTTP: the address to listen on, who may use it, and the life of the server there."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Generator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import anyio

from sekha._http.host_check import is_loopback, our_names, refuse_host

from .options import OptionError

PATH = "/mcp"
"""Path of the only endpoint."""

TOKEN_VARIABLE = "SEKHA_MCP_TOKEN"
"""The variable with the token that clients have to send."""

MIN_TOKEN = 16
"""Characters of a token at least: whoever guesses it reads the memory."""

_SHUTDOWN = 2
"""Seconds that open requests have to end when the server stops."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class HTTPOptions:
    """Where a server listens, and who may use it.

    Args:
        host: Address to listen on.
        port: Port; 0 for a free one.
        token: What clients have to send as a Bearer token; None for none, on the loopback only.
        allowed_hosts: Further names of this machine.

    Raises:
        OptionError: The address can be reached from other machines and there is no token, or a value cannot be used.
    """

    host: str
    port: int
    token: str | None = None
    allowed_hosts: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.token == "":
            raise OptionError(f"{TOKEN_VARIABLE} is empty: set it to a token, or unset it")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and " " not in self.token):
            raise OptionError(f"{TOKEN_VARIABLE} must be printable ASCII without spaces")
        if self.token is not None and len(self.token) < MIN_TOKEN:
            raise OptionError(f"{TOKEN_VARIABLE} must have {MIN_TOKEN} characters or more")
        self.names()
        if self.token is None and not is_loopback(self.host):
            raise OptionError(
                f"{self.host} can be reached from other machines: set {TOKEN_VARIABLE} to a token, which clients must "
                "then send"
            )

    def names(self) -> frozenset[str]:
        """Return the names under which clients may reach this server, besides `localhost` and addresses."""
        try:
            return our_names(self.host, self.allowed_hosts)
        except ValueError as error:
            raise OptionError(f"--allow-host: must be {error}") from None


def is_authorized(scope: Scope, token: str | None) -> bool:
    """Return whether a request has the token, if there is one; how long this takes says nothing about the token."""
    if token is None:
        return True
    sent = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, credentials = (sent[0] if len(sent) == 1 else b"").partition(b" ")
    return scheme.lower() == b"bearer" and secrets.compare_digest(credentials.strip(), token.encode())


async def serve_http(server: Any, options: HTTPOptions) -> None:
    """Serve clients until SIGTERM or SIGINT.

    Args:
        server: The server of the SDK.
        options: Where, and for whom.

    Raises:
        OSError: The address cannot be listened on.
    """
    import uvicorn
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from mcp.server.transport_security import TransportSecuritySettings

    names = options.names()
    # Host and Origin are checked below: the lists of the SDK cannot say *.localhost, nor which name was refused.
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    manager = StreamableHTTPSessionManager(server, security_settings=security)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = refuse_host(scope["headers"], names, "server")
        if refusal is not None:
            await _refuse(send, refusal.status, refusal.text)
        elif not is_authorized(scope, options.token):
            await _refuse(send, 401, "A Bearer token is required.", [(b"www-authenticate", b"Bearer")])
        elif scope["path"] != PATH:
            await _refuse(send, 404, f"The endpoint is {PATH}.")
        else:
            await manager.handle_request(scope, receive, send)

    logging.getLogger("mcp.server.streamable_http").addFilter(_is_no_end_of_a_stream)
    listener = _listen(options)
    stop = anyio.Event()

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            stop.set()  # streams that clients keep open would be waited for
            await super().shutdown(sockets)

    async def run_manager(*, task_status: Any) -> None:
        async with manager.run():
            task_status.started()
            await stop.wait()

    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=_SHUTDOWN, ws="none"
    )
    with listener:
        async with anyio.create_task_group() as tasks:
            await tasks.start(run_manager)
            host, port = listener.getsockname()[:2]
            print(f"sekha mcp: listening on http://{_in_url(host)}:{port}{PATH}; Ctrl-C stops it", file=sys.stderr)
            with _quiet_signals():
                await Server(config).serve(sockets=[listener])
            stop.set()


def _is_no_end_of_a_stream(record: logging.LogRecord) -> bool:
    """Return whether a record is about anything but a client that has closed a stream, an error for version 1."""
    return not (record.exc_info and isinstance(record.exc_info[1], anyio.ClosedResourceError))


@contextmanager
def _quiet_signals() -> Generator[None, None, None]:
    """Let the signals that stop uvicorn do nothing more: it raises them once again when it has stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _do_nothing) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _do_nothing(number: int, frame: object) -> None:
    """Be the handler of a signal."""


def _listen(options: HTTPOptions) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            options.host.strip("[]"), options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        reason = str(error) if isinstance(error, socket.gaierror) or not error.errno else os.strerror(error.errno)
        raise OSError(f"cannot listen on {options.host}, port {options.port}: {reason}") from None


def _in_url(host: str) -> str:
    """Return a host as it stands in a URL: an IPv6 address in brackets."""
    with suppress(ValueError):
        if ip_address(host).version == 6:
            return f"[{host}]"
    return host


async def _refuse(send: Send, status: int, text: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    body = text.encode()
    about = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": about})
    await send({"type": "http.response.body", "body": body})
