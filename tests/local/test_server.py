"""The local Sekha as a server: starting, stopping, keys, ports, and what survives."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any, Dict, List

import httpx
import pytest

from local.conftest import KEY, UNKNOWN, create, python, running, tool
from sekha.local import LocalSekha, LocalSekhaError

HEAD = "POST {} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\ncontent-type: application/json\r\n"


def test_options_connect_a_client() -> None:
    with LocalSekha() as sekha:
        options = sekha.options
        assert options == {
            "controller_url": sekha.controller_url,
            "api_key": "sk-local",
            "bridge_url": sekha.bridge_url,
            "proxy": "none",
            "rate_limit_requests": "none",
        }
        assert options["controller_url"].startswith("http://127.0.0.1:")
        assert httpx.get(options["controller_url"] + "/health", verify=False).status_code == 200
        assert httpx.get(options["bridge_url"] + "/health", verify=False).status_code == 200
    with pytest.raises(LocalSekhaError, match="not running"):
        _ = sekha.options
    with pytest.raises(httpx.ConnectError):
        httpx.get(options["controller_url"] + "/health", verify=False)


def test_starts_and_stops_more_than_once(tmp_path: Path) -> None:
    threads = {*threading.enumerate()}
    sekha = LocalSekha(data=str(tmp_path / "memory.db"), no_key=True)
    sekha.stop()
    for count in range(2):
        sekha.start()
        with pytest.raises(LocalSekhaError, match="already running"):
            sekha.start()
        with httpx.Client(verify=False, base_url=sekha.controller_url, headers=KEY) as api:
            assert api.get("/api/v1/conversations").json()["total"] == count
            create(api, "x")
        sekha.stop()
        sekha.stop()
    assert {*threading.enumerate()} <= threads


def test_it_forgets_everything_and_goes_on(tmp_path: Path) -> None:
    with LocalSekha(data=tmp_path / "memory.db", no_key=True) as sekha:
        with httpx.Client(verify=False, base_url=sekha.controller_url, headers=KEY) as api:
            for _ in range(2):
                create(api, "One word", "and another")
                assert tool(api, "memory_stats")["total_messages"] == 2
                sekha.forget()
                assert api.get("/api/v1/conversations").json()["total"] == 0
                assert api.post("/api/v1/query", json={"query": "word"}).json()["total"] == 0
                assert api.post("/api/v1/search/fts", json={"query": "word"}).json()["total"] == 0
    with pytest.raises(LocalSekhaError, match="not running"):
        sekha.forget()


def test_it_forgets_what_is_still_being_stored(tmp_path: Path) -> None:
    body = json.dumps({"label": "x", "folder": "/x", "messages": [{"role": "user", "content": "x"}]}).encode()
    head = HEAD.format("/api/v1/conversations").encode()
    with LocalSekha() as sekha, httpx.Client(verify=False, base_url=sekha.controller_url, headers=KEY) as api:
        for _ in range(20):
            with socket.create_connection((api.base_url.host, api.base_url.port or 0)) as left:
                left.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
            sekha.forget()
            assert api.get("/api/v1/conversations").json()["total"] == 0


def test_it_does_not_wait_for_ever_to_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.local.protocol.GRACE_SECONDS", 0)
    monkeypatch.setattr("sekha.local.models.model_server.PROBE_SECONDS", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with LocalSekha(llm_url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1", llm_model="x") as sekha:
            silent.accept()[0].close()  # it was asked for its models
            body: Dict[str, Any] = {"messages": [{"role": "user", "content": "x"}]}
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{sekha.bridge_url}/v1/chat/completions", json=body, timeout=0.2, verify=False)
            monkeypatch.setattr("sekha.local.server._MAX_SECONDS", 0.1)
            with pytest.raises(LocalSekhaError, match="was not idle within"):
                sekha.forget()
            monkeypatch.setattr("sekha.local.server._MAX_SECONDS", 15.0)


def test_the_routes_of_a_profile_are_known() -> None:
    for profile in ("documented", "controller-0.1"):
        with LocalSekha(profile=profile) as sekha:
            assert "GET /api/v1/conversations/{id}" in sekha.routes["controller"]
            assert "POST /mcp/tools/memory_store" in sekha.routes["controller"]
            assert "POST /v1/chat/completions" in sekha.routes["bridge"]


def test_several_run_side_by_side(tmp_path: Path) -> None:
    with LocalSekha() as one, LocalSekha() as two, LocalSekha(data=tmp_path / "x.db", api_key="k") as three:
        assert len({one.controller_url, one.bridge_url, two.controller_url, two.bridge_url, three.controller_url}) == 5
        for sekha in (one, two, three):
            headers = {"authorization": f"Bearer {sekha.api_key}"}
            with httpx.Client(verify=False, base_url=sekha.controller_url, headers=headers) as api:
                create(api, "x")
                assert api.get("/api/v1/conversations").json()["total"] == 1


def test_only_its_own_key_is_accepted() -> None:
    with LocalSekha(api_key="schlüssel") as sekha, httpx.Client(verify=False, base_url=sekha.controller_url) as api:
        assert sekha.options["api_key"] == "schlüssel"
        for path in ("/api/v1/query", "/mcp/tools/memory_search"):
            answer = api.post(path, json={"query": "x"}, headers={"authorization": "Bearer wrong"})
            assert (answer.status_code, answer.json()) == (401, {"error": "Invalid API key"})
    with LocalSekha(api_key="short") as sekha, httpx.Client(verify=False, base_url=sekha.controller_url) as api:
        for path in ("/api/v1/query", "/mcp/tools/memory_search"):
            for key in ("shor", "shorter", "SHORT", " short"):
                answer = api.post(path, json={"query": "x"}, headers={"authorization": f"Bearer {key}"})
                assert (answer.status_code, answer.json()) == (401, {"error": "Invalid API key"})
            answer = api.post(path, json={"query": "x"}, headers={"authorization": "Bearer short"})
            assert answer.status_code == 200
        assert api.get("/health").status_code == api.get("/metrics").status_code == 200


def test_a_port_in_use_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for sekha in (LocalSekha(port=port), LocalSekha(bridge_port=port)):
            with pytest.raises(LocalSekhaError, match=f"cannot listen on 127.0.0.1:{port}: "):
                sekha.start()
    with LocalSekha(port=port) as sekha:
        assert sekha.controller_url == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_must_be_one(port: int) -> None:
    with pytest.raises(LocalSekhaError, match="a port must be a number from 0 to 65535"):
        LocalSekha(port=port).start()


def test_a_host_that_is_not_here_is_told() -> None:
    with pytest.raises(LocalSekhaError, match=r"cannot listen on 192\.0\.2\.1:0"):
        LocalSekha(host="192.0.2.1", no_key=True).start()


def test_all_addresses_are_reached_over_loopback() -> None:
    with LocalSekha(host="0.0.0.0", no_key=True) as sekha:
        assert sekha.controller_url.startswith("http://127.0.0.1:")
        assert httpx.get(sekha.controller_url + "/health", verify=False).status_code == 200


def test_data_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("This is no database, but it is long enough to be read as one." * 20)
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE precious (data)")
    other.close()
    for name, reason in [("text", "not a database"), ("other.db", "another application"), ("no/such", "No such file")]:
        with pytest.raises(LocalSekhaError, match=f"cannot use the data file .*{name}: .*{reason}"):
            LocalSekha(data=tmp_path / name).start()
    with pytest.raises(LocalSekhaError, match="cannot use the data file"):
        LocalSekha(data=tmp_path).start()


def test_the_data_file_is_for_its_owner_only(tmp_path: Path) -> None:
    with LocalSekha(data=tmp_path / "memory.db"):
        assert {file.stat().st_mode & 0o077 for file in tmp_path.iterdir()} == {0}


def test_a_stop_does_not_wait_for_idle_connections() -> None:
    sekha = LocalSekha()
    sekha.start()
    with httpx.Client(verify=False, base_url=sekha.controller_url, headers=KEY) as api:
        api.get("/health")
        begin = time.monotonic()
        sekha.stop()
        assert time.monotonic() - begin < 2.0


def test_a_stop_does_not_wait_for_an_answer_that_never_ends(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sekha.local.protocol.GRACE_SECONDS", 0)
    monkeypatch.setattr("sekha.local.models.model_server.PROBE_SECONDS", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with LocalSekha(llm_url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1", llm_model="x") as sekha:
            silent.accept()[0].close()  # it was asked for its models
            url = f"{sekha.bridge_url}/v1/chat/completions"
            body: Dict[str, Any] = {"messages": [{"role": "user", "content": "x"}]}
            statuses: List[int] = []

            def ask() -> None:
                statuses.append(httpx.post(url, json=body, timeout=10, verify=False).status_code)

            asking = threading.Thread(target=ask)
            asking.start()
            waiting, _ = silent.accept()  # the request has reached the model
            begin = time.monotonic()
        assert time.monotonic() - begin < 2.0
        waiting.close()
        asking.join()
    assert statuses == [500]
    assert "Traceback" not in capfd.readouterr().err


def test_a_client_that_leaves_in_the_middle_does_no_harm(api: httpx.Client, capfd: pytest.CaptureFixture[str]) -> None:
    for path in ("/api/v1/query", "/mcp/tools/memory_store"):
        with socket.create_connection((api.base_url.host, api.base_url.port or 0)) as left:
            left.sendall(f"{HEAD.format(path)}content-length: 99\r\n\r\n{{".encode())
    assert api.get("/health").status_code == 200
    assert "Traceback" not in capfd.readouterr().err


def test_many_threads_at_once(own_api: httpx.Client) -> None:
    errors: List[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                identity = create(own_api, f"Thread {number}, turn {turn}.", label=f"T{number}")
                assert own_api.get(f"/api/v1/conversations/{identity}").json()["message_count"] == 1
                assert own_api.post("/api/v1/query", json={"query": f"thread {number}"}).json()["results"]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert own_api.get("/api/v1/conversations/count", params={"label": "T"}).json()["count"] == 80


SERVER = """
import json, sys, time
from sekha.local import LocalSekha
with LocalSekha(data=sys.argv[1], no_key=True) as sekha:
    print(json.dumps(sekha.options), flush=True)
    time.sleep(60)
