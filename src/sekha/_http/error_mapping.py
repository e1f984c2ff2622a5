"""How the errors of the network become ours, whichever library raised them."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple
from urllib.parse import urlsplit

from sekha._http.models import DeadlinePassed, HTTPRequest, OtherProtocolError
from sekha.errors import SekhaAPIError, SekhaClosedError, SekhaConnectionError, SekhaError, SekhaTimeoutError

ErrorClasses = tuple[type[Exception], ...]

_CERTIFICATE_ALERTS = ("CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_ACCESS_DENIED", "ALERT_HANDSHAKE_FAILURE")
"""Words of OpenSSL for alerts of TLS about the certificate of the client, or that there is none."""

_FINAL_SOCKS_REPLIES = ("Invalid username", "Requested", "not allowed", "not supported", "not SOCKS5")
"""Words of httpcore, and of our adapter, for a SOCKS proxy that will say the same again."""


class _Classes(NamedTuple):
    """The errors of the libraries below, by what they say about a call.

    Our own pool raises those of the system, and notes in the request how far it came; httpx has a class for each phase.

    Attributes:
        network: All that may be raised, at every stage of an exchange.
        not_sent: The server cannot have seen the request.
        connect: There was no connection.
        timeouts: Timeouts, with the phase that each ended.
        proxy: A proxy refused, or did not reach the server.
    """

    network: ErrorClasses = (OSError,)
    not_sent: ErrorClasses = ()
    connect: ErrorClasses = ()
    timeouts: tuple[tuple[type[Exception], str], ...] = ()
    proxy: ErrorClasses = ()


@cache
def _classes(httpx_is_loaded: bool, httpcore_is_loaded: bool) -> _Classes:
    """Return the classes of errors; a library that is not in use is not imported for its own."""
    found = _Classes()
    if httpcore_is_loaded:
        import httpcore

        found = _Classes(
            network=(
                *found.network,
                httpcore.TimeoutException,
                httpcore.NetworkError,
                httpcore.ProtocolError,
                httpcore.ProxyError,
                httpcore.UnsupportedProtocol,
                httpcore.ConnectionNotAvailable,
            ),
            not_sent=(
                httpcore.ConnectError,
                httpcore.ConnectTimeout,
                httpcore.PoolTimeout,
                httpcore.ProxyError,
                httpcore.UnsupportedProtocol,
                httpcore.LocalProtocolError,
                httpcore.ConnectionNotAvailable,
            ),
            connect=(httpcore.ConnectError,),
            timeouts=(
                (httpcore.ConnectTimeout, "connecting"),
                (httpcore.PoolTimeout, "waiting for a free connection"),
                (httpcore.WriteTimeout, "sending"),
                (httpcore.ReadTimeout, "waiting for the response"),
                (httpcore.TimeoutException, "waiting"),
            ),
            proxy=(httpcore.ProxyError,),
        )
    if not httpx_is_loaded:
        return found

    import httpx

    return _Classes(
        network=(*found.network, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict),
        not_sent=(
            *found.not_sent,
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.PoolTimeout,
            httpx.ProxyError,
            httpx.UnsupportedProtocol,
            httpx.LocalProtocolError,
            httpx.InvalidURL,
        ),
        connect=(*found.connect, httpx.ConnectError),
        timeouts=(
            *found.timeouts,
            (httpx.ConnectTimeout, "connecting"),
            (httpx.PoolTimeout, "waiting for a free connection"),
            (httpx.WriteTimeout, "sending"),
            (httpx.ReadTimeout, "waiting for the response"),
            (httpx.TimeoutException, "waiting"),
        ),
        proxy=(*found.proxy, httpx.ProxyError),
    )


def _loaded_classes() -> _Classes:
    return _classes("httpx" in sys.modules, "httpcore" in sys.modules)


def network_errors() -> ErrorClasses:
    """Return the classes of errors that the network may raise, at every stage of an exchange."""
    return _loaded_classes().network


def is_timeout(error: BaseException) -> bool:
    """Return whether a timeout of ours ended a wait; the system has timeouts of its own, which have a number."""
    timeouts = tuple(cls for cls, _ in _loaded_classes().timeouts)
    return isinstance(error, timeouts) or (isinstance(error, TimeoutError) and error.errno is None)


class map_network_errors:
    """Context manager that turns every error of the network into one of ours.

    Args:
        request: The attempt.
        path: Path template of the call.
    """

    __slots__ = ("_path", "_request")

    def __init__(self, request: HTTPRequest, path: str) -> None:
        self._request = request
        self._path = path

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(self, cls: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        """Raise our error in place of one of the network."""
        if error is None:
            return
        if isinstance(error, network_errors()):
            raise connection_error(error, self._request, self._path) from error
        if not isinstance(error, RuntimeError):
            return
        if "closed" in str(error) and "client" in str(error):
            raise SekhaClosedError(
                "the HTTP client was closed", method=self._request.method, path=self._path
            ) from error
        if "interpreter shutdown" in str(error):  # no thread can be started, such as for looking up a name
            raise _exit_error(self._request, self._path) from error


def connection_error(error: Exception, request: HTTPRequest, path: str) -> SekhaConnectionError:
    """Return the error for a call without a response; ``sent`` is False if the server cannot have seen the request."""
    classes, phase = _loaded_classes(), request.phase
    server = urlsplit(request.base_url).netloc
    if request.proxy is not None:
        server = f"{server} through the proxy {request.proxy}"
    refused_by_tls = any(_is_certificate_alert(one) for one in _causes(error))
    is_unread = refused_by_tls or isinstance(error, (*classes.not_sent, OtherProtocolError))
    sent = request.may_have_been_sent and not is_unread
    reason = next(filter(None, (str(one).strip() for one in _causes(error))), type(error).__name__)
    timed_out: str | None = phase if isinstance(error, TimeoutError) and error.errno is None else None
    timed_out = next((name for timeout, name in classes.timeouts if isinstance(error, timeout)), timed_out)
    cls: type[SekhaConnectionError] = SekhaConnectionError
    if timed_out is not None:
        cls = SekhaTimeoutError
        reason = f"timeout while {phase or timed_out}"
    elif isinstance(error, classes.proxy):
        reason = f"the proxy responded {reason}"
    elif phase == "connecting" or isinstance(error, (*classes.connect, OtherProtocolError)) or refused_by_tls:
        hint = " (it does not speak TLS; is its address http://?)" if "WRONG_VERSION_NUMBER" in reason else ""
        reason = f"cannot connect: {reason}{hint}"
    found = cls(f"{server}: {reason}", method=request.method, path=path, sent=sent)
    if isinstance(error, DeadlinePassed) or (timed_out is not None and request.ends_at_deadline(timed_out)):
        found._at_deadline, found._retryable = True, False
    is_final = refused_by_tls or any(_is_final(one) for one in _causes(error))
    if is_final or (isinstance(error, classes.proxy) and not _may_pass_later(str(error))):
        found._retryable = False  # a retry gets the same certificate, the same protocol, or the same refusal
    if timed_out is not None and (phase or timed_out) == "waiting for a free connection":
        found._asked = False
    return found


def _exit_error(request: HTTPRequest, path: str) -> SekhaConnectionError:
    """Return the error for a call that Python cannot make any more, since it is about to exit."""
    host, sent = urlsplit(request.base_url).netloc, request.phase in ("sending", "waiting for the response")
    found = SekhaConnectionError(
        f"{host}: cannot connect: Python is exiting and cannot start threads",
        method=request.method,
        path=path,
        sent=sent,
    )
    found._retryable, found._asked = False, sent
    return found


def name_proxy(error: SekhaError, proxy: str | None) -> None:
    """Add to an error that there is a proxy, where the error may be that of the proxy and does not say so.

    Args:
        error: A connection error, or the error for a response that is no JSON: pages are not Sekha's.
        proxy: The proxy in the words of errors; None if there is none.
    """
    from_proxy = isinstance(error, SekhaConnectionError) or (
        isinstance(error, SekhaAPIError) and error.sent and (error.body or "").lstrip()[:1] not in ("{", "[")
    )
    if proxy is not None and from_proxy and "through the proxy" not in error.message:
        error.message = f"{error.message} (through the proxy {proxy})"


def _may_pass_later(answer: str) -> bool:
    """Return whether a proxy may let the next attempt pass: it did not reach the server this time.

    Every other refusal is final: a password that is sent again and again may lock the account.

    Args:
        answer: Status and reason of the response to CONNECT, or httpcore's words for an answer of SOCKS.
    """
    if answer[:1].isdigit():
        return answer[:3] in ("500", "502", "503", "504")
    return not any(words in answer for words in _FINAL_SOCKS_REPLIES)


def _is_final(error: BaseException) -> bool:
    final = (ssl.SSLCertVerificationError, OtherProtocolError)
    return isinstance(error, final) or "CERTIFICATE_VERIFY_FAILED" in str(error)


def _is_certificate_alert(error: BaseException) -> bool:
    """Return whether the server refused the handshake, most often because of the client's certificate.

    In TLS 1.3 the client learns it after its handshake, when the request is on its way; the server has not read it.
    """
    reason = str(error).upper().replace(" ", "_")
    return "_ALERT_" in reason and any(word in reason for word in _CERTIFICATE_ALERTS)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes; on trio only the last has the reason. No contexts: they may be the caller's."""
    while error is not None:
        yield error
        inner = error.args[0] if error.args else None  # errors of httpcore hold their cause in their arguments
        error = error.__cause__ or (inner if isinstance(inner, BaseException) else None)
