"""A program: calls over TLS after truststore has put its own class in the place of `ssl.SSLContext`.

    PYTHONPATH=tests python -m support.injected early https://127.0.0.1:8443 http://127.0.0.1:3128 ca.pem

It does so before the library is imported ("early"), or after a client was made ("late").
"""

from __future__ import annotations

import ssl
import sys
from importlib import import_module
from typing import Any

import anyio


async def main(*arguments: str) -> None:
    """Run the program."""
    when, url, proxy, ca = arguments
    truststore: Any = import_module("truststore")
    mine = ssl.create_default_context(cafile=ca)
    if when == "early":
        truststore.inject_into_ssl()
    sekha: Any = import_module("sekha")
    for verify in (ca, mine, False):
        for path in ("none", proxy):
            settings = {"controller_url": url, "api_key": "k", "verify": verify, "proxy": path}
            clients = sekha.SekhaClient(**settings), sekha.AsyncSekhaClient(**settings)
            if when == "late":
                truststore.inject_into_ssl()
            with clients[0] as client:
                assert client.controller.query("x")["total"] == 0
            async with clients[1] as client:
                assert (await client.controller.query("x"))["total"] == 0
            with sekha.SekhaClient(**settings) as later:
                assert later.controller.query("x")["total"] == 0
                if verify is not mine and path == "none":
                    used = later._controller_transport._state.http_transport()._ssl_context
                    assert isinstance(used, truststore.SSLContext)
            if when == "late":
                truststore.extract_from_ssl()
    sys.stdout.write("all is well\n")


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
