"""Limits in Redis: what is refused, every way in which Redis fails, and what its scripts decide."""

from __future__ import annotations

import copy
import logging
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Sequence, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekha import (
    AsyncSekhaClient,
    BridgeClient,
    MCPClient,
    MemoryController,
    SekhaClient,
    SekhaConfig,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaError,
)
from sekha._concurrency import blocking_calls
from sekha._sync import gates, transport, write_gate
from sekha._transport.listeners import log
from sekha.gates import AsyncGate, Gate
from support import facts
from support.facts import MESSAGES
from support.interrupting import Interruption, held, interrupted_at, interrupted_between
from support.packages import require_packages
from support.replies import answer
from support.routes import CREATE, QUERY
from support.server import FakeServer, eventually

require_packages("redis", "redis")

from redis import Redis, RedisCluster  # noqa: E402 - not without the package
from redis import asyncio as redis_asyncio  # noqa: E402
from redis.exceptions import ResponseError  # noqa: E402

from sekha.integrations import _redis_leases as leases_module  # noqa: E402
from sekha.integrations import _redis_scripts as scripts  # noqa: E402
from sekha.integrations import redis as module  # noqa: E402
from sekha.integrations._redis_connection import redis_error  # noqa: E402
from sekha.integrations._redis_leases import Leases  # noqa: E402
from sekha.integrations.redis import RedisRateLimiter, RedisWriteGate  # noqa: E402

if TYPE_CHECKING:
    from support.redis_server import RedisServer

URL = "redis://localhost:6379"
PASSWORD = "sk-redis-CANARY-4444"
BOTH = pytest.mark.parametrize("cls", [RedisWriteGate, RedisRateLimiter])
HELD, QUEUE = "sekha:{controller:m}:writes:held", "sekha:{controller:m}:writes:queue"


def server_with(*options: str) -> Any:
    from support.redis_server import RedisServer

    return RedisServer(*options).start()


def enters(gate: Any) -> Any:
    return gate.acquire(0)


# ---- arguments -----------------------------------------------------------------------------------------------------

BAD: Dict[str, Tuple[Dict[str, Any], str]] = {
    "no address": ({"redis": ""}, "redis: expected an address such as redis://localhost:6379; it must start with"),
    "of a web page": (
        {"redis": f"http://:{PASSWORD}@h"},
        "redis: expected an address such as .* it must start with redis://",
    ),
    "a bad port": ({"redis": f"redis://:{PASSWORD}@h:x"}, "redis: expected an address such as .* it is invalid"),
    "a bad option": ({"redis": "redis://h?socket_timeout=x"}, "redis: expected an address such as .* it is invalid"),
    "an unknown option": (
        {"redis": "redis://h?nosuch=1"},
        "redis: expected an address such as .* there is no option 'nosuch'",
    ),
    "one with TLS": (
        {"redis": "rediss://h?nosuch=1"},
        "redis: expected an address such as .* there is no option 'nosuch'",
    ),
    "one of a socket": (
        {"redis": "unix:///x?nosuch=1"},
        "redis: expected an address such as .* there is no option 'nosuch'",
    ),
    "no number of a database": ({"redis": "redis://h/main"}, "redis: .* the number of a database, such as /0"),
    "a slash in a password": ({"redis": f"redis://:1/{PASSWORD}@h"}, "redis: .* must be percent-encoded"),
    "a hash in a password": ({"redis": f"redis://:1#{PASSWORD}@h"}, "redis: .* must be percent-encoded"),
    "a ? in a password": ({"redis": f"redis://:1?{PASSWORD}@h"}, "redis: .* must be percent-encoded"),
    "None": ({"redis": None}, "redis: .* or a redis.Redis; got builtins.NoneType"),
    "an async client": ({"redis": redis_asyncio.Redis()}, "redis: .*; got redis.asyncio.client.Redis"),
    "an empty name": ({"name": ""}, "name: expected a text of up to 200 characters without"),
    "a name with braces": ({"name": "a}b"}, "name: expected a text"),
    "a name with a space": ({"name": "a b"}, "name: expected a text"),
    "a name of a number": ({"name": 7}, "name: expected a text"),
    "a long name": ({"name": "a" * 201}, "name: expected a text"),
    "a bad prefix": ({"prefix": "{x}"}, "prefix: expected a text"),
    "no prefix": ({"prefix": ""}, "prefix: expected a text"),
}
BAD_FOR_WRITES: Dict[str, Tuple[Dict[str, Any], str]] = {
    "no place": ({"limit": 0}, "limit: expected a whole number of at least 1"),
    "half a place": ({"limit": 1.5}, "limit: expected a whole number"),
    "a short lease": ({"lease": 0.5}, "lease: expected at least 1 second"),
    "no lease": ({"lease": None}, "lease: expected seconds, above 0"),
}
BAD_FOR_REQUESTS: Dict[str, Tuple[Dict[str, Any], str]] = {
    "no request": ({"requests": 0}, "requests: expected a whole number of at least 1"),
    "a text": ({"requests": "many"}, "requests: expected a whole number"),
    "no window": ({"window": 0}, "window: expected seconds, above 0"),
}


