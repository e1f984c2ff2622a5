"""TLS: certificates are read when a client is made, once for all clients with the same settings."""

from __future__ import annotations

import os
import ssl
from functools import cache
from urllib.parse import urlsplit

from sekha._http.models import HTTPSettings
from sekha.errors import SekhaConfigError


def read_certificates(settings: HTTPSettings, base_url: str) -> None:
    """Read the certificates that connecting will need, so that an error comes now and not with the first call.

    Raises:
        SekhaConfigError: The CA or client certificate cannot be read.
    """
    if settings.http_client is None and (settings.proxy or urlsplit(base_url).scheme == "https"):
        ssl_context(settings, base_url)


def context_for_pool(settings: HTTPSettings, base_url: str) -> ssl.SSLContext | None:
    """Return the context for TLS with a server; None for plain HTTP."""
    if urlsplit(base_url).scheme == "http":
        return None
    context = ssl_context(settings, base_url)
    context.set_alpn_protocols(["http/1.1"])
    return context


def ssl_context(settings: HTTPSettings, base_url: str) -> ssl.SSLContext:
    """Return the context that httpx and our pool connect with.

    Raises:
        SekhaConfigError: The CA or client certificate cannot be read.
    """
    if isinstance(settings.verify, ssl.SSLContext):
        return settings.verify
    if urlsplit(base_url).scheme == "http" and not settings.proxy:
        return _no_tls()
    cert = (settings.cert,) if isinstance(settings.cert, str) else settings.cert
    try:
        return _shared_context(settings.verify, cert, settings.trust_env)
    except (OSError, ssl.SSLError) as error:
        raise SekhaConfigError(f"verify or cert: a certificate file cannot be used: {error}") from error


@cache
def _no_tls() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts no certificate and has read no file


@cache
def _shared_context(verify: bool | str, cert: tuple[str, ...] | None, trust_env: bool) -> ssl.SSLContext:
    """Return one context for all clients with the same settings: the CA file is read once."""
    if verify is True:
        file, folder = _default_authorities(trust_env)
        context = ssl.create_default_context(cafile=file, capath=folder)
    elif verify is False:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif os.path.isdir(verify):
        context = ssl.create_default_context(capath=verify)
    else:
        context = ssl.create_default_context(cafile=verify)
    if cert is not None:
        context.load_cert_chain(*cert)
    return context


def _default_authorities(trust_env: bool) -> tuple[str | None, str | None]:
    """Return the file or the folder with the CA certificates: of the environment, or Mozilla's, as httpx chooses."""
    if trust_env and (file := os.environ.get("SSL_CERT_FILE")):
        return file, None
    if trust_env and (folder := os.environ.get("SSL_CERT_DIR")):
        return None, folder
    import certifi  # plain HTTP does without it

    return certifi.where(), None
