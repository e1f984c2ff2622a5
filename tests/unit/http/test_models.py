"""The address of a server, taken apart."""

from __future__ import annotations

import httpx
import pytest

from sekha import SekhaConfig
from sekha._http.models import origin

# ---- addresses (C10, S2) -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://localhost:8080",
        "http://LOCALHOST:80/",
        "https://Sekha.example/Prefix",
        "https://sekha.example:443/a/b;c,d/e:f@g/~h",
        "https://sekha.example:8443/a%20b/%zz/!$&'()*+=",
        "http://[::1]",
        "http://[fe80::1%25eth0]:8080/p",
        "http://127.0.0.1:65535//a",
    ],
)
def test_an_address_is_taken_apart_as_httpx_does_it(url: str) -> None:
    mine, theirs = origin(str(SekhaConfig(controller_url=url).controller_url)), httpx.URL(url)
    usual = 443 if theirs.scheme == "https" else 80
    assert (mine.scheme, mine.host, mine.port) == (theirs.scheme, theirs.raw_host.decode(), theirs.port or usual)
    assert mine.authority == theirs.netloc.decode().replace("%25eth0", "")
    assert mine.prefix == theirs.raw_path.decode().rstrip("/")