@BOTH
@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_used_is_refused(cls: Any, what: str) -> None:
    arguments, message = BAD[what]
    with pytest.raises(SekhaConfigError, match=f"^{message}") as caught:
        cls(**{"redis": URL, **arguments})
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [(RedisWriteGate, *case) for case in BAD_FOR_WRITES.values()]
    + [(RedisRateLimiter, *case) for case in BAD_FOR_REQUESTS.values()],
)
def test_a_number_that_cannot_be_used_is_refused(cls: Any, arguments: Dict[str, Any], message: str) -> None:
    with pytest.raises(SekhaConfigError, match=f"^{message}"):
        cls(URL, **arguments)


class TakesNothing:
    def acquire(self) -> None:
        """Not what is asked."""


class Awaited:
    async def acquire(self, deadline: Any) -> Any:
        """For async clients."""


BAD_SETTINGS: Dict[str, Tuple[Any, str]] = {
    "a word": ("machine", "; got 'machine'"),
    "an address": (f"redis://:{PASSWORD}@h", ", not an address; see sekha.integrations.redis"),
    "None": (None, "; got NoneType"),
    "a number": (4, "; got int"),
    "a function": (print, "; got builtin_function_or_method"),
    "a client of Redis": (Redis(), "; got Redis"),
    "a class": (RedisWriteGate, r": pass an instance, RedisWriteGate\(...\)"),
    "another method": (TakesNothing(), r": acquire\(\) of TakesNothing must accept one argument"),
}


@pytest.mark.parametrize("what", BAD_SETTINGS)
@pytest.mark.parametrize("setting", ["write_gate", "rate_limiter"])
@pytest.mark.parametrize(
    "made", [SekhaClient, AsyncSekhaClient, SekhaConfig, MemoryController, MCPClient, BridgeClient]
)
def test_a_setting_that_cannot_be_used_is_refused(made: Any, setting: str, what: str) -> None:
    value, message = BAD_SETTINGS[what]
    address = "controller_url" if made in (SekhaClient, AsyncSekhaClient, SekhaConfig) else "base_url"
    with pytest.raises(
        SekhaConfigError, match=rf'^{setting}: expected "\w+".* gate with acquire\(deadline\){message}'
    ) as caught:
        made(**{address: "http://localhost:8080", "api_key": "k", setting: value})
    assert PASSWORD not in str(caught.value)


def test_blocking_clients_refuse_a_gate_that_is_awaited() -> None:
    awaited: Any = Awaited()  # type checkers refuse it
    config = SekhaConfig(controller_url="http://localhost:8080", api_key="k", write_gate=awaited)
    with pytest.raises(SekhaConfigError, match=r"^write_gate: its acquire\(\) is async, which only async"):
        SekhaClient(config)
    with pytest.raises(SekhaConfigError, match=r"^rate_limiter: its acquire\(\) is async"):
        SekhaClient(config, write_gate="process", rate_limiter=awaited)
    AsyncSekhaClient(config)


@BOTH
def test_without_a_client_the_name_is_needed(cls: Any) -> None:
    with pytest.raises(SekhaConfigError, match=r"^name: required if the gate is used without"):
        cls(URL).acquire(0)


@BOTH
@pytest.mark.parametrize("deadline", ["x", -1, True, float("nan"), [0]])
def test_a_deadline_that_cannot_be_used_is_refused(cls: Any, deadline: Any) -> None:
    with pytest.raises(
        SekhaConfigError, match=r"^deadline: expected seconds, above 0 .* 0 to not wait, or None for no"
    ):
        cls("redis://127.0.0.1:1", name="m").acquire(deadline)


