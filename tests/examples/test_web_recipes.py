"""The recipes of Django, Flask and FastAPI, typed in as their pages say: what they answer is what the pages show."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import httpx
import pytest

from sekha.local import LocalSekha
from support.examples.blocks import fences_of
from support.recipes import ROOT, write_recipe
from support.running import PATIENCE, command_of, environment, running


def page_of(name: str) -> Path:
    return ROOT / "docs" / "recipes" / f"{name}.md"


def settings_of(sekha: LocalSekha) -> Dict[str, str]:
    return {f"SEKHA_{name.upper()}": str(value) for name, value in sekha.options.items()}


def results_of(name: str) -> List[Any]:
    """The JSON that a page shows."""
    return [json.loads(one.source) for one in fences_of(page_of(name).read_text("utf-8")) if one.language == "json"]


def curls_of(name: str) -> List[str]:
    """The commands with curl that a page shows, each on one line."""
    blocks = [one.source for one in fences_of(page_of(name).read_text("utf-8")) if one.language == "bash"]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("curl ")]


def curl(command: str, web: httpx.Client) -> httpx.Response:
    """Send what a command with curl would send, to another port."""
    words = iter(shlex.split(command)[1:])
    headers: Dict[str, str] = {}
    path, body = "", ""
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(words)
        elif not word.startswith("--"):
            path = re.sub(r"^http://127\.0\.0\.1:\d+", "", word)
    response = web.request("POST" if body else "GET", path, headers=headers, content=body)
    response.raise_for_status()
    return response


def browser(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=PATIENCE, verify=False, trust_env=False, follow_redirects=True)


@pytest.mark.parametrize(
    ("name", "command", "port"),
    [("flask", "flask run", "FLASK_RUN_PORT"), ("fastapi", "uvicorn chat:app", "UVICORN_PORT")],
)
def test_what_is_stored_is_found_as_the_page_shows(
    name: str, command: str, port: str, sekha: LocalSekha, tmp_path: Path
) -> None:
    write_recipe(f"recipes/{name}.md", tmp_path)
    variables = environment(**settings_of(sekha), **{port: "0"})
    with running(command_of(page_of(name), command), tmp_path, variables) as program:
        url = program.says(r"[Rr]unning on (http://[\d.:]+)")[1]
        with browser(url) as web:
            store, ask, *_ = curls_of(name)
            curl(store, web)
            assert curl(ask, web).json() == results_of(name)[0]
    assert "Traceback" not in program.output


def test_an_answer_of_fastapi_is_streamed(sekha: LocalSekha, tmp_path: Path) -> None:
    write_recipe("recipes/fastapi.md", tmp_path)
    variables = environment(**settings_of(sekha), UVICORN_PORT="0")
    with running("uvicorn streaming:app", tmp_path, variables) as program:
        with browser(program.says(r"[Rr]unning on (http://[\d.:]+)")[1]) as web:
            assert "When do we ship?" in curl(curls_of("fastapi")[-1], web).text
    assert "Traceback" not in program.output


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def test_a_note_in_django_is_found_by_its_user(sekha: LocalSekha, tmp_path: Path) -> None:
    write_recipe("recipes/django.md", tmp_path)
    page = page_of("django")
    variables = environment(**settings_of(sekha), DJANGO_DEBUG="1", DJANGO_SUPERUSER_PASSWORD="open sesame")

    def manage(command: str, *more: str) -> str:
        words = [*shlex.split(command_of(page, f"python manage.py {command}")), *more]
        return subprocess.check_output(words, cwd=tmp_path, env=variables, text=True, timeout=PATIENCE)

    manage("migrate")
    manage("createsuperuser", "--no-input")
    assert manage("remember") == "stored: We ship on Fridays.\n"
    port = free_port()
    command = f"{command_of(page, 'python manage.py runserver')} {port}"
    with running(command, tmp_path, variables) as program:
        program.says("Quit the server")
        with browser(f"http://127.0.0.1:{port}") as web:
            assert web.get("/search?q=ship").status_code == 403
            form = {"username": "ann", "password": "open sesame", "csrfmiddlewaretoken": token_of(web)}
            assert "Site administration" in web.post("/admin/login/?next=/admin/", data=form).text
            assert web.get("/search?q=ship").json() == results_of("django")[0]


def test_the_tests_of_django_pass_and_its_server_starts(sekha: LocalSekha, tmp_path: Path) -> None:
    write_recipe("recipes/django.md", tmp_path)
    command = command_of(page_of("django"), "python -m pytest tests")
    with running(command, tmp_path, environment(PYTEST_ADDOPTS="-p no:cacheprovider")) as program:
        assert program.wait() == 0, program.output
        assert " passed" in program.output
    for settings, code in ((settings_of(sekha), 0), ({}, 1)):
        with running("python -m mysite.wsgi", tmp_path, environment(**settings)) as program:
            assert program.wait() == code, program.output
    assert "SekhaConfigError" in program.output


def token_of(web: httpx.Client) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', web.get("/admin/login/").text)
    assert found is not None
    return found[1]
