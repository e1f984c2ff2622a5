"""The local server, in a thread of this process."""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from types import TracebackType
from typing import (
    Callable,
    Coroutine,
    Dict,
    List,
    Literal,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypedDict,
    Union,
)

from typing_extensions import NotRequired

from sekha._concurrency.process_bound import ProcessBound
from sekha._http.proxies import DIRECT
from sekha.config._validation import NO_LIMIT
from sekha.errors import SekhaConfigError
from sekha.local.contents import Contents, find_contents
from sekha.local.embedding import EmbeddingStatus
from sekha.local.errors import LocalSekhaError
from sekha.local.guard import HostGuard, own_names
from sekha.local.http import list_routes
from sekha.local.keys import ANY_KEY, check_keys, keep_key, key_file_of
from sekha.local.models.settings import ModelSettings, make_models, server_settings
from sekha.local.profiles import DOCUMENTED, PROFILES, Keys
from sekha.local.serving import Serving, listen, url_of
from sekha.local.store import Store
from sekha.local.upkeep import Upkeep
from sekha.local.worker import Runner

logger: logging.Logger = logging.getLogger("sekha.local")
_MAX_SECONDS = 15.0  # for a start or a stop


class Options(TypedDict):
    """Settings for a client of the local server: `SekhaClient(**sekha.options)`."""

    controller_url: str
    api_key: str
    bridge_url: str
    proxy: str
    rate_limit_requests: NotRequired[Literal["none"]]
    mcp_api_key: NotRequired[str]
    bridge_api_key: NotRequired[str]


class _Running(NamedTuple):
    serving: Serving
    routes: Dict[str, Tuple[str, ...]]
    store: Store
    runner: Runner
    embedded: Optional[Callable[[], Coroutine[None, None, EmbeddingStatus]]]
    controller_url: str
    bridge_url: str


