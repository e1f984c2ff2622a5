"""Processes of one user share the write slots of a server: on controller 0.1, many writes hang each other."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import List

import anyio
import pytest

import sekha
from local.conftest import python
from sekha import AsyncSekhaClient, SekhaClient, SekhaTimeoutError, WaitEvent
from sekha._transport import write_locks
from sekha._transport.write_locks import WriteLocks
from sekha.local import LocalSekha
from support import facts
from support.eight_programs import PROCESSES, Programs, check_all_is_stored, eight_programs, end
from support.facts import MESSAGES
from support.replies import after, answer
from support.routes import CREATE, HEALTH
from support.server import FakeServer, eventually

MADE, OLD = answer(facts.CREATED, 201), answer(facts.HEALTHY)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime folder for this test alone."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "sekha"


def holder(server_url: str, what: str) -> subprocess.Popen[str]:
    """A process that has what a write needs, until it is killed."""
    code = f"""
import time
from sekha._transport.write_locks import WriteLocks
locks = WriteLocks({server_url!r}, 4)
turns = [locks.turn()]
assert turns[0].try_enter()
if {what!r} == "all slots":
    turns[0].leave(stored=True)
    turns = [locks.turn() for _ in range(4)]
    assert all(turn.try_enter() for turn in turns)
