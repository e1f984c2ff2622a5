"""A long request that nginx refuses early, as the system's package has it; without it, the tests are skipped."""

from __future__ import annotations

from typing import Any, Iterator

import anyio
import pytest

from sekha import AsyncSekhaClient, SekhaClient, SekhaValidationError
from support.certificates import Certificates
from support.programs import free_ports, program, running

NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 1m;
    lingering_close {lingering};
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.pem;
        location / {{ return 200; }}
        location /api {{ proxy_pass http://127.0.0.1:9; }}
    }}
}}
"""


@pytest.fixture(scope="module", params=["on", "off"], ids=["lingers", "does not linger"])
def nginx(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The addresses of an nginx that takes bodies up to 1 MB, and the CA of its certificate."""
    path, folder = program("nginx"), tmp_path_factory.mktemp("nginx")
    certificates = Certificates(folder)
    certificates.write_server("server.pem")
    plain, tls = free_ports(2)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, plain=plain, tls=tls, lingering=request.param))
    with running([path, "-c", str(config), "-e", str(folder / "log"), "-p", str(folder)], [plain, tls]):
        yield {"plain": f"http://127.0.0.1:{plain}", "tls": f"https://127.0.0.1:{tls}"}, certificates.ca


def check(error: SekhaValidationError) -> None:
    assert (error.status_code, error.attempts) == (413, 1)
    assert (error.sent, error.may_have_been_applied) == (True, False)


@pytest.mark.slow
@pytest.mark.promise("C7", "R1", "W2")
@pytest.mark.parametrize("size", [1_100_000, 16_000_000])
@pytest.mark.parametrize("deadline", [None, 20.0])
@pytest.mark.parametrize("scheme", ["plain", "tls"])
def test_a_conversation_that_is_too_long_for_nginx(scheme: str, deadline: float, size: int, nginx: Any) -> None:
    urls, ca = nginx
    options: Any = {"controller_url": urls[scheme], "api_key": "k", "verify": ca, "deadline": deadline, "timeout": 20.0}
    messages: Any = [{"role": "user", "content": "x" * size}]

    async def ask() -> None:
        async with AsyncSekhaClient(**options) as client:
            with pytest.raises(SekhaValidationError) as caught:
                await client.controller.create_conversation(messages=messages)
            check(caught.value)

    for backend in ("asyncio", "trio"):
        anyio.run(ask, backend=backend)
    with SekhaClient(**options) as client, pytest.raises(SekhaValidationError) as caught:
        client.controller.create_conversation(messages=messages)
    check(caught.value)
