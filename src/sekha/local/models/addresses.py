"""URLs of model servers: the kind of the server, and the base of its routes."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, Optional
from urllib.parse import urlsplit

Kind = Literal["openai", "ollama"]

_ENDPOINTS = re.compile(r"(.*?)(?:/chat/completions|/completions|/embeddings|/models)")
_OLLAMA = re.compile(r"(.*/api)(?:/chat|/generate|/embed|/tags|/version)?")


class Address(NamedTuple):
    """The address of a server.

    `base` is the common prefix of its routes (`http://host:1234/v1`). Without a `kind`, it is the URL of the host only,
    and the kind has to be detected with a request.
    """

    base: str
    kind: Optional[Kind] = None

    def resolved(self, kind: Kind) -> Address:
        """Return the address for a kind of server on this host."""
        return Address(f"{self.base}/{'v1' if kind == 'openai' else 'api'}", kind)


def parse_address(url: str) -> Address:
    """Parse the URL of a model server.

    A path that ends in `/api` selects Ollama, any other path an OpenAI-compatible server. The URL of a single route,
    such as `/v1/chat/completions` or `/api/chat`, is accepted for its server.

    Raises:
        ValueError: The URL is not valid. The message does not contain a URL that may include a password or a key.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_explain(url)) from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL of a model must not contain a user name or password: use the setting for its key")
    for mark, name, rest in (("?", "query", parts.query), ("#", "fragment", parts.fragment)):
        if rest or url.endswith(mark):
            raise ValueError(f"the URL of a model must not contain a {name} ({mark!r}): routes are appended to it")
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
