"""What goes to other processes: a config goes without its keys, a client never does, and errors come back."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, List

import pytest

import sekha as package
from sekha import AsyncSekhaClient, SekhaClient, SekhaConfig, SekhaError, SekhaNotFoundError, SekhaTimeoutError
from sekha.local import LocalSekha
from support.packages import require_packages

require_packages("environments", "celery", "cloudpickle", "distributed", "joblib", "gevent")

celery: Any = import_module("celery")
cloudpickle: Any = import_module("cloudpickle")

REFUSED = (
    "{} cannot be pickled or copied, since its connections belong to this process; "
    "pass a SekhaConfig and create a client in each process"
)
START = """
import os, sys
from sekha import SekhaClient, SekhaConfig, SekhaConfigError

def count(config):
    try:
        with SekhaClient(config) as client:
            return client.controller.count_conversations()["count"]
    except SekhaConfigError as error:
        return error.message.partition(":")[0]

def said(call):
    try:
        return call()
    except Exception as error:
        while error.__cause__ is not None:
            error = error.__cause__
        return "refused" if "pass a SekhaConfig" in str(error) else repr(error)

if __name__ == "__main__":
    url, key = sys.argv[1:]
    config = SekhaConfig(controller_url=url, api_key=key, proxy="none")
    client = SekhaClient(config)
    client.controller.count_conversations()
"""


def run(code: str, sekha: LocalSekha, folder: Path) -> List[str]:
    """Run a program, whose functions are those of its file, in processes of its own; return its lines."""
    program = folder / "program.py"
    program.write_text(START + "".join(f"    {line}\n" for line in code.strip().splitlines()), "utf-8")
    done = subprocess.run(
        [sys.executable, str(program), sekha.controller_url, sekha.api_key],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(package.__file__ or "").parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.promise("S1", "R10")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_pool(sekha: LocalSekha, tmp_path: Path) -> None:  # `spawn` is in docs/recipes/processes.md
    code = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as pool:
    print(said(lambda: pool.submit(count, client).result()))
    print(pool.submit(count, config).result())
    print(pool.submit(count, config.with_secrets()).result())
    print(pool.submit(count, config.replace(max_retries=0)).result())
"""
    assert run(code, sekha, tmp_path) == ["refused", "api_key is missing", "0", "api_key is missing"]


@pytest.mark.promise("S1", "R10")
def test_joblib(sekha: LocalSekha, tmp_path: Path) -> None:
    code = """
from joblib import Parallel, delayed, hash
pool = Parallel(n_jobs=2)  # with one, joblib stays in this process
print(pool([delayed(count)(config)] * 2))
print(pool([delayed(count)(config.with_secrets())] * 2))
print(hash(config) == hash(config.replace(api_key="another")))
for task in (delayed(count)(client), delayed(lambda: client.controller.health())()):
    print(said(lambda: pool([task] * 2)))  # last, since joblib may report it in a later call
"""
    assert run(code, sekha, tmp_path) == [str(["api_key is missing"] * 2), "[0, 0]", "True", "refused", "refused"]


@pytest.mark.promise("S1", "R10")
def test_dask(sekha: LocalSekha, tmp_path: Path) -> None:
    code = """
from dask.distributed import Client, LocalCluster
from sekha import SekhaNotFoundError

def fail(config):
    with SekhaClient(config) as client:
        client.controller.get_conversation("00000000-0000-4000-8000-000000000000")

with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as dask:
    print(said(lambda: dask.submit(count, client).result()))
    print(dask.submit(count, config).result())
    print(dask.submit(count, config.with_secrets()).result())
    print(dask.submit(count, dask.scatter(config.with_secrets())).result())
    try:
        dask.submit(fail, config.with_secrets()).result()
    except SekhaNotFoundError as error:
        print(error.status_code, error.attempts, error.method)
"""
    assert run(code, sekha, tmp_path) == ["refused", "api_key is missing", "0", "0", "404 1 GET"]


# cloudpickle, which Dask, joblib, Ray and Spark use


@pytest.mark.promise("S1")
@pytest.mark.parametrize("flavour", [SekhaClient, AsyncSekhaClient])
def test_cloudpickle_refuses_a_client_in_the_same_words_at_any_time(flavour: Any, sekha: LocalSekha) -> None:
    client = flavour(**sekha.options)
    words = REFUSED.format(flavour.__name__)

    def refuses() -> None:
        for thing in (client, lambda: client, [client], {"client": client}):
            with pytest.raises(TypeError) as raised:
                cloudpickle.dumps(thing)
            assert str(raised.value) == words

    refuses()
    if flavour is SekhaClient:
        client.controller.count_conversations()
        refuses()
        client.close()
        refuses()


@pytest.mark.promise("S1")
def test_cloudpickle_takes_a_config_and_its_hooks_without_its_keys() -> None:
    seen: List[object] = []
    config = SekhaConfig(controller_url="http://localhost", api_key="sk-canary", on_request=lambda event: seen)
    data = cloudpickle.dumps(config)
    assert b"sk-canary" not in data
    arrived = pickle.loads(data)
    assert (arrived.api_key, arrived.on_request(None)) == (None, [])
    assert pickle.loads(cloudpickle.dumps(config.with_secrets())).api_key == "sk-canary"
    assert b"sk-canary" not in cloudpickle.dumps(lambda: config)
    assert pickle.loads(cloudpickle.dumps(lambda: SekhaClient))() is SekhaClient


# Celery, whose results are JSON


@pytest.mark.promise("E1")
def test_celery_keeps_the_status_of_an_error() -> None:
    backend = import_module("celery.backends.base").Backend(
        celery.Celery("tasks", broker="memory://"), serializer="json"
    )

    def received(error: SekhaError) -> Any:
        return backend.exception_to_python(json.loads(json.dumps(backend.prepare_exception(error, "json"))))

    error = received(SekhaNotFoundError("Conversation not found", status_code=404, method="GET", path="/x", attempts=1))
    assert (type(error), error.status_code) == (SekhaNotFoundError, 404)
    assert str(error) == "Conversation not found (status 404)"
    assert str(received(error)) == str(error)
    timeout = received(SekhaTimeoutError("the deadline of 5 s passed", method="GET", path="/x", attempts=1))
    assert (type(timeout), str(timeout)) == (SekhaTimeoutError, "the deadline of 5 s passed")


# gevent, where a fork copies the greenlets that wait


@pytest.mark.promise("W11")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_greenlet_that_waits_for_an_answer_does_not_take_it_in_a_child() -> None:
    code = """
from gevent import monkey
monkey.patch_all()
import gevent, os, socket, sys, time
from sekha import SekhaClient, SekhaError

listener = socket.create_server(("127.0.0.1", 0))
server = os.fork()
if server == 0:
    connection, _ = listener.accept()
    connection.recv(65536)
    time.sleep(1.5)  # the child is there by then
    connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: 11\\r\\n\\r\\n")
    connection.sendall(b'{"count":3}')
    time.sleep(0.3)
    os._exit(0)
url = f"http://127.0.0.1:{listener.getsockname()[1]}"
client = SekhaClient(controller_url=url, api_key="k", max_retries=0)

def call():
    try:
        return client.controller.count_conversations()
    except SekhaError as error:
        return type(error).__name__, error.sent

waiting = gevent.spawn(call)
gevent.sleep(0.2)
child = os.fork()
print(waiting.get(timeout=10), flush=True)
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
os.waitpid(server, 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(package.__file__ or "").parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["('SekhaConnectionError', True)", "{'count': 3}"]
