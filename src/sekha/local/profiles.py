"""Server versions that the local server can emulate: as documented, or current servers."""

from __future__ import annotations

from typing import Callable, Coroutine, Dict, NamedTuple, Optional, Protocol, Sequence, Type

from starlette.types import ASGIApp

from sekha.local.documented.bridge import Bridge, bridge_app
from sekha.local.documented.controller import Controller, controller_app
from sekha.local.documented.mcp import McpTools
from sekha.local.documented.memory import Memory
from sekha.local.embedding import EmbeddingStatus
from sekha.local.models import ChatModel, Embedder
from sekha.local.store import Store
from sekha.local.v0_1.bridge import Bridge02, bridge_02_app
from sekha.local.v0_1.controller import DEFAULT_MCP_KEY, controller_01_app
from sekha.local.v0_1.memory import Memory01, Store01
from sekha.local.worker import Inline, Runner, Worker


class Keys(NamedTuple):
    """The keys of the settings that the servers require."""

    api_key: Optional[str]
    mcp_api_key: Optional[str]


BackgroundTask = Callable[[], Coroutine[None, None, None]]


class Served(NamedTuple):
    """The applications of the two ports, and background tasks that run until the stop."""

    controller: ASGIApp
    bridge: ASGIApp
    tasks: Sequence[BackgroundTask] = ()
    embedded: Optional[Callable[[], Coroutine[None, None, EmbeddingStatus]]] = None
    """Counts the messages that have an embedding; None if not supported."""


class Profile(Protocol):
    """A version of the servers."""

    @property
    def has_rate_limit(self) -> bool:
        """Whether the controller has a rate limit."""
        ...

    @property
    def checks_key(self) -> bool:
        """Whether REST and the bridge require the key."""
        ...

    @property
    def store(self) -> Type[Store]:
        """The class of its database."""
        ...

    def runner(self) -> Runner:
        """Return the runner for calls of the store."""
        ...

    def mcp_key(self, keys: Keys) -> Optional[str]:
        """Return the key of the MCP tools, if they use a separate one."""
        ...

    def apps(self, store: Store, runner: Runner, embedder: Embedder, chat: ChatModel, keys: Keys) -> Served:
        """Build the applications and tasks of a server."""
        ...


class _Documented:
    has_rate_limit = False
    checks_key = True
    store = Store
    runner = Worker

    def mcp_key(self, keys: Keys) -> Optional[str]:
        return None

    def apps(self, store: Store, runner: Runner, embedder: Embedder, chat: ChatModel, keys: Keys) -> Served:
        memory = Memory(store, embedder, chat, runner)
        app = controller_app(Controller(memory), McpTools(memory), keys.api_key)
        bridge = bridge_app(Bridge(embedder, chat), keys.api_key)
        return Served(app, bridge, [memory.embedding.embed_all], memory.embedding.status)


class _Controller01:
    has_rate_limit = True
    checks_key = False
    store = Store01
    runner = Inline

    def mcp_key(self, keys: Keys) -> str:
        return DEFAULT_MCP_KEY if keys.mcp_api_key is None else keys.mcp_api_key

    def apps(self, store: Store, runner: Runner, embedder: Embedder, chat: ChatModel, keys: Keys) -> Served:
        assert isinstance(store, Store01)
        app = controller_01_app(Memory01(store, embedder, chat, runner), self.mcp_key(keys))
        return Served(app, bridge_02_app(Bridge02(embedder, chat)))


DOCUMENTED = "documented"
PROFILES: Dict[str, Profile] = {DOCUMENTED: _Documented(), "controller-0.1": _Controller01()}