def test_both_are_gates() -> None:
    gates: List[Gate] = [RedisWriteGate(URL), RedisRateLimiter(URL)]
    awaited: AsyncGate = Awaited()
    assert [*gates, awaited]


# ---- what is shown, and pickled ------------------------------------------------------------------------------------

SHOWN = {
    URL: "redis://localhost:6379",
    f"redis://:{PASSWORD}@h:1/2": "redis://:***@h:1/2",
    f"rediss://ann:{PASSWORD}@h": "rediss://ann:***@h",
    f"redis://h?password={PASSWORD}&db=1": "redis://h?password=***&db=1",
    f"unix://:{PASSWORD}@/run/redis.sock?db=0": "unix://:***@/run/redis.sock?db=0",
}


@BOTH
@pytest.mark.parametrize("url", SHOWN)
def test_no_repr_shows_a_password(cls: Any, url: str) -> None:
    gate = cls(url, name="m")
    assert repr(gate) == f"{cls.__name__}({SHOWN[url]!r}, name='m')"
    config = SekhaConfig(**{gate._setting: gate})
    assert repr(config) == f"SekhaConfig({gate._setting}={gate!r})"


def test_the_repr_of_a_gate_of_the_user_shows_its_class_only() -> None:
    assert repr(SekhaConfig(write_gate=Awaited())) == "SekhaConfig(write_gate=<Awaited>)"


def test_a_gate_that_was_made_from_an_address_can_be_pickled() -> None:
    gate = RedisWriteGate(URL, name="m", limit=2, lease=5, prefix="p")
    limiter = RedisRateLimiter(URL, requests=5, window=2)
    for one in (gate, limiter):
        twin = pickle.loads(pickle.dumps(one))
        assert (twin, hash(twin), repr(twin)) == (one, hash(one), repr(one))
    config = SekhaConfig(write_gate=gate, rate_limiter=limiter)
    assert pickle.loads(pickle.dumps(config)) == config
    assert copy.deepcopy(config).write_gate is gate
    assert gate != RedisWriteGate(URL, name="m", limit=3, lease=5, prefix="p")
    assert gate != limiter


def test_a_password_is_left_out_of_the_pickle_of_a_config() -> None:
    gate = RedisWriteGate(f"redis://:{PASSWORD}@h", name="m")
    config = SekhaConfig(controller_url="http://h:8080", write_gate=gate)
    assert PASSWORD.encode() not in pickle.dumps(config)
    twin = pickle.loads(pickle.dumps(config))
    with pytest.raises(SekhaConfigError) as caught:
        SekhaClient(twin, api_key="k")
    assert caught.value.message == (
        "write_gate is missing: the pickle of the SekhaConfig omits it; pass write_gate=..., or pickle "
        "config.with_secrets()"
    )
    SekhaClient(twin, api_key="k", write_gate="process").close()
    assert pickle.loads(pickle.dumps(config.with_secrets())).write_gate == gate


