"""`examples/django_notes`, started with the commands in its README."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import httpx
import pytest

from sekha import SekhaClient
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha, answer_with, cut_after_work
from support.facts import REST_KEY
from support.running import PATIENCE, Program, command_of, environment, running

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn forks")
EXAMPLE = Path(__file__).parents[2] / "examples" / "django_notes"
SERVE = command_of(EXAMPLE / "README.md", "gunicorn ")
REMEMBER = command_of(EXAMPLE / "README.md", "python manage.py ")
STORE = "POST /api/v1/conversations"
QUERY = "POST /api/v1/query"
GUNICORN = "--bind 127.0.0.1:0 --access-logfile - --access-logformat pid=%(p)s"
"""A free port, and which worker answered; the README's own options win."""


def variables(controller_url: str, **more: str) -> Dict[str, str]:
    """The environment of its README."""
    return environment(SEKHA_CONTROLLER_URL=controller_url, SEKHA_API_KEY=REST_KEY, GUNICORN_CMD_ARGS=GUNICORN, **more)


@contextmanager
def served(controller_url: str, **more: str) -> Iterator[Tuple[Program, str]]:
    """The application under gunicorn, when both workers are there, and its address."""
    with running(SERVE, EXAMPLE, variables(controller_url, **more)) as program:
        url = program.says(r"Listening at: (http://\S+)")[1]
        program.says("Booting worker.*Booting worker")
        yield program, url


def browser(url: str) -> httpx.Client:
    """Somebody who looks at the pages; each request on a connection of its own, so that any worker may get it."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=url, limits=limits, timeout=PATIENCE, verify=False, trust_env=False)


def write(visitor: httpx.Client, text: str) -> httpx.Response:
    """Send the form; the page with it has been looked at before."""
    return visitor.post("/", data={"text": text, "csrfmiddlewaretoken": visitor.cookies["csrftoken"]})


def run(command: List[str], variables: Dict[str, str]) -> Tuple[int, str, str]:
    """Run a command in the folder of the example: exit code, output, errors."""
    done = subprocess.run(command, cwd=EXAMPLE, env=variables, capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def scripted() -> Iterator[ScriptedSekha]:
    with LocalSekha(api_key=REST_KEY) as sekha, ScriptedSekha(sekha) as scripted:
        yield scripted


def test_200_requests_from_8_threads_are_all_right(sekha: LocalSekha) -> None:
    notes = [[f"Note number {100 * visitor + number}" for number in range(12)] for visitor in range(8)]

    def visit(texts: List[str]) -> int:
        with browser(url) as visitor:
            assert visitor.get("/").status_code == 200
            for number, text in enumerate(texts):
                answer = write(visitor, text)
                assert (answer.status_code, answer.headers["location"]) == (302, "/?stored=1")
                if number % 2:
                    found = visitor.get("/api/search", params={"q": text})
                    assert found.json()["results"][0]["text"] == text
                else:
                    found = visitor.get("/search", params={"q": text})
                    assert f"<li>{text}</li>" in found.text
                assert found.status_code == 200
        return 1 + 2 * len(texts)

    with served(sekha.controller_url) as (program, url):
        with ThreadPoolExecutor(8) as visitors:
            assert sum(visitors.map(visit, notes)) == 200
        assert program.stop() == 0
    workers = Counter(re.findall(r"pid=<(\d+)>", program.output))
    assert (len(workers), sum(workers.values())) == (2, 200), program.output
    for trouble in ("Traceback", "[ERROR]", "CANARY"):
        assert trouble not in program.output, program.output
    with SekhaClient(**sekha.options) as client:
        stored = [row["label"] for row in client.controller.iter_conversations(folder="/notes")]
    assert sorted(stored) == sorted(text for texts in notes for text in texts)


def test_what_goes_wrong_is_a_proper_answer(scripted: ScriptedSekha) -> None:
    with served(scripted.controller_url, SEKHA_MAX_RETRIES="0") as (program, url), browser(url) as visitor:
        assert visitor.get("/").status_code == 200

        for answer in (write(visitor, " "), visitor.get("/search"), visitor.get("/api/search", params={"q": " "})):
            assert (answer.status_code, "retry-after" in answer.headers) == (400, False)
        assert answer.json()["error"] == "query: must not be blank"
        assert visitor.post("/", data={"text": "Without a token"}).status_code == 403
        assert visitor.get("/no/such/page").status_code == 404
        assert scripted.requests == []

        scripted.fail(QUERY, answer_with(401, {"error": "wrong key"}))
        answer = visitor.get("/api/search", params={"q": "x"})
        assert (answer.status_code, "key" in answer.text) == (502, False)

        with scripted.refusing():
            for answer in (write(visitor, "Lost"), visitor.get("/search", params={"q": "x"})):
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
                assert "at the moment" in answer.text
                assert "may have been stored" not in answer.text
        scripted.fail(STORE, cut_after_work())
        answer = write(visitor, "Stored in spite of it")
        assert (answer.status_code, "retry-after" in answer.headers) == (503, False)
        assert "may have been stored" in answer.text
        found = visitor.get("/api/search", params={"q": "Stored in spite of it"}).json()["results"]
        assert [hit["text"] for hit in found] == ["Stored in spite of it"]

        # The last, since that worker's client now waits for so long.
        scripted.fail(QUERY, answer_with(429, {"error": "too many"}, {"retry-after": "7"}))
        answer = visitor.get("/api/search", params={"q": "x"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
        assert program.stop() == 0
    assert "it may have been applied" in program.output
    assert "CANARY" not in program.output


def test_a_missing_setting_stops_the_start_before_the_fork() -> None:
    without_key = {name: value for name, value in variables("http://127.0.0.1:1").items() if name != "SEKHA_API_KEY"}
    with running(SERVE, EXAMPLE, without_key) as program:
        assert program.wait() == 1
    assert "api_key is missing: pass api_key=... or set SEKHA_API_KEY" in program.output
    assert "Booting worker" not in program.output


def test_the_management_command(scripted: ScriptedSekha) -> None:
    def remember() -> Tuple[int, str, str]:
        return run(shlex.split(REMEMBER), variables(scripted.controller_url))

    assert remember() == (0, "stored: The alarm code is in the safe.\n", "")
    with scripted.client() as client:
        (hit,) = client.controller.query("alarm code")["results"]
    assert (hit["content"], hit["folder"]) == ("The alarm code is in the safe.", "/notes")

    scripted.fail(STORE, cut_after_work())
    code, out, err = remember()
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("CommandError: ")
    assert "it may have been applied" in err


def test_the_client_is_closed_when_the_process_ends() -> None:
    code = """
import atexit, django

def look():
    from notes.memory import remember
    from sekha import SekhaClosedError
    try:
        remember("Too late")
    except SekhaClosedError:
        print("closed")

atexit.register(look)  # what is registered first comes last
django.setup()
"""
    settings = variables("http://127.0.0.1:1", DJANGO_SETTINGS_MODULE="django_notes.settings")
    assert run(["python", "-c", code], settings) == (0, "closed\n", "")