print("holds", flush=True)
time.sleep(60)
"""
    command, environment = python("-c", code)
    environment["XDG_RUNTIME_DIR"] = os.environ["XDG_RUNTIME_DIR"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


# ---- eight processes -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    with eight_programs() as found:
        yield found


@pytest.mark.slow
@pytest.mark.promise("W16")
@pytest.mark.parametrize("form", ["asyncio", "trio", "blocking"])
def test_processes_that_write_at_the_same_time_do_not_hang_each_other(form: str, programs: Programs) -> None:
    with LocalSekha(profile="controller-0.1") as sekha:
        settings = {**sekha.options, "timeout": 15.0, "deadline": 20.0}
        check_all_is_stored(sekha, programs, [[form, os.environ["XDG_RUNTIME_DIR"], settings, ""]] * PROCESSES)


@pytest.mark.promise("W16")
@pytest.mark.parametrize("what", ["the first write", "all slots"])
def test_a_killed_process_frees_its_place(what: str, server: FakeServer) -> None:
    waits: List[WaitEvent] = []
    process = holder(server.url, what)
    try:
        server.on(HEALTH, OLD)
        server.on(CREATE, MADE)
        with SekhaClient(controller_url=server.url, api_key="k", on_wait=waits.append) as client:
            with pytest.raises(SekhaTimeoutError) as caught:
                client.with_options(deadline=1.0).controller.create_conversation(messages=MESSAGES)
            assert (caught.value.sent, caught.value.may_have_been_applied) == (False, False)
            assert server.lines == [HEALTH]
            threading.Timer(0.2, process.kill).start()
            client.controller.create_conversation(messages=MESSAGES)
    finally:
        end(process)
    assert server.lines == [HEALTH, CREATE]
    assert {wait.reason for wait in waits} == {"write_slot"}


@pytest.mark.promise("W16")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_task_waits_for_another_process_without_stopping_others(backend: str, server: FakeServer) -> None:
    server.on(HEALTH, OLD)
    server.on(CREATE, MADE)

    async def main() -> None:
        async with AsyncSekhaClient(controller_url=server.url, api_key="k") as client:

            async def create() -> None:
                await client.controller.create_conversation(messages=MESSAGES)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(create)
                while server.lines != [HEALTH]:  # noqa: ASYNC110 - it happens in a thread
                    await anyio.sleep(0.01)
                for _ in range(10):
                    await anyio.sleep(0.01)
                assert not busy_workers(), "it waits without a thread"
                tasks.cancel_scope.cancel()
            end(process)
            await create()

    process = holder(server.url, "all slots")
    try:
        anyio.run(main, backend=backend)
    finally:
        end(process)
    assert server.lines == [HEALTH, CREATE]


def busy_workers() -> List[str]:
    """The worker threads of anyio that run something of the package, and do not wait for work."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    workers = {names.get(id, ""): frame for id, frame in sys._current_frames().items()}
    stacks = {name: traceback.extract_stack(workers[name]) for name in workers if re.match("AnyIO|Trio", name)}
    ours = str(Path(sekha.__file__).parent)
    return [name for name, stack in stacks.items() if any(one.filename.startswith(ours) for one in stack)]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_folder_of_the_locks_is_not_made_in_the_event_loop(
    backend: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some development servers, such as `langgraph dev`, make an error of it."""
    server.on(CREATE, MADE)
    threads: List[threading.Thread] = []
    real = write_locks.runtime_folder

    def noted() -> str:
        threads.append(threading.current_thread())
        return real()

    monkeypatch.setattr(write_locks, "runtime_folder", noted)

    async def main() -> None:
        async with AsyncSekhaClient(controller_url=server.url, api_key="k") as client:
            await client.controller.create_conversation(messages=MESSAGES)

    anyio.run(main, backend=backend)
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


# ---- one process ---------------------------------------------------------------------------------------------------


def test_clients_of_one_process_share_the_slots(server: FakeServer) -> None:
    release = threading.Event()
    server.on(HEALTH, OLD)
    server.on(CREATE, MADE, MADE, after(release, MADE), MADE)
    url = server.url.replace("127.0.0.1", "localhost")
    with (
        SekhaClient(controller_url=server.url, api_key="k", max_concurrent_writes=1) as one,
        SekhaClient(controller_url=url, api_key="k", max_concurrent_writes=1) as other,
    ):
        for client in (one, other):
            client.controller.create_conversation(messages=MESSAGES)
        thread = threading.Thread(target=lambda: one.controller.create_conversation(messages=MESSAGES))
        thread.start()
        eventually(lambda: server.lines.count(CREATE) == 3)
        with pytest.raises(SekhaTimeoutError):
            other.with_options(deadline=0.1).controller.create_conversation(messages=MESSAGES)
        release.set()
        other.controller.create_conversation(messages=MESSAGES)
        thread.join()
    assert server.most_at_once <= 2


def test_a_gate_of_the_process_has_no_files(server: FakeServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.always(CREATE, MADE)
    with SekhaClient(controller_url=server.url, api_key="k", write_gate="process") as client:
        client.controller.create_conversation(messages=MESSAGES)
    monkeypatch.setenv("SEKHA_WRITE_GATE", "process")
    with SekhaClient(controller_url=server.url, api_key="k") as client:
        client.controller.create_conversation(messages=MESSAGES)
    assert not folder.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has other permissions")
def test_where_files_cannot_be_locked_each_client_counts_for_itself(
    server: FakeServer, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("in the way")
    server.always(CREATE, MADE)
    with SekhaClient(controller_url=server.url, api_key="k") as client:
        for _ in range(3):
            client.controller.create_conversation(messages=MESSAGES)
    told = [record for record in caplog.records if "write_gate" in record.getMessage()]
    assert [record.levelno for record in told] == [logging.WARNING]
    assert "only this user can access" in told[0].getMessage()


def test_a_folder_that_was_removed_is_made_again(server: FakeServer, folder: Path) -> None:
    server.always(CREATE, MADE)
    with SekhaClient(controller_url=server.url, api_key="k") as client:
        client.controller.create_conversation(messages=MESSAGES)
        shutil.rmtree(folder)
        client.controller.create_conversation(messages=MESSAGES)
        assert folder.is_dir()
        assert client._controller_transport._state.write_gate.locks is not None


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="there is no list of open files")
def test_no_file_stays_open(server: FakeServer, folder: Path) -> None:
    server.always(CREATE, MADE)
    for _ in range(3):
        with SekhaClient(controller_url=server.url, api_key="k") as client:
            for _ in range(3):
                client.controller.create_conversation(messages=MESSAGES)
                assert [Path(path).suffix for path in open_files(folder)] == [".first"], "the note of the first write"
    assert open_files(folder) == []


def open_files(folder: Path) -> List[str]:
    """The files of a folder that this process has open."""
    found: List[str] = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # closed meanwhile
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return [path for path in found if path.startswith(f"{folder}{os.sep}")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads
def test_a_child_does_not_hold_what_its_parent_had(server: FakeServer) -> None:
    """A parent that is killed while it writes frees its place, although its child lives on."""
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        turn = WriteLocks(server.url, 1).turn()
        assert turn.try_enter()
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        os.write(write, f"{child}\n".encode())
        signal.pause()
        os._exit(0)
    child = int(os.read(read, 100))
    try:
        mine = WriteLocks(server.url, 1).turn()
        assert not mine.try_enter()
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        eventually(mine.try_enter)  # the child may not have begun yet
        mine.leave(stored=False)
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(read)
        os.close(write)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads
def test_a_client_that_was_forked_can_write(server: FakeServer) -> None:
    server.always(CREATE, MADE)
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    with SekhaClient(controller_url=server.url, api_key="k") as client:
        client.controller.create_conversation(messages=MESSAGES)

        def store() -> None:
            results.put(client.controller.create_conversation(messages=MESSAGES)["id"])

        child = fork.Process(target=store)
        child.start()
        assert results.get(timeout=20) == facts.ID
        child.join()
        client.controller.create_conversation(messages=MESSAGES)