def test_no_variable_takes_the_place_of_a_gate_that_a_pickle_has_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a word, the limit would not be shared any more."""
    monkeypatch.setenv("SEKHA_WRITE_GATE", "shared")
    config = SekhaConfig(controller_url="http://h:8080", write_gate=RedisWriteGate(f"redis://:{PASSWORD}@h", name="m"))
    with pytest.raises(SekhaConfigError, match=r"^write_gate is missing: .* omits it; pass write_gate=\.\.\., or"):
        SekhaClient(pickle.loads(pickle.dumps(config)), api_key="k")


@BOTH
def test_a_gate_of_a_client_of_the_user_stays_in_its_process(cls: Any) -> None:
    gate = cls(Redis(host="h", port=7, db=3, password=PASSWORD))
    assert repr(gate) == f"{cls.__name__}('redis://h:7/3')"
    with pytest.raises(TypeError, match=r"cannot be pickled with your own Redis client, .* create it from an address"):
        pickle.dumps(SekhaConfig(**{gate._setting: gate}))


def test_a_missing_package_is_one_sentence_with_the_extra() -> None:
    code = "import sys; sys.modules['redis'] = None; import sekha.integrations; import sekha.integrations.redis"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    last = done.stderr.splitlines()[-1]
    assert (
        last
        == "ModuleNotFoundError: sekha.integrations.redis requires its extra: pip install 'sekha-python-sdk[redis]'"
    )


def test_nobody_loads_redis_who_does_not_ask_for_it() -> None:
    code = "import sys, sekha, sekha.integrations; sekha.SekhaClient; print('redis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


# ---- every way in which Redis fails --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked() -> Iterator[RedisServer]:
    """A Redis with a password, and users with few permissions."""
    from support.redis_server import RedisServer

    server = RedisServer("--requirepass", PASSWORD).start()
    with server.client(password=PASSWORD) as client:
        commands = ["+@sortedset", "+@scripting", "+get", "+set", "+exists", "+pttl", "+pexpire", "+time"]
        client.acl_setuser("worker", enabled=True, passwords=[f"+{PASSWORD}"], keys=["sekha:*"], commands=commands)
        client.acl_setuser("reader", enabled=True, passwords=[f"+{PASSWORD}"], keys=["sekha:*"], commands=["+get"])
    yield server
    server.close()


@BOTH
@pytest.mark.parametrize(
    ("who", "message"),
    [
        ("", "rejected the user or password: "),
        (":wrong-CANARY@", "rejected the user or password: "),
        (f"nobody:{PASSWORD}@", "rejected the user or password: "),
        (f"reader:{PASSWORD}@", "does not grant its user the required permissions: "),
    ],
)
def test_a_user_that_is_refused_is_a_setting_to_correct(cls: Any, who: str, message: str, locked: RedisServer) -> None:
    gate = cls(locked.url.replace("//", f"//{who}"), name="m")
    with pytest.raises(SekhaConfigError) as caught:
        enters(gate)
    shown = who.replace(PASSWORD, "***").replace("wrong-CANARY", "***")
    assert caught.value.message.startswith(
        f"{gate._setting}: Redis at redis://{shown}127.0.0.1:{locked.port} {message}"
    )
    assert "CANARY" not in str(caught.value)


@BOTH
def test_a_user_needs_few_permissions(cls: Any, locked: RedisServer) -> None:
    gate = cls(locked.url.replace("//", f"//worker:{PASSWORD}@"), name="m")
    release = enters(gate)
    assert release is not None
    release()
    with pytest.raises(SekhaConfigError, match="does not grant its user the required permissions"):
        enters(cls(locked.url.replace("//", f"//worker:{PASSWORD}@"), name="m", prefix="other"))


@pytest.mark.parametrize(
    "text",
    [
        "The user executing the script can't run this command or subcommand",
        "NOPERM this user has no permissions to run the 'zadd' command",
        "ACL failure in script: User worker has no permissions to run the 'zadd' command",
    ],
)
def test_each_version_of_redis_says_in_its_words_that_a_user_may_not(text: str) -> None:
    found = redis_error("write_gate", URL, ResponseError(text))
    assert isinstance(found, SekhaConfigError)
    assert found.message == f"write_gate: Redis at {URL} does not grant its user the required permissions: {text}"


@BOTH
def test_a_user_who_may_run_scripts_but_not_what_is_in_them(cls: Any, locked: RedisServer) -> None:
    with locked.client(password=PASSWORD) as client:
        client.acl_setuser(
            "scripts", enabled=True, passwords=[f"+{PASSWORD}"], keys=["sekha:*"], commands=["+@scripting"]
        )
    with pytest.raises(SekhaConfigError, match="does not grant its user the required permissions"):
        enters(cls(locked.url.replace("//", f"//scripts:{PASSWORD}@"), name="m"))


@BOTH
def test_nobody_there(cls: Any) -> None:
    gate = cls(f"redis://:{PASSWORD}@127.0.0.1:1", name="m")
    with pytest.raises(SekhaConnectionError) as caught:
        enters(gate)
    assert caught.value.message.startswith(f"{gate._setting}: Redis at redis://:***@127.0.0.1:1 cannot be reached: ")
    assert not caught.value.sent


@BOTH
@pytest.mark.filterwarnings(  # redis 5.0 loses this socket
    "ignore:unclosed:ResourceWarning", "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
def test_no_such_socket(cls: Any) -> None:
    with pytest.raises(SekhaConnectionError, match="cannot be reached"):
        enters(cls("unix:///nonexistent/redis.sock", name="m"))


@BOTH
def test_no_database_of_this_number(cls: Any, redis: RedisServer) -> None:
    with pytest.raises(SekhaConfigError, match=r"Redis at redis://127.*/99 cannot be used: "):
        enters(cls(f"{redis.url}/99", name="m"))


@BOTH
def test_keys_of_another_kind(cls: Any, redis: RedisServer) -> None:
    with redis.client() as client:
        client.set(HELD, "x")
        client.set("sekha:{controller:m}:requests:log", "x")
    with pytest.raises(SekhaConfigError, match=r"cannot be used: .*WRONGTYPE"):
        enters(cls(redis.url, name="m"))


@BOTH
def test_a_replica_that_is_read_only(cls: Any, redis: RedisServer) -> None:
    replica = server_with("--replicaof", "127.0.0.1", str(redis.port))
    try:
        with pytest.raises(SekhaConnectionError, match="is a read-only replica; pass the address of the primary"):
            enters(cls(replica.url, name="m"))
    finally:
        replica.close()


@BOTH
def test_no_memory_left(cls: Any) -> None:
    full = server_with("--maxmemory", "1")
    try:
        with pytest.raises(SekhaConnectionError, match=r"has no memory left \(its maxmemory\)"):
            enters(cls(full.url, name="m"))
    finally:
        full.close()


@BOTH
def test_a_redis_that_does_not_answer(cls: Any) -> None:
    server = server_with()
    try:
        gate = cls(f"{server.url}?socket_timeout=0.2&socket_connect_timeout=0.2", name="m")
        server.pause()
        with pytest.raises(SekhaConnectionError, match="did not respond in time"):
            enters(gate)
        server.go_on()
        release = enters(gate)
        assert release is not None
        release()
    finally:
        server.close()


def test_the_scripts_that_a_cluster_runs_have_their_keys_in_one_place(tmp_path: Path) -> None:
    server = server_with("--cluster-enabled", "yes", "--dir", str(tmp_path))
    try:
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            eventually(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO", NEVER_DECODE=True))
        with RedisCluster(host="127.0.0.1", port=server.port) as cluster:
            for gate in (RedisWriteGate(cluster, name="m"), RedisRateLimiter(cluster, name="m")):
                assert repr(gate).startswith(f"{type(gate).__name__}('redis://127.0.0.1:{server.port}/0'")
                release = gate.acquire(0)
                assert release is not None
                release()
    finally:
        server.close()


# ---- one slot ------------------------------------------------------------------------------------------------------


def zcard(redis: RedisServer, key: str) -> int:
    with redis.client() as client:
        return int(client.zcard(key))


def test_nobody_gives_back_the_slot_of_another(redis: RedisServer) -> None:
    gate = RedisWriteGate(redis.url, name="m", limit=1, lease=1)
    first = gate._turn(None)
    assert first.try_enter() == 0
    with redis.client() as client:
        client.delete(HELD)  # as if its lease had ended
    second = gate._turn(None)
    assert second.try_enter() == 0
    first.leave(stored=True)
    assert zcard(redis, HELD) == 1
    assert gate.acquire(0) is None
    second.leave(stored=True)
    second.leave(stored=True)
    assert zcard(redis, HELD) == 0


def test_who_asks_again_after_a_lost_answer_has_one_slot(redis: RedisServer) -> None:
    turn = RedisWriteGate(redis.url, name="m", limit=2)._turn(None)
    assert (turn.try_enter(), turn.try_enter()) == (0, 0)
    assert zcard(redis, HELD) == 1
    turn.leave(stored=False)
    request = RedisRateLimiter(redis.url, name="m", requests=2)._turn(None)
    assert (request.try_enter(), request.try_enter()) == (0, 0)
    assert zcard(redis, "sekha:{controller:m}:requests:log") == 1


def test_a_first_write_that_has_failed_is_followed_by_one_alone(redis: RedisServer) -> None:
    gate = RedisWriteGate(redis.url, name="m", limit=4)
    failed = gate.acquire(0)
    assert failed is not None
    failed()
    first = gate.acquire(0)
    assert first is not None
    assert gate.acquire(0) is None, "no write has succeeded"
    first(stored=True)
    first()  # once more, which does nothing
    others = [gate.acquire(0) for _ in range(5)]
    assert [other is not None for other in others] == [True] * 4 + [False]
    for other in others[:4]:
        assert other is not None
        other()


class Ending(BaseException):
    """As what gevent raises."""


def test_leases_are_renewed_whatever_has_been_raised(caplog: pytest.LogCaptureFixture) -> None:
    renewed = threading.Event()
    raised: List[BaseException] = [Ending(), SekhaError("no")]

    def renew(key: str, tokens: Sequence[str]) -> None:
        if raised:
            raise raised.pop(0)
        renewed.set()

    leases = Leases(renew, 0.01)
    leases.add("a", "key")
    assert renewed.wait(20)
    leases.discard("a")
    assert [record.getMessage() for record in caplog.records] == ["the lease of a write was not renewed: Ending"]
    eventually(lambda: leases._thread is None)


def test_a_log_that_fails_stops_no_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    renewed, failures = threading.Event(), [OSError("away")]

    def renew(key: str, tokens: Sequence[str]) -> None:
        if failures:
            raise failures.pop()
        renewed.set()

    def fail(*_: object) -> None:
        raise ValueError("of a handler")

    monkeypatch.setattr(log, "warning", fail)
    leases = Leases(renew, 0.01)
    leases.add("a", "key")
    assert renewed.wait(20)
    leases.discard("a")
    eventually(lambda: leases._thread is None)


def test_a_thread_that_has_ended_is_replaced() -> None:
    renewed = threading.Event()
    leases = Leases(lambda key, tokens: renewed.set(), 0.01)
    leases._thread = ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join(20)
    leases.add("a", "key")
    assert renewed.wait(20)
    leases.discard("a")
    eventually(lambda: leases._thread is None)


def test_a_lease_that_cannot_be_renewed_is_a_line_in_the_log_until_it_can(caplog: pytest.LogCaptureFixture) -> None:
    server = server_with()
    gate = RedisWriteGate(server.url, name="m", lease=1)
    release = gate.acquire(0)
    try:
        assert release is not None
        server.kill()
        eventually(lambda: [record for record in caplog.records if record.levelno == logging.WARNING])
        server.start()
        release()
        eventually(lambda: gate._leases.get()._thread is None)
    finally:
        server.close()
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 1
    assert told[0].startswith("the lease of a write was not renewed: write_gate: Redis at redis://")


@pytest.mark.promise("W8")
@pytest.mark.parametrize("between", [False, True], ids=["before a line", "in a line"])
@pytest.mark.parametrize("cls", [RedisWriteGate, RedisRateLimiter])
def test_wherever_a_caller_is_interrupted_nothing_stays_taken(cls: Any, between: bool, redis: RedisServer) -> None:
    """A signal handler raises at any place of the module; who asked then leaves, as the clients do."""
    interrupted = interrupted_between if between else interrupted_at
    gate = cls(redis.url, name="m")
    release = enters(gate)
    assert release is not None
    release()
    number, there_was_one = 0, True
    while there_was_one:
        number += 1
        turn = gate._turn(None)
        with interrupted(number, Interruption(), module) as happened:
            try:
                turn.try_enter()
                turn.leave(stored=True)
            except Interruption:
                turn.leave(stored=False)
        there_was_one = happened()
        assert (zcard(redis, HELD), zcard(redis, QUEUE)) == (0, 0), f"interruption {number}"
        assert zcard(redis, "sekha:{controller:m}:requests:queue") == 0, f"interruption {number}"
    assert number > 10


CLIENT_LAYERS = (transport, write_gate, gates, blocking_calls, module, leases_module)


@pytest.mark.slow
@pytest.mark.promise("W8")
@pytest.mark.parametrize("between", [False, True], ids=["before a line", "in a line"])
def test_wherever_a_write_is_interrupted_its_slot_is_given_back(
    between: bool, redis: RedisServer, server: FakeServer
) -> None:
    """What is interrupted before it asks Redis has taken nothing; afterwards, it gives back its own."""
    gate = RedisWriteGate(redis.url, name="m")
    server.always(CREATE, answer(facts.CREATED, 201))
    server.always(QUERY, answer(facts.hits()))
    interrupted = interrupted_between if between else interrupted_at
    with (
        SekhaClient(
            controller_url=server.url,
            bridge_url=server.url,
            api_key="k",
            write_gate=gate,
            rate_limiter=RedisRateLimiter(redis.url, name="m", requests=10**6),
            max_retries=0,
        ) as client,
        redis.client() as looks,
    ):
        client.controller.create_conversation(messages=MESSAGES)
        number, there_was_one = 0, True
        while there_was_one:
            number += 1
            with interrupted(number, Interruption(), *CLIENT_LAYERS) as happened:
                with suppress(Interruption):
                    client.controller.create_conversation(messages=MESSAGES)
            there_was_one = happened()
            left = [looks.zcard(key) for key in (HELD, QUEUE, "sekha:{controller:m}:requests:queue")]
            assert left == [0, 0, 0], f"interruption {number}"
            assert held(client) == [], f"interruption {number}"
            assert gate._leases.get()._held == {}, f"interruption {number}"
        assert number > 50


# ---- what the scripts decide, with a clock that is moved by hand -----------------------------------------------------

START = 1_700_000_000_000_000


class Table:
    """Scripts that read the time from a key."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.scripts: Dict[str, Callable[..., Any]] = {}
        self.now = START

    def clear(self) -> None:
        self.client.flushall()
        self.now = START

    def move(self, microseconds: int) -> None:
        self.now += microseconds

    def run(self, script: str, keys: List[str], *arguments: object) -> Any:
        if script not in self.scripts:
            timed = script.replace("redis.call('TIME')", "{0, tonumber(redis.call('GET', '{t}clock'))}")
            self.scripts[script] = self.client.register_script(timed)
        self.client.set("{t}clock", self.now)
        return self.scripts[script](keys=keys, args=arguments)

    def take(self, who: str, capacity: int, window: int, waits: bool = True) -> int:
        keys = [f"{{t}}{name}" for name in ("log", "queue", "seen", "pause", "window")]
        return int(self.run(scripts.TAKE_TOKEN, keys, who, capacity, window, 5_000_000, int(waits)))

    def enter(self, who: str, limit: int = 2, lease: int = 30_000_000) -> Tuple[int, int]:
        ahead, noted = self.run(scripts.ENTER_WRITE, self.writes, who, limit, lease, 5_000_000)
        return int(ahead), int(noted)

    def leave(self, who: str, stored: bool = True) -> None:
        self.run(scripts.LEAVE_WRITE, self.writes, who, int(stored), 600_000)

    writes = [f"{{t}}{name}" for name in ("held", "queue2", "seen2", "noted")]  # noqa: RUF012 - never changed


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    server = server_with()
    with server.client() as client:
        yield Table(client)
    server.close()


