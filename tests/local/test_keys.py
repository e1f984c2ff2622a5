"""The key of the local Sekha: one for both ports, given, or made for a data file and kept beside it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Dict, List, Optional

import httpx
import pytest

from local.conftest import create
from local.test_serve import FREE, fails, running_serve
from sekha import SekhaAuthError, SekhaClient, SekhaConfig
from sekha.cli import main
from sekha.local import LocalSekha, LocalSekhaError
from sekha.testing import ScriptedSekha

OTHER = "192.0.2.1"  # an address of somebody else: nothing listens there
CHAT: Dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}


def bearer(key: str) -> Dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def statuses(sekha: LocalSekha, key: Optional[str]) -> Dict[str, int]:
    """What both ports answer to a request with this key."""
    with httpx.Client(verify=False, headers={} if key is None else bearer(key)) as api:
        urls = {
            "controller": f"{sekha.controller_url}/api/v1/conversations",
            "bridge": f"{sekha.bridge_url}/api/v1/tasks",
        }
        return {name: api.get(url).status_code for name, url in urls.items()}


# A given key


def test_one_key_is_for_both_ports() -> None:
    with LocalSekha(api_key="sk-mine") as sekha:
        assert sekha.options.get("bridge_api_key") == sekha.options["api_key"] == "sk-mine"
        assert statuses(sekha, "sk-mine") == {"controller": 200, "bridge": 200}
        for key in ("sk-min", "sk-mine2", "SK-MINE", None):
            assert statuses(sekha, key) == {"controller": 401, "bridge": 401}
        with SekhaClient(**sekha.options) as client:
            assert {service["status"] for service in client.health_check().values()} == {"healthy"}
            assert client.bridge.models()
        wrong: Any = {**sekha.options, "bridge_api_key": "sk-wrong"}
        with SekhaClient(**wrong, max_retries=0) as client:
            with pytest.raises(SekhaAuthError, match="Invalid API key"):
                client.bridge.models()
            client.controller.count_conversations()


def test_every_route_of_the_bridge_but_three_needs_the_key() -> None:
    with LocalSekha(api_key="sk-mine") as sekha, httpx.Client(verify=False, base_url=sekha.bridge_url) as bridge:
        open_routes: List[str] = []
        for route in sekha.routes["bridge"]:
            method, _, path = route.partition(" ")
            answer = bridge.request(method, path, json=CHAT)
            if answer.status_code == 401:
                assert answer.json()["detail"].startswith(
                    "Missing authorization header; the bridge requires the same key as the controller"
                )
                assert answer.headers["www-authenticate"] == "Bearer"
            else:
                assert answer.status_code == 200
                open_routes.append(route)
        assert open_routes == ["GET /", "GET /health", "GET /metrics/"]


def test_without_a_key_the_bridge_needs_none() -> None:
    with LocalSekha() as sekha:
        assert "bridge_api_key" not in sekha.options
        assert statuses(sekha, None) == {"controller": 401, "bridge": 200}
        assert statuses(sekha, "anything") == {"controller": 200, "bridge": 200}


def test_the_controller_0_1_and_its_bridge_take_any_key(tmp_path: Path) -> None:
    with LocalSekha(tmp_path / "memory.db", api_key="sk-mine", profile="controller-0.1") as sekha:
        assert "bridge_api_key" not in sekha.options
        assert statuses(sekha, None) == {"controller": 200, "bridge": 200}


def test_clients_behind_scripted_faults_have_the_key_of_the_bridge(tmp_path: Path) -> None:
    with LocalSekha(tmp_path / "memory.db") as sekha, ScriptedSekha(sekha) as scripted, scripted.client() as client:
        client.controller.create_conversation(messages=CHAT["messages"])
        assert client.bridge.complete(**CHAT)["choices"]
        assert scripted.options.get("bridge_api_key") == scripted.api_key == sekha.api_key


# A key that is kept beside the data


def test_a_key_is_made_at_the_first_start_and_kept(tmp_path: Path) -> None:
    data, file = tmp_path / "memory.db", tmp_path / "memory.db.key"
    sekha = LocalSekha(data)
    assert sekha.key_file == file
    assert not file.exists()
    with pytest.raises(LocalSekhaError, match="not running"):
        _ = sekha.api_key
    with sekha:
        key = sekha.api_key
        assert re.fullmatch(r"sk-[\w-]{43}", key)
        assert file.read_text("ascii") == f"{key}\n"
        assert os.name == "nt" or file.stat().st_mode & 0o777 == 0o600
        assert sekha.options["api_key"] == sekha.options.get("bridge_api_key") == key
        assert statuses(sekha, key) == {"controller": 200, "bridge": 200}
        assert statuses(sekha, "sk-local") == {"controller": 401, "bridge": 401}
        with httpx.Client(verify=False, base_url=sekha.controller_url, headers=bearer(key)) as api:
            create(api, "x")
    before = file.stat()
    with LocalSekha(str(data)) as again:
        assert again.api_key == key
        with SekhaClient(**again.options) as client:
            assert client.controller.count_conversations()["count"] == 1
    assert file.stat() == before
    with LocalSekha(tmp_path / "other.db") as other:
        assert other.api_key != key


def test_a_key_that_one_has_written_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.db.key").write_bytes(b"\xef\xbb\xbf my own key \r\n")
    with LocalSekha(tmp_path / "memory.db") as sekha:
        assert sekha.api_key == "my own key"
        assert statuses(sekha, "my own key") == {"controller": 200, "bridge": 200}


def test_another_key_is_read_at_the_next_start(tmp_path: Path) -> None:
    sekha = LocalSekha(tmp_path / "memory.db")
    with sekha:
        first = sekha.api_key
    (tmp_path / "memory.db.key").unlink()
    with sekha:
        assert sekha.api_key != first


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"one\ntwo\n", b"\xff\xfe", "schl\u00fcssel".encode(), b"a\tb", b"a\0b", b"\x1b[1m"]
)
def test_a_file_without_a_key_is_told_and_kept(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "memory.db.key"
    file.write_bytes(content)
    for _ in range(2):
        with pytest.raises(
            LocalSekhaError, match=r"the key file .*memory\.db\.key does not contain a key .one line of"
        ):
            LocalSekha(tmp_path / "memory.db").start()
    assert file.read_bytes() == content
    with LocalSekha(tmp_path / "memory.db", api_key="k"):
        pass


def test_a_key_file_that_cannot_be_read_or_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.db.key").mkdir()
    with pytest.raises(LocalSekhaError, match=r"cannot read the key file .*memory\.db\.key: Is a directory"):
        LocalSekha(tmp_path / "memory.db").start()
    with pytest.raises(LocalSekhaError, match="cannot use the data file"):
        LocalSekha(tmp_path / "no" / "memory.db").start()
    assert not (tmp_path / "no").exists()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(LocalSekhaError, match=r"cannot write the key file .*other\.db\.key: No space left on device"):
        LocalSekha(tmp_path / "other.db").start()
    assert not (tmp_path / "other.db.key").exists()


@pytest.mark.parametrize("settings", [{"api_key": "k"}, {"no_key": True}, {"profile": "controller-0.1"}])
def test_otherwise_no_key_is_made(tmp_path: Path, settings: Dict[str, Any]) -> None:
    (tmp_path / "read.db.key").write_bytes(b"")
    for name in ("memory.db", "read.db"):
        sekha = LocalSekha(tmp_path / name, **settings)
        assert sekha.key_file is None
        with sekha:
            assert sekha.api_key == settings.get("api_key", "sk-local")
    assert not (tmp_path / "memory.db.key").exists()


def test_any_key_is_accepted_on_demand(tmp_path: Path) -> None:
    with LocalSekha(tmp_path / "memory.db", no_key=True) as sekha:
        assert statuses(sekha, "anything") == {"controller": 200, "bridge": 200}
        assert "bridge_api_key" not in sekha.options
    with pytest.raises(LocalSekhaError, match="api_key and no_key cannot be combined"):
        LocalSekha(api_key="k", no_key=True)


# Others


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", OTHER, "sekha.lan"])
def test_others_need_a_key(host: str, tmp_path: Path) -> None:
    known: Dict[str, Any] = {"api_key": "sk-local"}
    given: List[Dict[str, Any]] = [{}, {"api_key": "k"}, {"data": tmp_path / "x"}]
    refused: List[Dict[str, Any]] = [{}, {"api_key": ""}, known, {**known, "data": tmp_path / "x"}]
    for settings in refused:
        with pytest.raises(LocalSekhaError, match=r"--api-key-file FILE.*--no-key") as caught:
            LocalSekha(host=host, **settings)
        assert str(caught.value).startswith(f"everyone who can reach {host or 'this machine'} could read and write")
    LocalSekha(host=host, api_key="k")
    LocalSekha(host=host, data=tmp_path / "x")
    LocalSekha(host=host, no_key=True)
    for settings in given:
        with pytest.raises(
            LocalSekhaError, match=r"the REST routes of the profile controller-0\.1 accept any key.*--no-key"
        ):
            LocalSekha(host=host, profile="controller-0.1", **settings)
    LocalSekha(host=host, profile="controller-0.1", no_key=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_this_machine_needs_none(host: str) -> None:
    for profile in ("documented", "controller-0.1"):
        LocalSekha(host=host, profile=profile)


# sekha serve


def test_serve_takes_the_key_of_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEKHA_API_KEY", " sk-of-the-environment ")
    data = ("--data", str(tmp_path / "memory.db"))
    (tmp_path / "key").write_text("sk-of-a-file", "utf-8")
    for words, key in (
        ((), "sk-of-the-environment"),
        (data, "sk-of-the-environment"),
        (("--api-key", "sk-of-an-option"), "sk-of-an-option"),
        (("--api-key-file", str(tmp_path / "key")), "sk-of-a-file"),
    ):
        assert running_serve(monkeypatch, *words) == 0
        out, err = capsys.readouterr()
        assert {f"SEKHA_API_KEY={key}", f"SEKHA_BRIDGE_API_KEY={key}"} <= set(out.splitlines())
        assert "sk-of" not in err
    assert running_serve(monkeypatch, *data, "--no-key") == 0
    out, _ = capsys.readouterr()
    assert "SEKHA_API_KEY=sk-local" in out.splitlines()
    assert "BRIDGE_API_KEY" not in out
    assert not (tmp_path / "memory.db.key").exists()
    monkeypatch.setenv("SEKHA_API_KEY", "sk\nmine")
    assert fails(capsys, *FREE).startswith("sekha serve: SEKHA_API_KEY: ")


def test_serve_keeps_a_key_beside_the_data(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data, env = tmp_path / "memory.db", tmp_path / ".env"
    monkeypatch.setenv("SEKHA_API_KEY", "")
    assert running_serve(monkeypatch, "--data", str(data), "--env-file", str(env)) == 0
    monkeypatch.delenv("SEKHA_API_KEY")
    out, err = capsys.readouterr()
    key = (tmp_path / "memory.db.key").read_text("ascii").strip()
    assert f"Data: {data}. API key: in {data}.key." in err
    assert key not in err
    config = SekhaConfig.from_env(env)
    assert config.api_key == config.bridge_api_key == key
    assert running_serve(monkeypatch, "--data", str(data)) == 0
    again, _ = capsys.readouterr()
    keys = [[line for line in text.splitlines() if "KEY" in line] for text in (out, again)]
    assert keys[0] == keys[1]
    assert sorted(keys[0]) == [f"SEKHA_API_KEY={key}", f"SEKHA_BRIDGE_API_KEY={key}"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "could read and write this memory: set a key (api_key=..., --api-key-file FILE)"),
        (["--host", "0.0.0.0", "--api-key", "sk-local"], "the key sk-local is public"),
        (
            ["--host", "0.0.0.0", "--profile", "controller-0.1", "--data", "x"],
            "to allow that, use no_key=True (--no-key)",
        ),
        (["--no-key", "--api-key", "k"], "--no-key and an API key cannot be combined"),
        (["--api-key", " "], "must not be blank"),
        (["--allow-host", "http://sekha"], "allowed_hosts: expected a name without scheme and port"),
    ],
)
def test_wrong_usage_is_2(words: List[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *FREE, *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in " ".join(err.replace("│", " ").split())