class LocalSekha(ProcessBound):
    """A Sekha server for personal use and for tests: controller, MCP tools and bridge, on SQLite, in a thread.

    It behaves as documented where current servers do not, and uses no network except its own ports and the URLs that
    you pass. Several can run at the same time, each with its own data.

    Args:
        data: File of the database, created if it does not exist; None keeps everything in memory until the stop.
        host: Address to listen on. The default is reachable from this machine only.
        port: Port of the controller and the MCP tools; 0 selects a free port.
        bridge_port: Port of the bridge; 0 selects a free port.
        api_key: The key that both ports require. None: with `data`, a random key is created at the first start and
            stored in the file `<data>.key`; without, the controller accepts any non-empty key, and the bridge requires
            none.
        llm_url: A server for chat, Ollama (`http://host:11434`) or OpenAI-compatible (`http://host:1234/v1`); None
            uses a placeholder that quotes messages. A path that ends in `/api` selects Ollama, any other path OpenAI;
            without a path, the kind is detected with a request to `/api/version`.
        embeddings_url: The same for embeddings; None uses the built-in word hashing.
        profile: `documented`, or `controller-0.1` with the known bugs of controller 0.1 and bridge 0.2, to test an
            application against current servers.
        mcp_api_key: The key that the MCP tools of `controller-0.1` require, at least 32 characters (that controller
            rejects every key if its own is shorter); None is that controller's default. Its REST routes require none.
        no_key: Accept any key, also with `data` and from other machines. Otherwise, without a key, `host` must be a
            loopback address. The REST routes of `controller-0.1` always accept any key.
        allowed_hosts: Additional host names in requests, such as `host.docker.internal`. Without these, a request must
            use an IP address, `localhost` or `host`. Requests of web pages from other sites are rejected.
        llm_model: The default model of `llm_url`; None uses its only model.
        embeddings_model: The model of `embeddings_url`; None uses its only model.
        llm_key: The API key of `llm_url`, if it requires one.
        embeddings_key: The API key of `embeddings_url`, if it requires one.
        query_prefix: Prefix that the embedding model expects before search queries.
        passage_prefix: Prefix that the embedding model expects before stored texts.

    Raises:
        LocalSekhaError: A setting is not valid. From `start`: a port is in use, the data file cannot be used, or the
            server of a model does not have the model, or has several and none is set.

    Example:
        ```python
        from sekha.local import LocalSekha

        with LocalSekha() as sekha:
            print(sekha.controller_url)  # http://127.0.0.1:<a free port>
        ```
    """

    def __init__(
        self,
        data: Union[str, Path, None] = None,
        host: str = "127.0.0.1",
        port: int = 0,
        bridge_port: int = 0,
        api_key: Optional[str] = None,
        llm_url: Optional[str] = None,
        embeddings_url: Optional[str] = None,
        profile: str = DOCUMENTED,
        mcp_api_key: Optional[str] = None,
        *,
        no_key: bool = False,
        allowed_hosts: Sequence[str] = (),
        llm_model: Optional[str] = None,
        embeddings_model: Optional[str] = None,
        llm_key: Optional[str] = None,
        embeddings_key: Optional[str] = None,
        query_prefix: str = "",
        passage_prefix: str = "",
    ) -> None:
        if profile not in PROFILES:
            raise LocalSekhaError(f"unknown profile {profile!r}: expected {' or '.join(PROFILES)}")
        self._profile = PROFILES[profile]
        self._keys = Keys(api_key or None, mcp_api_key)
        if mcp_api_key is not None and self._profile.mcp_key(self._keys) is None:
            raise LocalSekhaError(f"mcp_api_key is not used in the profile {profile}: use api_key")
        open_profile = None if self._profile.checks_key else profile
        check_keys(host, self._keys.api_key, has_file=data is not None, no_key=no_key, profile=open_profile)
        self._key_file: Optional[Path] = None
        if data is not None and self._profile.checks_key and not (no_key or api_key):
            self._key_file = key_file_of(data)
        self._names = own_names(host, allowed_hosts)
        self._data = data
        self._host = host
        self._ports = (port, bridge_port)
        try:
            llm = server_settings("llm", llm_url, llm_model, llm_key)
            embeddings = server_settings("embeddings", embeddings_url, embeddings_model, embeddings_key)
            self._models = ModelSettings(llm, embeddings, query_prefix, passage_prefix)
        except ValueError as error:
            raise LocalSekhaError(str(error)) from error
        self._running: Optional[_Running] = None

    @property
    def controller_url(self) -> str:
        """URL of the controller and the MCP tools, such as `http://127.0.0.1:8080`."""
        return self._require_running().controller_url

    @property
    def bridge_url(self) -> str:
        """URL of the bridge."""
        return self._require_running().bridge_url

    @property
    def api_key(self) -> str:
        """The API key that clients must send; any key is accepted if none is required."""
        if self._key_file is not None:
            self._require_running()  # the key is read or created at the start
        return self._keys.api_key or ANY_KEY

    @property
    def key_file(self) -> Optional[Path]:
        """The file that contains a generated key; None if a key was set, or if any key is accepted."""
        return self._key_file

    @property
    def options(self) -> Options:
        """Settings for a client: URLs, `api_key`, `bridge_api_key` if the bridge requires it, and other keys.

        `proxy` is `"none"`, since a proxy of the environment may not reach ports of this machine, and
        `rate_limit_requests` is `"none"`, unless the profile has the rate limit of controller 0.1.
        """
        found: Options = {
            "controller_url": self.controller_url,
            "api_key": self.api_key,
            "bridge_url": self.bridge_url,
            "proxy": DIRECT,
        }
        if not self._profile.has_rate_limit:
            found["rate_limit_requests"] = NO_LIMIT
        if self._profile.checks_key and self._keys.api_key is not None:
            found["bridge_api_key"] = self._keys.api_key
        mcp_api_key = self._profile.mcp_key(self._keys)
        if mcp_api_key is not None:
            found["mcp_api_key"] = mcp_api_key
        return found

    @property
    def routes(self) -> Dict[str, Tuple[str, ...]]:
        """The routes of `controller` and `bridge`, such as `GET /api/v1/conversations/{id}`, in matching order."""
        return self._require_running().routes

    def start(self) -> None:
        """Start both servers, and wait until they are ready.

        Raises:
            LocalSekhaError: They cannot be started.
        """
        if self._running is not None:
            raise LocalSekhaError("this local server is already running")
        sockets: List[socket.socket] = []
        store: Optional[Store] = None
        try:
            sockets.extend(listen(self._host, port) for port in self._ports)
            store = _open_store(self._data, self._profile.store)
            if self._key_file is not None:
                self._keys = self._keys._replace(api_key=keep_key(self._key_file))
            self._running = self._serve(store, sockets)
        except BaseException:
            for sock in sockets:
                sock.close()
            if store is not None:
                store.close()
            raise

    def stop(self) -> None:
        """Stop both servers; running requests have two seconds to finish. Do nothing if they are not running."""
        running, self._running = self._running, None
        if running is None:
            return
        running.serving.stop(_MAX_SECONDS)
        running.runner.close()
        running.store.close()

    def _find_contents(self) -> Contents:
        """Return statistics of the data."""
        running = self._require_running()
        work = find_contents(running.store, running.runner, running.embedded)
        return asyncio.run_coroutine_threadsafe(work, running.serving.loop).result(_MAX_SECONDS)

    def forget(self) -> None:
        """Delete all conversations, once no request is running. The servers keep running."""
        running = self._require_running()
        work = asyncio.run_coroutine_threadsafe(_clear_when_idle(running), running.serving.loop)
        try:
            work.result(_MAX_SECONDS)
        except FutureTimeout as error:
            work.cancel()
            raise LocalSekhaError(f"the local server was not idle within {_MAX_SECONDS:.0f} s") from error

    def __enter__(self) -> LocalSekha:
        self.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop()

    def _require_running(self) -> _Running:
        if self._running is None:
            raise LocalSekhaError("this local server is not running: use it in a `with` block, or call start()")
        return self._running

    def _serve(self, store: Store, sockets: List[socket.socket]) -> _Running:
        """Run both servers in a thread, and wait until they are ready."""
        try:
            embedder, chat = make_models(self._models)
        except SekhaConfigError as error:  # a proxy of the environment is not valid
            raise LocalSekhaError(str(error)) from error
        runner = self._profile.runner()
        served = self._profile.apps(store, runner, embedder, chat, self._keys)
        apps = [HostGuard(app, self._names) for app in (served.controller, served.bridge)]
        routes = {name: list_routes(app) for name, app in zip(("controller", "bridge"), apps)}
        serving = Serving(apps, sockets, (embedder, chat), served.tasks, Upkeep(store, runner))
        serving.start(_MAX_SECONDS)
        controller_url, bridge_url = (url_of(self._host, sock) for sock in sockets)
        return _Running(serving, routes, store, runner, served.embedded, controller_url, bridge_url)


async def _clear_when_idle(running: _Running) -> None:
    await running.serving.wait_until_idle()
    await running.runner.run(running.store.clear)


def _open_store(data: Union[str, Path, None], kind: Type[Store]) -> Store:
    try:
        return kind(data)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise LocalSekhaError(f"cannot use the data file {data}: {reason}") from error
