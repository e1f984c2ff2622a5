"""A server that is confined to a folder, one that only reads, and one with a few tools."""

from __future__ import annotations

import json
import random
from typing import Any, Dict, Iterator, Tuple

import pytest

from mcp_server.peer import ALL_TOOLS, UNKNOWN, Peer, connected, plain
from sekha import AsyncSekhaClient
from sekha._api.folder_view import FolderView
from sekha.local import LocalSekha
from support.two_users import World, is_inside, make_world


@pytest.fixture(params=["sekha", "sekha_0_1"])
def profile(request: pytest.FixtureRequest) -> LocalSekha:
    """Each local Sekha, with nothing in it."""
    found: LocalSekha = request.getfixturevalue(request.param)
    return found


def calls(world: World) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Every tool with all that could lead out of the folder."""
    said = [{"role": "user", "content": "tea again"}]
    for folder in world.folders:
        for tool in ("memory_search", "memory_get_context"):
            yield tool, {"query": "tea", "folder": folder}
        yield "memory_store", {"messages": said, "folder": folder}
        yield "memory_stats", {"folder": folder}
        yield "memory_update", {"conversation_id": world.mine[0], "folder": folder}
        yield "memory_update", {"conversation_id": world.others[0], "folder": folder}
    for id in world.ids:
        yield "memory_export", {"conversation_id": id}
        yield "memory_export", {"conversation_id": id, "page": 2}
        yield "memory_update", {"conversation_id": id, "label": "Mine"}
        yield "memory_update", {"conversation_id": id, "status": "archived", "importance_score": 10}
    for label in ("Mine1", "LabelSecret8"):
        yield "memory_search", {"query": "TEXTSECRET9 tea", "limit": 20, "label": label}
        yield "memory_stats", {"label": label}
    yield "memory_search", {"query": "TEXTSECRET9", "limit": 20}
    yield "memory_get_context", {"query": "TEXTSECRET9 tea", "max_tokens": 4000}
    yield "memory_store", {"messages": said}
    yield "memory_stats", {}


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_of_another_folder_is_seen_or_changed(seed: int, profile: LocalSekha) -> None:
    world = make_world(profile, seed, lambda user: FolderView.parse("/users", [user]).folder)
    before = world.everything_else()
    chosen = list(calls(world))
    random.Random(seed).shuffle(chosen)
    worked = set()
    async with connected(profile.options, folder=world.root, max_retries=0) as peer:
        for tool, arguments in chosen[:120]:
            result = await peer.call(tool, **arguments)
            _check_no_secret(world, json.dumps([*result["content"], result.get("structuredContent")]), arguments)
            if not result.get("isError"):
                worked.add(tool)
        for id in world.others:
            with pytest.raises(Exception, match="there is no conversation with this ID"):
                await peer.session.read_resource(f"sekha://conversations/{id}")
        prompt = await peer.session.get_prompt("recall", {"topic": "tea TEXTSECRET8"})
        _check_no_secret(world, json.dumps(plain(prompt)), {"topic": "TEXTSECRET8"})
    assert worked == set(ALL_TOOLS) - {"memory_prune"}
    assert world.everything_else() == before


def _check_no_secret(world: World, text: str, arguments: Dict[str, Any]) -> None:
    given = json.dumps(arguments)
    assert [secret for secret in world.secrets if secret in text and secret not in given] == []


async def test_what_is_stored_without_a_folder_is_in_the_folder(options: Any) -> None:
    async with connected(options, folder="/work/shop") as peer:
        first = await peer.data("memory_store", messages=[{"role": "user", "content": "Tea."}])
        second = await peer.data("memory_store", messages=[{"role": "user", "content": "Milk."}], folder="cold")
        assert (first["folder"], second["folder"]) == ("/work/shop", "/work/shop/cold")
        assert await peer.error("memory_store", messages=[{"role": "user", "content": "x"}], folder="/work") == (
            "folder: must be inside /work/shop, the folder of this view"
        )
    async with AsyncSekhaClient(**options) as client:
        rows = (await client.controller.list_conversations())["results"]
        assert all(is_inside(row["folder"], "/work/shop") for row in rows)
        assert len(rows) == 2


async def test_an_id_of_elsewhere_is_as_unknown_as_one_that_does_not_exist(options: Any) -> None:
    async with connected(options) as peer:
        elsewhere = await peer.store("Tea.", folder="/home")
    async with connected(options, folder="/work") as peer:
        for tool, more in (("memory_export", {}), ("memory_update", {"label": "x"})):
            errors = {await peer.error(tool, conversation_id=id, **more) for id in (elsewhere, UNKNOWN)}
            assert errors == {
                "conversation_id: there is no conversation with this ID; memory_search returns the IDs of existing ones"
            }


async def _offered(peer: Peer) -> list[str]:
    return list(await peer.tools())


async def test_which_tools_are_offered(options: Any) -> None:
    async with connected(options) as peer:
        assert await _offered(peer) == ALL_TOOLS
    async with connected(options, folder="/work") as peer:
        assert await _offered(peer) == [name for name in ALL_TOOLS if name != "memory_prune"]
    async with connected(options, read_only=True) as peer:
        left = [name for name in ALL_TOOLS if name not in ("memory_store", "memory_update")]
        assert await _offered(peer) == left
        assert all(tool["annotations"]["readOnlyHint"] for tool in (await peer.tools()).values())
        with pytest.raises(Exception, match="there is no tool 'memory_store'"):
            await peer.call("memory_store", messages=[{"role": "user", "content": "x"}])
    async with connected(options, tools=["memory_store", "memory_search"]) as peer:
        assert await _offered(peer) == ["memory_search", "memory_store"]
