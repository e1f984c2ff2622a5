"""How the errors of the network become ours, whichever library raised them."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from urllib.parse import urlsplit

from sekha.errors import SekhaClosedError, SekhaConnectionError, SekhaTimeoutError

_NEVER_SENT = (
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ProxyError",
    "UnsupportedProtocol",
    "LocalProtocolError",
    "InvalidURL",
    "ConnectionNotAvailable",
)
_NETWORK_ERRORS = (
    "HTTPError",
    "InvalidURL",
    "StreamError",
    "CookieConflict",
    "TimeoutException",
    "NetworkError",
    "ProtocolError",
    "ProxyError",
    "UnsupportedProtocol",
    "ConnectionNotAvailable",
)
_PHASES = {
    "ConnectTimeout": "connecting",
    "PoolTimeout": "waiting for a free connection",
    "WriteTimeout": "sending",
    "ReadTimeout": "waiting for the answer",
}


def _error_classes(*names: str) -> tuple[type[Exception], ...]:
    """Return the classes of these names, which both httpx and httpcore have."""
    return _load_classes(names, ("httpcore", "httpx") if "httpx" in sys.modules else ("httpcore",))


@cache
def _load_classes(names: tuple[str, ...], modules: tuple[str, ...]) -> tuple[type[Exception], ...]:
    loaded = [import_module(module) for module in modules]  # only now: `import sekha` needs neither
    return tuple(getattr(module, name) for module in loaded for name in names if hasattr(module, name))


def network_errors() -> tuple[type[Exception], ...]:
    """Return the classes of errors that the network may raise, at every stage of an exchange."""
    return (*_error_classes(*_NETWORK_ERRORS), OSError)


class map_network_errors:
    """Context manager that turns every error of the network into one of ours.

    Args:
        method: HTTP method of the call.
        path: Path template of the call.
        base_url: Address of the server.
    """

    __slots__ = ("_base_url", "_method", "_path")

    def __init__(self, method: str, path: str, base_url: str) -> None:
        self._method = method
        self._path = path
        self._base_url = base_url

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(self, cls: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        """Raise our error in place of one of the network."""
        if error is None:
            return
        if isinstance(error, network_errors()):
            raise connection_error(error, self._method, self._path, self._base_url) from error
        if isinstance(error, RuntimeError) and "closed" in str(error) and "client" in str(error):
            raise SekhaClosedError("the HTTP client was closed", method=self._method, path=self._path) from error


def connection_error(error: Exception, method: str, path: str, base_url: str) -> SekhaConnectionError:
    """Return the error for a call without a response; ``sent`` is False if the server cannot have seen the request."""
    host = urlsplit(base_url).netloc
    sent = not isinstance(error, _error_classes(*_NEVER_SENT))
    cls: type[SekhaConnectionError] = SekhaConnectionError
    reason = next(filter(None, (str(one).strip() for one in _causes(error))), type(error).__name__)
    if isinstance(error, _error_classes("TimeoutException")):
        cls = SekhaTimeoutError
        reason = f"timeout while {_PHASES.get(type(error).__name__, 'waiting')}"
    elif isinstance(error, _error_classes("ConnectError")):
        reason = f"cannot connect: {reason}"
    found = cls(f"{host}: {reason}", method=method, path=path, sent=sent)
    if _is_certificate_error(error):
        found._retryable = False  # a retry gets the same certificate
    return found


def _is_certificate_error(error: BaseException) -> bool:
    return any(
        isinstance(one, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(one)
        for one in _causes(error)
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes; on trio only the last has the reason. No contexts: they may be the caller's."""
    while error is not None:
        yield error
        inner = error.args[0] if error.args else None  # errors of httpcore hold their cause in their arguments
        error = error.__cause__ or (inner if isinstance(inner, BaseException) else None)