STEPS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 60), st.booleans()), min_size=1, max_size=40
)  # who asks, how far the clock is moved before, and whether who waits gives up


@pytest.mark.promise("W18")
@given(capacity=st.integers(1, 4), window=st.integers(1, 100), steps=STEPS, back=st.integers(0, 3))
@settings(max_examples=60)
def test_no_window_has_more_requests_than_the_limit(
    table: Table, capacity: int, window: int, steps: List[Tuple[str, int, bool]], back: int
) -> None:
    table.clear()
    taken: List[int] = []
    asked: Dict[str, int] = {}
    elapsed = 0  # of the true time, which the clock of Redis follows unless somebody sets it back
    for number, (who, step, gives_up) in enumerate(steps):
        elapsed += step
        table.move(step if not back or number % 7 else step - back)
        name = f"{who}{asked.setdefault(who, 0)}"
        wait = table.take(name, capacity, window)
        if wait == 0:
            taken.append(elapsed)
            asked[who] += 1
        elif gives_up:
            table.run(scripts.LEAVE_QUEUE, ["{t}queue", "{t}seen"], name)
            asked[who] += 1
    for first in taken:
        assert len([one for one in taken if first <= one < first + window]) <= capacity


def test_tokens_come_back_one_window_after_they_were_taken_in_the_order_of_the_callers(table: Table) -> None:
    table.clear()
    assert table.take("a", 2, 100) == 0
    table.move(10)
    assert table.take("b", 2, 100) == 0
    assert [table.take(who, 2, 100) for who in "cd"] == [90, 100]
    table.move(90)
    assert table.take("d", 2, 100) == 10, "c came before"
    assert table.take("c", 2, 100) == 0
    assert table.take("x", 2, 100, waits=False) == 0, "who does not wait is counted"
    table.move(10)
    assert table.take("d", 2, 100) == 90


