"""What a review with fresh eyes found, so that it stays mended."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Dict, List

import pytest

from sekha import SekhaClient, SekhaConfig, SekhaConfigError, SekhaValidationError
from sekha._api.validation import to_jsonable
from sekha._concurrency.primitives import AsyncPerLoop
from sekha._concurrency.tasks import gather
from sekha._transport.rate_limit import TokenBucket
from sekha.cli import main

URL = "http://localhost:8080"


def test_what_belongs_to_an_ended_loop_is_forgotten_when_the_next_begins() -> None:
    class Holder:
        def __init__(self) -> None:
            self.loop = asyncio.get_running_loop()  # as a connection does

    per_loop = AsyncPerLoop(Holder)

    async def use() -> None:
        assert per_loop.get() is per_loop.get()

    for _ in range(5):
        asyncio.run(use())
    assert len(per_loop._made) == 1


def test_an_interrupted_fan_out_begins_nothing_more() -> None:
    begun: List[int] = []
    interrupted = threading.Event()

    def call(number: int) -> Any:
        def run() -> None:
            begun.append(number)
            if number == 0:
                interrupted.set()
                raise KeyboardInterrupt
            interrupted.wait(5)
            time.sleep(0.05)

        return run

    with pytest.raises(KeyboardInterrupt):
        gather([call(number) for number in range(40)], 2)
    assert len(begun) < 20


def test_a_server_says_for_how_long_it_has_seen_enough() -> None:
    bucket = TokenBucket(5, 60.0)
    bucket.drain(0.0, 1.0)
    assert not bucket.try_take(0.9)
    assert bucket.try_take(1.0)
    bucket.drain(10.0, 600.0)
    assert bucket.try_take(70.0)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"proxy": "nonsense"}, "proxy: an address"),
        ({"proxy": 5}, "proxy: an address"),
        ({"verify": 5}, "verify: True, False"),
        ({"verify": None}, "verify: True, False"),
        ({"cert": 5}, "cert: a path"),
        ({"trust_env": "no"}, "trust_env: True or False"),
        ({"timeout": 1e12}, "timeout: a number above 0 and at most"),
        ({"timeout": float("nan")}, "timeout: a number above 0"),
        ({"headers": {"Content-Length": "3"}}, "headers: Content-Length"),
    ],
)
def test_a_setting_that_would_fail_later_is_refused_at_once(setting: Dict[str, Any], words: str) -> None:
    with pytest.raises(SekhaConfigError) as caught:
        SekhaConfig(controller_url=URL, api_key="k", **setting)
    assert caught.value.message.startswith(words)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SEKHA_TIMEOUT", "nan", "SEKHA_TIMEOUT: a number above 0"),
        ("SEKHA_CONTROLLER_URL", "localhost:8080", "SEKHA_CONTROLLER_URL: it must begin with http"),
        ("SEKHA_MAX_RETRIES", "3.0", "SEKHA_MAX_RETRIES: a whole number is needed"),
    ],
)
def test_a_bad_variable_is_called_by_its_name(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SekhaConfigError) as caught:
        SekhaConfig.from_env()
    assert caught.value.message.startswith(words)


def test_a_number_without_end_is_refused_by_its_place() -> None:
    with pytest.raises(SekhaValidationError, match=r"^messages\[0\]\.n: must be a number of at most 300 digits"):
        to_jsonable({"messages": [{"n": 10**5000}]})


def test_a_client_shows_where_it_sends_and_no_key() -> None:
    client = SekhaClient(controller_url=URL, api_key="sk-very-secret")
    assert repr(client) == f"<SekhaClient controller {URL}, bridge not configured>"
    client.close()
    assert repr(client.controller) == f"<MemoryController {URL} (closed)>"


def test_ctrl_c_ends_a_command_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("sekha.cli.health.run", interrupted)
    assert main(["health"]) == 130
