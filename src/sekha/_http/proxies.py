"""Whether a proxy applies, so that httpx has to keep the connections."""

from __future__ import annotations

import os
import sys

from sekha._http.models import HTTPSettings


def needs_httpx(settings: HTTPSettings) -> bool:
    """Return whether httpx has to keep the connections: because of a proxy, or with a client of the user."""
    return settings.http_client is not None or settings.proxy is not None or _environment_proxies(settings)


def _environment_proxies(settings: HTTPSettings) -> bool:
    """Return whether the environment may name a proxy for some server; httpx finds out for which."""
    if not settings.trust_env:
        return False
    if sys.platform not in ("darwin", "win32") and not any(name.lower().endswith("_proxy") for name in os.environ):
        return False  # on other systems nothing else names one
    from urllib.request import getproxies  # imports much

    return bool(getproxies().keys() - {"no"})
