"""Addresses of servers for models: what a URL says about the kind of the server, and where its routes begin."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, Optional
from urllib.parse import urlsplit

Kind = Literal["openai", "ollama"]

_ENDPOINTS = re.compile(r"(.*?)(?:/chat/completions|/completions|/embeddings|/models)")
_OLLAMA = re.compile(r"(.*/api)(?:/chat|/generate|/embed|/tags|/version)?")


class Address(NamedTuple):
    """The address of a server.

    `base` is what its routes begin with (`http://host:1234/v1`); without a `kind`, it is the address of the host alone,
    and the server has to be asked which kind it is.
    """

    base: str
    kind: Optional[Kind] = None

    def resolved(self, kind: Kind) -> Address:
        """Return the address of the host as that of a kind of server."""
        return Address(f"{self.base}/{'v1' if kind == 'openai' else 'api'}", kind)


def parse_address(url: str) -> Address:
    """Return the address that a URL means.

    A path that ends in `/api` is that of an Ollama, any other that of an OpenAI-compatible server. The URL of a single
    route, such as `/v1/chat/completions` or `/api/chat`, means its server.

    Raises:
        ValueError: It is no URL of a model. A URL that may hold a password or a key is not quoted.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_explain(url)) from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL of a model must have no user name and no password: a key has a setting of its own")
    for mark, name, rest in (("?", "query", parts.query), ("#", "fragment", parts.fragment)):
        if rest or url.endswith(mark):
            raise ValueError(f"the URL of a model must have no {name} (what follows {mark!r}): routes are added to it")
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or port == 0
        or re.search(r"[\s\\\x00-\x1f\x7f]", url)
    ):
        raise ValueError(_explain(url))
    root, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    endpoint = _ENDPOINTS.fullmatch(path)
    if endpoint:
        return Address(root + endpoint[1].rstrip("/"), "openai")
    ollama = _OLLAMA.fullmatch(path)
    if ollama:
        return Address(root + ollama[1], "ollama")
    return Address(root + path, "openai" if path else None)


def _explain(url: str) -> str:
    shown = f", not {url!r}" if not re.search("[@?#]", url) else ""
    return f"the URL of a model must look like http://host:port/v1{shown}"
