"""TLS: certificates are read when a client is made, once for all clients with the same settings and the same files."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sekha._http.models import HTTPSettings, OtherProtocolError
from sekha.errors import SekhaConfigError


class _Authorities(NamedTuple):
    """Where the certificates are that servers are checked against.

    Attributes:
        name: What named it, for errors: ``verify``, or a variable of the environment.
        file: Path of a file, or None.
        folder: Path of a folder, or of several as OpenSSL separates them, or None.
    """

    name: str
    file: str | None
    folder: str | None


class _Stamp(NamedTuple):
    """What shows that a file was replaced or written to."""

    path: str
    modified_at: int
    size: int
    inode: int


def read_certificates(settings: HTTPSettings, base_url: str) -> HTTPSettings:
    """Read the certificates that connecting will need, so that an error comes now and not with the first call.

    Returns:
        The settings, with the context as ``verify``, so that later changes of the files have no effect.

    Raises:
        SekhaConfigError: A certificate or a key cannot be used; the message names its file and its setting.
    """
    if settings.http_client is None and (settings.proxy or urlsplit(base_url).scheme == "https"):
        return settings._replace(verify=ssl_context(settings, base_url))
    return settings


def context_for_pool(settings: HTTPSettings, base_url: str) -> ssl.SSLContext | None:
    """Return the context for TLS with a server; None for plain HTTP."""
    return None if urlsplit(base_url).scheme == "http" else ssl_context(settings, base_url)


def context_for_httpx(settings: HTTPSettings, base_url: str) -> ssl.SSLContext:
    """Return a context that httpx cannot change: it would set the protocols of the context that it is given."""
    return _Unchanged(ssl_context(settings, base_url))


def ssl_context(settings: HTTPSettings, base_url: str) -> ssl.SSLContext:
    """Return the context to connect with; one that the user passes is returned as it is.

    Raises:
        SekhaConfigError: A certificate or a key cannot be used.
    """
    verify = settings.verify
    if not isinstance(verify, (bool, str)):  # `ssl.SSLContext` may have been replaced after the context was made
        return verify
    if urlsplit(base_url).scheme == "http" and not settings.proxy:
        return _no_tls()
    cert = (settings.cert,) if isinstance(settings.cert, str) else settings.cert
    authorities = _authorities(verify, settings.trust_env)
    stamps = (*_stamps_of_authorities(authorities), *_stamps("cert", (cert or ())[:2]))
    return _shared_context(ssl.SSLContext, authorities, cert, stamps)


def require_http11(protocol: str | None) -> None:
    """Refuse a protocol that a server has chosen, if it is one that we do not speak.

    Raises:
        OtherProtocolError: It is neither HTTP/1.1 nor unsaid.
    """
    if protocol is not None and not protocol.startswith("http/1."):
        raise OtherProtocolError(
            f"the server chose the protocol {protocol}, which the ssl.SSLContext passed as verify offers; call "
            'set_alpn_protocols(["http/1.1"]) on it, or set no protocols'
        )


@cache
def _no_tls() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts no certificate and has read no file


@lru_cache(maxsize=32)
def _shared_context(
    cls: type[ssl.SSLContext],
    authorities: _Authorities | None,
    cert: tuple[str, ...] | None,
    stamps: tuple[_Stamp, ...],
) -> ssl.SSLContext:
    """Return one context for all clients with the same settings, as long as their files stay the same.

    The class is an argument because truststore and gevent replace it: the next client has a context of the new one.
    """
    if authorities is None:
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = _with_authorities(*authorities)
    if cert is not None:
        _load_cert(context, *cert)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _authorities(verify: bool | str, trust_env: bool) -> _Authorities | None:
    """Return where the CA certificates are, None if none are needed: Mozilla's unless something names others."""
    if verify is False:
        return None
    if isinstance(verify, str):
        return _Authorities("verify", None, verify) if os.path.isdir(verify) else _Authorities("verify", verify, None)
    if trust_env and (file := os.environ.get("SSL_CERT_FILE")):
        return _Authorities("SSL_CERT_FILE", file, None)
    if trust_env and (folder := os.environ.get("SSL_CERT_DIR")):
        return _Authorities("SSL_CERT_DIR", None, folder)
    import certifi  # plain HTTP does without it

    return _Authorities("certifi", certifi.where(), None)


