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
MIGRATE = command_of(EXAMPLE / "README.md", "python manage.py migrate")
CREATE_USER = command_of(EXAMPLE / "README.md", "python manage.py createsuperuser ")
REMEMBER = command_of(EXAMPLE / "README.md", "python manage.py remember ")
STORE = "POST /api/v1/conversations"
QUERY = "POST /api/v1/query"
USERS = ["ann", "bob"]
PASSWORD = "correct horse"
GUNICORN = "--bind 127.0.0.1:0 --access-logfile - --access-logformat pid=%(p)s"
"""A free port, and which worker answered; the README's own options win."""


def variables(controller_url: str, **more: str) -> Dict[str, str]:
    """The environment of its README."""
    return environment(SEKHA_CONTROLLER_URL=controller_url, SEKHA_API_KEY=REST_KEY, GUNICORN_CMD_ARGS=GUNICORN, **more)


@pytest.fixture(scope="module", autouse=True)
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The users, made with the commands of its README."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_DATABASE", str(tmp_path_factory.mktemp("django") / "db.sqlite3"))
        settings = environment(DJANGO_SUPERUSER_PASSWORD=PASSWORD)  # neither command needs a key for Sekha
        commands = [MIGRATE, *(f"{CREATE_USER.replace('ann', user)} --noinput" for user in USERS)]
        for command in commands:
            code, _, errors = run(shlex.split(command), settings)
            assert code == 0, errors
        yield


@contextmanager
def served(controller_url: str, **more: str) -> Iterator[Tuple[Program, str]]:
    """The application under gunicorn, when both workers are there, and its address."""
    with running(SERVE, EXAMPLE, variables(controller_url, **more)) as program:
        url = program.says(r"Listening at: (http://\S+)")[1]
        program.says("Booting worker.*Booting worker")
        yield program, url


def stranger(url: str) -> httpx.Client:
    """Somebody who has not logged in; each request on a connection of its own, so that any worker may get it."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=url, limits=limits, timeout=PATIENCE, verify=False, trust_env=False)


@contextmanager
def browser(url: str, user: str = "ann") -> Iterator[httpx.Client]:
    """Somebody who has logged in."""
    with stranger(url) as visitor:
        assert visitor.get("/login").status_code == 200
        form = {"username": user, "password": PASSWORD, "csrfmiddlewaretoken": visitor.cookies["csrftoken"]}
        answer = visitor.post("/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (302, "/")
        yield visitor


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


def test_208_requests_from_8_threads_are_all_right(sekha: LocalSekha) -> None:
    notes = [[f"Note number {100 * visitor + number}" for number in range(12)] for visitor in range(8)]

    def visit(texts: List[str]) -> int:
        with browser(url, USERS[int(texts[0].split()[-1]) // 100 % 2]) as visitor:
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
        return 2 + 2 * len(texts)

    with served(sekha.controller_url) as (program, url):
        with ThreadPoolExecutor(8) as visitors:
            assert sum(visitors.map(visit, notes)) == 208
        assert program.stop() == 0
    workers = Counter(re.findall(r"pid=<(\d+)>", program.output))
    assert (len(workers), sum(workers.values())) == (2, 208), program.output
    for trouble in ("Traceback", "[ERROR]", "CANARY"):
        assert trouble not in program.output, program.output
    with SekhaClient(**sekha.options) as client:
        for number in range(2):
            own = client.in_folder("/users", str(number + 1))
            stored = [row["label"] for row in own.controller.iter_conversations()]
            assert sorted(stored) == sorted(text for texts in notes[number::2] for text in texts)


def test_each_user_finds_their_own_notes(sekha: LocalSekha) -> None:
    with served(sekha.controller_url) as (program, url):
        with browser(url, "ann") as ann, browser(url, "bob") as bob, stranger(url) as nobody:
            write(ann, "The alarm code is 4711.")
            write(bob, "The alarm is too loud.")
            found = [visitor.get("/api/search", params={"q": "alarm code"}).json()["results"] for visitor in (ann, bob)]
            assert [[hit["text"] for hit in hits] for hits in found] == [
                ["The alarm code is 4711."],
                ["The alarm is too loud."],
            ]
            assert "<li>The alarm is too loud.</li>" in bob.get("/search", params={"q": "alarm"}).text
            assert "Nothing found." in bob.get("/search", params={"q": "zebra"}).text

            assert nobody.get("/api/search", params={"q": "alarm"}).status_code == 401
            for path in ("/", "/search?q=alarm"):
                answer = nobody.get(path)
                assert (answer.status_code, answer.headers["location"][:7]) == (302, "/login?")
            token = {"csrfmiddlewaretoken": ann.cookies["csrftoken"]}
            assert ann.post("/logout", data=token).headers["location"] == "/login"
            assert ann.get("/api/search", params={"q": "alarm"}).status_code == 401
        assert program.stop() == 0


def test_what_goes_wrong_is_a_proper_answer(scripted: ScriptedSekha) -> None:
    with served(scripted.controller_url, SEKHA_MAX_RETRIES="0") as (program, url), browser(url) as visitor:
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
    def remember(user: str = "ann") -> Tuple[int, str, str]:
        return run(shlex.split(REMEMBER.replace("ann", user)), variables(scripted.controller_url))

    assert remember("eve") == (1, "", "CommandError: there is no user eve\n")
    assert scripted.requests == []

    assert remember() == (0, "stored: The alarm code is in the safe.\n", "")
    with scripted.client() as client:
        (hit,) = client.controller.query("alarm code")["results"]
    assert (hit["content"], hit["folder"]) == ("The alarm code is in the safe.", "/users/1")

    scripted.fail(STORE, cut_after_work())
    code, out, err = remember()
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("CommandError: ")
    assert "it may have been applied" in err


def test_the_client_is_closed_when_the_process_ends() -> None:
    code = """
import atexit, django

def look():
    from django.contrib.auth.models import User
    from notes.memory import remember
    from sekha import SekhaClosedError
    try:
        remember(User(pk=1), "Too late")
    except SekhaClosedError:
        print("closed")

atexit.register(look)  # what is registered first comes last
django.setup()
from notes.memory import client
client()
"""
    settings = variables("http://127.0.0.1:1", DJANGO_SETTINGS_MODULE="django_notes.settings")
    assert run(["python", "-c", code], settings) == (0, "closed\n", "")
