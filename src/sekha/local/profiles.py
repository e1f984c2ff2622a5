"""The servers that the local Sekha can be: the one of the documentation, and those that people run."""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional, Protocol, Tuple, Type

from starlette.types import ASGIApp

from sekha.local.bridge import Bridge, bridge_app
from sekha.local.bridge_0_2 import Bridge02, bridge_0_2
from sekha.local.controller import Controller, controller_app
from sekha.local.controller_0_1 import DEFAULT_MCP_KEY, controller_0_1
from sekha.local.mcp import McpTools
from sekha.local.memory import Memory
from sekha.local.memory_0_1 import Memory01, Store01
from sekha.local.models import ChatModel, Embedder
from sekha.local.store import Store


class Keys(NamedTuple):
    """The keys to ask for, as they were given."""

    api_key: Optional[str]
    mcp_api_key: Optional[str]


class Profile(Protocol):
    """How a local Sekha behaves."""

    @property
    def store(self) -> Type[Store]:
        """What keeps its data."""
        ...

    def mcp_key(self, keys: Keys) -> Optional[str]:
        """The key of the MCP tools, if they have one of their own."""
        ...

    def apps(self, store: Store, embedder: Embedder, chat: ChatModel, keys: Keys) -> Tuple[ASGIApp, ASGIApp]:
        """The applications of the controller's port and of the bridge's."""
        ...


class _Documented:
    store = Store

    def mcp_key(self, keys: Keys) -> Optional[str]:
        return None

    def apps(self, store: Store, embedder: Embedder, chat: ChatModel, keys: Keys) -> Tuple[ASGIApp, ASGIApp]:
        memory = Memory(store, embedder, chat)
        app = controller_app(Controller(memory), McpTools(memory), keys.api_key)
        return app, bridge_app(Bridge(embedder, chat))


class _Controller01:
    store = Store01

    def mcp_key(self, keys: Keys) -> str:
        return DEFAULT_MCP_KEY if keys.mcp_api_key is None else keys.mcp_api_key

    def apps(self, store: Store, embedder: Embedder, chat: ChatModel, keys: Keys) -> Tuple[ASGIApp, ASGIApp]:
        assert isinstance(store, Store01)
        app = controller_0_1(Memory01(store, embedder, chat), self.mcp_key(keys))
        return app, bridge_0_2(Bridge02(embedder, chat))


DOCUMENTED = "documented"
PROFILES: Dict[str, Profile] = {DOCUMENTED: _Documented(), "controller-0.1": _Controller01()}
