"""docs/recipes/celery.md as it stands there: a broker, workers that are killed, and all is stored once."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List

import pytest

from sekha import SekhaClient
from sekha.local import LocalSekha
from support.facts import MCP_KEY, REST_KEY
from support.packages import require_packages
from support.recipes import check_all_is_stored_once, settings_for, write_exports, write_recipe
from support.running import Program, environment, running
from support.watched import WatchedServer

if TYPE_CHECKING:
    from support.redis_server import RedisServer

require_packages("environments", "celery", "distributed", "redis")

PAGE = "recipes/celery.md"
WORKER = "celery -A tasks worker --concurrency 2 --loglevel INFO"
WRITES = 4


class Workers:
    """What a test starts, all in one folder.

    Args:
        stack: Ends it.
        folder: The files of the page.
        variables: The environment.
    """

    def __init__(self, stack: ExitStack, folder: Path, variables: Dict[str, str]) -> None:
        self._stack = stack
        self._folder = folder
        self._variables = variables

    def start(self, *names: str) -> List[Program]:
        """Start workers; each has a runtime folder of its own, as on another machine."""
        workers = [self._run(f"{WORKER} --hostname {name}") for name in names]
        for worker in workers:
            worker.says(r" ready\.")
        return workers

    def send(self) -> Program:
        """Send all files, and wait for all results."""
        return self._run("python send.py")

    def _run(self, command: str) -> Program:
        return self._stack.enter_context(running(command, self._folder, self._variables))


@pytest.fixture
def make_workers(tmp_path: Path, redis: RedisServer) -> Iterator[Callable[..., Workers]]:
    with ExitStack() as stack:

        def make(sekha: LocalSekha, watched: WatchedServer, **more: str) -> Workers:
            settings = {**settings_for(sekha, watched), **more, "REDIS_URL": f"{redis.url}/0", "EXPORTS": "exports"}
            return Workers(stack, tmp_path, environment(**settings))

        yield make


def deliver_again(redis: RedisServer) -> None:
    """Put what is in progress back into the queue, as each worker does from time to time after `visibility_timeout`."""
    kombu: Any = import_module("kombu")
    with kombu.Connection(f"{redis.url}/0", transport_options={"visibility_timeout": 0}) as connection:
        connection.channel().qos.restore_visible(interval=1)


@pytest.mark.slow
@pytest.mark.promise("W14", "W16")
def test_a_killed_process_of_a_pool(
    sekha_0_1: LocalSekha, tmp_path: Path, make_workers: Callable[..., Workers]
) -> None:
    write_recipe(PAGE, tmp_path)
    exports = write_exports(tmp_path / "exports")
    watched = WatchedServer(sekha_0_1.controller_url, hold_after=30)
    try:
        workers = make_workers(sekha_0_1, watched)
        machines = workers.start("one", "two")
        sender = workers.send()
        watched.wait_for_held(WRITES)
        watched.kill_one_that_writes()
        watched.release()
        assert sender.wait() == 0, sender.output
        assert len(sender.output.splitlines()) == len(exports)
        output = "".join(program.output for program in (*machines, sender))
        assert "WorkerLostError" in output
        assert REST_KEY not in output
        assert MCP_KEY not in output
        assert watched.most_writes <= WRITES
        check_all_is_stored_once(sekha_0_1, watched, exports)
        assert [machine.stop() for machine in machines] == [0, 0], "a warm shutdown"
    finally:
        watched.close()


@pytest.mark.slow
@pytest.mark.promise("W14")
def test_a_killed_machine_whose_tasks_were_delivered_twice(
    sekha: LocalSekha, tmp_path: Path, redis: RedisServer, make_workers: Callable[..., Workers]
) -> None:
    write_recipe(PAGE, tmp_path, {"countdown=30": "countdown=1"})
    exports = write_exports(tmp_path / "exports", 3)
    watched = WatchedServer(sekha.controller_url, hold_after=10)
    try:
        workers = make_workers(sekha, watched)
        (killed,) = workers.start("one")
        sender = workers.send()
        watched.wait_for_held(WRITES)
        (other,) = workers.start("two")
        deliver_again(redis)
        other.says("SekhaInUseError")
        watched.kill_all(killed.process.pid)
        watched.release()
        assert sender.wait() == 0, sender.output
        assert len(sender.output.splitlines()) == len(exports)
        check_all_is_stored_once(sekha, watched, exports)
        assert other.stop() == 0, "a warm shutdown"
    finally:
        watched.close()


@pytest.mark.slow
@pytest.mark.promise("W14", "W16")
def test_a_time_limit_in_the_middle_of_writes(
    sekha_0_1: LocalSekha, tmp_path: Path, redis: RedisServer, make_workers: Callable[..., Workers]
) -> None:
    write_recipe(PAGE, tmp_path, {"task_soft_time_limit=1800": "task_soft_time_limit=2"})
    exports = write_exports(tmp_path / "exports", 1)
    watched = WatchedServer(sekha_0_1.controller_url, hold_after=5)
    try:
        workers = make_workers(sekha_0_1, watched)
        (worker,) = workers.start("one")
        sender = workers.send()
        watched.wait_for_held(WRITES)
        worker.says(r"Soft time limit \(2s\) exceeded")
        watched.release()
        assert sender.wait() == 0, sender.output
        assert "SoftTimeLimitExceeded" in worker.output
        check_all_is_stored_once(sekha_0_1, watched, exports)
        assert worker.stop() == 0, "a warm shutdown"
        with redis.client() as client:
            assert client.zcard("sekha:{controller:memory}:writes:held") == 0, "a slot was lost"
    finally:
        watched.close()


@pytest.mark.slow
@pytest.mark.promise("W14")
def test_a_cold_shutdown_puts_tasks_back(
    sekha: LocalSekha, tmp_path: Path, make_workers: Callable[..., Workers]
) -> None:
    write_recipe(PAGE, tmp_path)
    exports = write_exports(tmp_path / "exports", 2)
    watched = WatchedServer(sekha.controller_url, hold_after=10)
    try:
        workers = make_workers(sekha, watched)
        (stopped,) = workers.start("one")
        sender = workers.send()
        watched.wait_for_held(WRITES)
        stopped.process.send_signal(signal.SIGQUIT)
        stopped.says("shutdown|terminate all running tasks")
        watched.release()
        stopped.wait()
        assert "succeeded" not in stopped.output
        (other,) = workers.start("two")
        assert sender.wait() == 0, sender.output
        check_all_is_stored_once(sekha, watched, exports)
        assert "SekhaInUseError" not in other.output
        assert other.stop() == 0, "a warm shutdown"
    finally:
        watched.close()


def test_a_client_is_no_argument_of_a_task() -> None:
    app = import_module("celery").Celery("tasks", broker="memory://")
    errors = import_module("kombu.exceptions")

    def summarize(client: Any) -> None:
        """Do nothing: it is never sent."""

    with SekhaClient(controller_url="http://localhost:8080", api_key="k") as client:
        with pytest.raises(errors.EncodeError, match="Object of type SekhaClient is not JSON serializable"):
            app.task(summarize).delay(client)