def test_a_caller_that_is_gone_stops_others_for_five_seconds_at_most(table: Table) -> None:
    table.clear()
    assert table.take("a", 1, 1_000_000) == 0
    assert table.take("gone", 1, 1_000_000) > 0
    table.move(1)
    for _ in range(4):
        assert table.take("b", 1, 1_000_000) > 0
        table.move(1_000_000)
    assert table.take("b", 1, 1_000_000) > 0, "gone might ask"
    table.move(1_000_000)
    assert table.take("b", 1, 1_000_000) == 0


def test_a_client_with_a_shorter_window_forgets_nothing_that_another_counts(table: Table) -> None:
    table.clear()
    assert [table.take(f"a{i}", 2, 100) for i in range(2)] == [0, 0]
    table.move(50)
    assert table.take("b", 2, 10) == 0
    assert table.take("c", 2, 100) > 0


def test_a_clock_that_is_set_back_costs_one_window(table: Table) -> None:
    table.clear()
    assert table.take("a", 1, 100) == 0
    table.move(-3_600_000_000)
    assert table.take("b", 1, 100) == 100
    table.move(100)
    assert table.take("b", 1, 100) == 0


def test_all_wait_as_long_as_the_server_said(table: Table) -> None:
    table.clear()
    table.run(scripts.PAUSE, ["{t}pause"], 500)
    table.run(scripts.PAUSE, ["{t}pause"], 100)
    assert table.take("a", 5, 100) == 500
    table.move(500)
    assert table.take("a", 5, 100) == 0