def _with_authorities(name: str, file: str | None, folder: str | None) -> ssl.SSLContext:
    _require_readable(name, file)
    try:
        return ssl.create_default_context(cafile=file, capath=folder)
    except ssl.SSLError as error:
        raise SekhaConfigError(f"{name}={file}: it contains no valid PEM certificate") from error
    except (OSError, ValueError) as error:
        raise _file_error(name, file or folder or "", error) from error


def _load_cert(context: ssl.SSLContext, cert: str, key: str | None = None, password: str | None = None) -> None:
    """Load a client certificate; OpenSSL would ask for a password on the terminal."""
    asked: list[bool] = []

    def get_password() -> str:
        asked.append(True)
        if password is None:
            raise SekhaConfigError(
                f"cert={key or cert}: the key is encrypted; pass its password: cert=(certificate, key, password)"
            )
        return password

    _require_readable("cert", cert, key)
    try:
        context.load_cert_chain(cert, key, get_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            problem = f"cert={key or cert}: the key does not belong to the certificate"
        elif asked:
            problem = f"cert={key or cert}: the password does not decrypt the key"
        else:
            files = cert if key is None else f"{cert}, {key}"
            problem = f"cert={files}: no valid PEM certificate and key"
        raise SekhaConfigError(problem) from error
    except (OSError, ValueError) as error:  # a password that is too long is a ValueError, whose text does not show it
        raise _file_error("cert", key or cert, error) from error


def _stamps_of_authorities(authorities: _Authorities | None) -> Iterator[_Stamp]:
    if authorities is None:
        return
    name, file, folders = authorities
    if file is not None:
        yield from _stamps(name, (file,))
    elif folders is not None:
        existing = [folder for folder in folders.split(os.pathsep) if os.path.isdir(folder)]
        if not existing:  # OpenSSL would silently trust nobody
            raise SekhaConfigError(f"{name}={folders}: no such folder")
        for folder in existing:
            yield from _stamps(name, (folder, *_entries(name, folder)))


def _entries(name: str, folder: str) -> list[str]:
    try:
        found = (os.path.join(folder, entry) for entry in sorted(os.listdir(folder)))
        return [path for path in found if os.path.exists(path)]  # no links to nowhere
    except OSError as error:
        raise _file_error(name, folder, error) from error


def _stamps(name: str, paths: Iterable[str]) -> Iterator[_Stamp]:
    """Yield the stamps of files, which the setting or variable of this name has named."""
    for path in paths:
        try:
            found = os.stat(path)
        except (OSError, ValueError) as error:
            raise _file_error(name, path, error) from error
        yield _Stamp(path, found.st_mtime_ns, found.st_size, found.st_ino)


def _require_readable(name: str, *paths: str | None) -> None:
    """Raise an error that names the file if one cannot be read: OpenSSL would not say which."""
    for path in filter(None, paths):
        try:
            with open(path, "rb"):
                continue
        except OSError as error:
            raise _file_error(name, path, error) from error


def _file_error(name: str, path: str, error: Exception) -> SekhaConfigError:
    """Return the error for a file that cannot be read, with its name and that of the setting."""
    reason = "no such file" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", None) or str(error)
    return SekhaConfigError(f"{name}={path}: {reason}")


class _Unchanged(ssl.SSLContext):
    """Stands for a context where a library would set protocols of the one that it is given, and checks the chosen."""

    def __new__(cls, context: ssl.SSLContext) -> _Unchanged:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Do nothing: the context that it stands for keeps its own."""

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """Speak TLS by the context that it stands for."""
        tls = self._context.wrap_socket(*arguments, **options)
        try:
            require_http11(tls.selected_alpn_protocol())
        except OtherProtocolError:
            tls.close()
            raise
        return tls

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """Speak TLS by the context that it stands for."""
        tls = self._context.wrap_bio(*arguments, **options)
        handshake = tls.do_handshake

        def do_handshake() -> None:
            handshake()
            require_http11(tls.selected_alpn_protocol())

        tls.do_handshake = do_handshake  # type: ignore[method-assign]  # a subclass is chosen by the user's context
        return tls
