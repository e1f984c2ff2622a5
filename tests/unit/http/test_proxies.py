"""Whether httpx has to keep the connections."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from sekha._http.models import HTTPSettings
from sekha._http.proxies import needs_httpx

SETTINGS = HTTPSettings(True, None, None, True, 10, None)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="the system's own settings count there")
@pytest.mark.parametrize(
    ("changes", "variables", "needed"),
    [
        ({}, {}, False),
        ({"proxy": "http://localhost:3128"}, {}, True),
        ({"http_client": object()}, {}, True),
        ({}, {"HTTP_PROXY": "http://localhost:3128"}, True),
        ({}, {"https_proxy": "http://localhost:3128"}, True),
        ({}, {"NO_PROXY": "localhost"}, False),
        ({"trust_env": False}, {"HTTP_PROXY": "http://localhost:3128"}, False),
    ],
)
def test_a_proxy_or_a_client_of_the_user_needs_httpx(
    changes: Any, variables: Any, needed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert needs_httpx(SETTINGS._replace(**changes)) is needed