def test_the_first_write_goes_alone_until_one_has_succeeded(table: Table) -> None:
    table.clear()
    assert table.enter("a") == (0, 0)
    assert table.enter("b") == (1, 0)
    table.leave("a", stored=False)
    assert table.enter("c") == (1, 0), "b came before"
    assert table.enter("b") == (0, 0)
    table.leave("b")
    assert [table.enter(who) for who in "cde"] == [(0, 1), (0, 1), (1, 1)]


def test_a_lease_ends_unless_it_is_renewed(table: Table) -> None:
    table.clear()
    assert table.enter("a", 1) == (0, 0)
    assert table.enter("b", 1)[0] == 1
    table.move(20_000_000)
    table.run(scripts.RENEW_WRITES, ["{t}held"], 30_000_000, "a", "unknown")
    table.move(29_000_000)
    assert table.enter("b", 1)[0] == 1
    table.move(1_000_001)
    assert table.enter("b", 1) == (0, 0)
    table.run(scripts.RENEW_WRITES, ["{t}held"], 30_000_000, "a")
    assert table.client.zrange("{t}held", 0, -1) == [b"b"]


@given(steps=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans()), max_size=60), limit=st.integers(1, 4))
@settings(max_examples=40)
def test_no_more_write_than_the_limit_and_none_is_overtaken(
    table: Table, steps: List[Tuple[str, bool]], limit: int
) -> None:
    table.clear()
    inside: List[str] = []
    waiting: List[str] = []
    has_succeeded = False
    for who, stored in steps:
        table.move(1)
        if who in inside:
            table.leave(who, stored)
            inside.remove(who)
            has_succeeded = has_succeeded or stored
            continue
        if who not in waiting:
            waiting.append(who)
        free = (limit if has_succeeded else 1) - len(inside)
        ahead, noted = table.enter(who, limit)
        assert noted == has_succeeded
        assert (ahead == 0) is (waiting.index(who) < free)
        if ahead == 0:
            waiting.remove(who)
            inside.append(who)
        assert len(inside) <= limit


# ---- threads -------------------------------------------------------------------------------------------------------


def test_who_left_while_redis_let_it_in_renews_no_lease(redis: RedisServer) -> None:
    gate = RedisWriteGate(redis.url, name="m")
    turn = gate._turn(None)
    leases = gate._leases.get()
    add = leases.add

    def leave_first(token: str, key: str) -> None:
        turn.leave(stored=False)  # of a task that was cancelled, while this thread goes on
        add(token, key)

    leases.add = leave_first  # type: ignore[method-assign]  # the moment between two lines
    turn.try_enter()
    assert leases._held == {}
    assert zcard(redis, "sekha:{controller:m}:writes:held") == 0


def test_threads_that_wait_without_a_client_get_their_turns(redis: RedisServer) -> None:
    gate, inside, most = RedisWriteGate(redis.url, name="m", limit=2), [0], [0]
    lock = threading.Lock()
    failures: List[SekhaError] = []

    def work() -> None:
        try:
            release = gate.acquire(None)
        except SekhaError as error:
            failures.append(error)
            return
        assert release is not None
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        with lock:
            inside[0] -= 1
        release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert not failures
    assert most[0] <= 2
    assert (zcard(redis, HELD), zcard(redis, QUEUE)) == (0, 0)