"""


def test_what_was_stored_survives_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    command, environment = python("-c", SERVER, str(file))
    with running(command, environment) as process:
        assert process.stdout is not None
        options: Dict[str, str] = json.loads(process.stdout.readline())
        stored: List[str] = []
        enough = threading.Event()

        def write() -> None:
            with httpx.Client(verify=False, base_url=options["controller_url"], headers=KEY) as api:
                try:
                    while True:
                        stored.append(create(api, *("Some text that is stored." for _ in range(20))))
                        if len(stored) > 20:
                            enough.set()
                except httpx.TransportError:
                    pass

        threads = [threading.Thread(target=write) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert enough.wait(10)
        process.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join()
    with LocalSekha(data=file, no_key=True) as sekha:
        with httpx.Client(verify=False, base_url=sekha.controller_url, headers=KEY) as api:
            page = api.get("/api/v1/conversations", params={"page_size": 10_000}).json()
            assert {row["conversation_id"] for row in page["results"]} >= set(stored)
            for identity in stored:
                assert api.get(f"/api/v1/conversations/{identity}").json()["message_count"] == 20
            assert tool(api, "memory_stats")["total_messages"] == 20 * page["total"]
            found = api.post("/api/v1/query", json={"query": "text", "limit": 1}).json()
            assert found["total"] >= 20 * len(stored)
            by_words = api.post("/api/v1/search/fts", json={"query": "text", "limit": 10**6}).json()
            assert by_words["total"] == 20 * page["total"]
    database = sqlite3.connect(file)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_a_failed_create_stores_nothing(tmp_path: Path) -> None:
    with LocalSekha(data=tmp_path / "memory.db", no_key=True) as sekha:
        database = sqlite3.connect(tmp_path / "memory.db")
        database.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN new.content = 'two'"
            " BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
        database.close()
        with httpx.Client(verify=False, base_url=sekha.controller_url, headers=KEY) as api:
            messages = [{"role": "user", "content": text} for text in ("one", "two")]
            body: Dict[str, Any] = {"label": "x", "folder": "/x", "messages": messages}
            answer = api.post("/api/v1/conversations", json=body)
            assert (answer.status_code, "no room" in answer.json()["error"]) == (500, True)
            assert api.get("/api/v1/conversations").json()["total"] == 0
            assert api.put(f"/api/v1/conversations/{UNKNOWN}/pin").status_code == 404
            assert create(api, "one")
