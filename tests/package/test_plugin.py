"""The pytest plugin, as it works in the tests of a user."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import List, NamedTuple

import pytest

import pytest_sekha
import sekha

ROOT = Path(__file__).parents[2]
SOURCE = Path(sekha.__file__).parents[1]


class Ran(NamedTuple):
    """What pytest said."""

    text: str
    passed: int
    failed: int
    errors: int


def run_pytest(folder: Path, **files: str) -> Ran:
    """Runs pytest on files in a process of its own; warnings are errors there."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    options = [option for plugin in ("no:cacheprovider", "anyio", "pytest_sekha") for option in ("-p", plugin)]
    text = run_python(folder, "-m", "pytest", "-q", "-rA", *options)
    counts = [re.search(rf"(\d+) {word}", text.splitlines()[-1]) for word in ("passed", "failed", "error")]
    return Ran(text, *(int(count.group(1)) if count else 0 for count in counts))


def run_python(folder: Path, *arguments: str) -> str:
    path = os.pathsep.join(part for part in (str(SOURCE), os.environ.get("PYTHONPATH")) if part)
    command: List[str] = [sys.executable, "-W", "error", *arguments]
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # other plugins that are installed take a second to load
    environment = {**os.environ, **alone, "PYTHONPATH": path, "COLUMNS": "300"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr


GOOD = """
import anyio
import pytest

from sekha import SekhaConnectionError
from sekha.testing import answer_with, cut_after_work

CREATE = "POST /api/v1/conversations"
HELLO = [{"role": "user", "content": "Hello"}]


def test_blocking(local_sekha, sekha_client, sekha_clock):
    local_sekha.fail(CREATE, cut_after_work())
    with pytest.raises(SekhaConnectionError) as caught:
        sekha_client.controller.create_conversation(messages=HELLO)
    assert caught.value.may_have_been_applied
    assert [request.line for request in local_sekha.requests] == [CREATE]
    assert sekha_client.controller.count_conversations()["count"] == 1
    assert sekha_clock.waits == []


@pytest.mark.anyio
async def test_awaited(local_sekha, async_sekha_client, sekha_clock, anyio_backend_name):
    assert (await async_sekha_client.controller.count_conversations())["count"] == 0  # what others stored is gone
    local_sekha.fail("GET /metrics", answer_with(503, headers={"retry-after": "30"}), times=3)
    with anyio.fail_after(60):
        assert "sekha_conversations_total 0" in await async_sekha_client.controller.metrics()
    assert sekha_clock.waits == [30.0] * 3
    assert anyio.get_current_task().name


def test_both(sekha_client, local_sekha, request):
    assert sekha_client.controller.count_conversations()["count"] == 0
    with local_sekha.client(max_retries=0) as other:
        other.controller.create_conversation(messages=HELLO)
    assert sekha_client.controller.count_conversations()["count"] == 1


def test_without_asking_for_it(request):
    assert request.getfixturevalue("sekha_client").controller.health()["status"] == "healthy"


def test_without_it():
    pass
"""


@pytest.mark.promise("E10")
def test_the_fixtures_work_on_asyncio_trio_and_blocking(tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, test_user=GOOD)
    assert (ran.passed, ran.failed, ran.errors) == (6, 0, 0), ran.text
    assert "test_awaited[asyncio]" in ran.text
    assert "test_awaited[trio]" in ran.text


BAD = """
import pytest

from sekha import SekhaNotFoundError
from sekha.testing import cut_before_work, garbage


def test_unused(local_sekha, sekha_client):
    local_sekha.fail("GET /metrics", cut_before_work(), times=2)
    sekha_client.controller.health()


def test_unknown(local_sekha):
    with local_sekha.client(controller_url=local_sekha.controller_url + "/v9") as client:
        with pytest.raises(SekhaNotFoundError):
            client.controller.metrics()


def test_dynamic(request):
    request.getfixturevalue("local_sekha").fail("GET /metrics", garbage())


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_awaited(local_sekha, async_sekha_client):
    local_sekha.fail("GET /api/v1/conversations/{id}", garbage())


def test_its_own_error(local_sekha):
    local_sekha.fail("GET /metrics", garbage())
    raise KeyError("first of all")


@pytest.mark.xfail(reason="it is known", raises=AssertionError, strict=True)
def test_expected(local_sekha):
    local_sekha.fail("GET /metrics", garbage())


def test_after_all_that(sekha_client):
    assert sekha_client.controller.health()["status"] == "healthy"
"""


@pytest.mark.promise("E10")
def test_what_never_matched_fails_its_test(tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, test_user=BAD)
    assert (ran.passed, ran.failed, ran.errors) == (1, 5, 0), ran.text
    told = dict(re.findall(r"^FAILED test_user.py::(\w+)\S* - (.*)$", ran.text, re.MULTILINE))
    assert {name: text.split(": ", 2)[-1] for name, text in told.items() if name != "test_its_own_error"} == {
        "test_unused": "cut_before_work() on GET /metrics happened 0 of 2 times",
        "test_unknown": "GET /v9/metrics: the controller has no such route",
        "test_dynamic": "garbage() on GET /metrics happened 0 of 1 times",
        "test_awaited": "garbage() on GET /api/v1/conversations/{id} happened 0 of 1 times",
    }
    assert told["test_its_own_error"] == "KeyError: 'first of all'"


CONFTEST = """
import pytest

from sekha.testing import Clock


@pytest.fixture
def local_sekha_options():
    return {"profile": "controller-0.1", "mcp_api_key": "x" * 32}


@pytest.fixture
def sekha_client_options():
    return {"max_retries": 0, "deadline": 30.0}


@pytest.fixture
def sekha_clock():
    return Clock()
"""
OPTIONS = """
import pytest

from sekha import SekhaServerError
from sekha.testing import answer_with, delay


def test_options(local_sekha, sekha_client, sekha_clock):
    assert local_sekha.options["mcp_api_key"] == "x" * 32
    local_sekha.fail("GET /metrics", answer_with(500, "broken"))
    with pytest.raises(SekhaServerError) as caught:
        sekha_client.controller.metrics()
    assert caught.value.attempts == 1
    begin = sekha_clock.now()
    local_sekha.fail("GET /metrics", delay(0.05))
    sekha_client.controller.metrics()
    assert sekha_clock.now() - begin >= 0.05
"""


@pytest.mark.promise("E10")
def test_fixtures_can_be_overridden(tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, conftest=CONFTEST, test_user=OPTIONS)
    assert (ran.passed, ran.failed, ran.errors) == (1, 0, 0), ran.text


@pytest.mark.promise("E10")
def test_the_plugin_imports_nothing_of_ours_before_it_is_used(tmp_path: Path) -> None:
    script = "import sys, pytest; before = set(sys.modules); import pytest_sekha; print(set(sys.modules) - before)"
    assert run_python(tmp_path, "-c", script).strip() == "{'pytest_sekha'}"


WITHOUT = "import sys\n\nsys.modules['starlette'] = None\n"
SOME = """
def test_of_something_else():
    pass


def test_with_it(local_sekha):
    pass
"""


@pytest.mark.promise("E10")
def test_without_the_extra_only_who_uses_it_is_told(tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, conftest=WITHOUT, test_user=SOME)
    assert (ran.passed, ran.failed, ran.errors) == (1, 0, 1), ran.text
    assert 'sekha.testing requires the extra testing: pip install "sekha-python-sdk[testing]"' in ran.text


@pytest.mark.promise("E10")
def test_installing_registers_the_plugin() -> None:
    assert pytest_sekha.__name__ == "pytest_sekha"
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert '\n[project.entry-points.pytest11]\npytest_sekha = "pytest_sekha"\n' in project
    assert re.search(r'^packages = \[.*"src/pytest_sekha".*\]$', project, re.MULTILINE)
    assert re.search(r'^testing = \[.*"pytest>=', project, re.MULTILINE)
