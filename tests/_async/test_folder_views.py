"""One user's memory is a wall: in the view of a folder, nothing of another folder is seen or changed."""

from __future__ import annotations

import logging
import random
import re
import uuid
import warnings
from pathlib import Path
from typing import Any

import pytest

from sekha import (
    AsyncMCPClient,
    AsyncMemoryController,
    AsyncSekhaClient,
    SekhaConfigError,
    SekhaError,
    SekhaNotFoundError,
)
from sekha._api.folder_view import FolderView
from sekha.local import LocalSekha
from support.two_users import NOT_CALLED, REFUSED, World, cases, is_inside, make_world

pytestmark = pytest.mark.promise("W17")

ITERATORS = {"controller.iter_conversations"}
ITERATED = {"controller.iter_conversations", "stream_with_context", "stream_with_memory"}
SAMPLES = 9
"""Calls of a method in one run; each run samples others."""


@pytest.fixture(params=["sekha", "sekha_0_1"])
def profile(request: pytest.FixtureRequest) -> LocalSekha:
    """Each local Sekha, with nothing in it."""
    found: LocalSekha = request.getfixturevalue(request.param)
    return found


def root_of(user: str) -> str:
    """The folder of a user's memory."""
    return FolderView.parse("/users", [user]).folder


class Watched:
    """The view of a user, as a client and as standalone clients, and all that comes out of it."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.events: list[object] = []
        hooks: dict[str, Any] = dict.fromkeys(("on_request", "on_response", "on_retry"), self.events.append)
        options = world.sekha.options
        url, key = options["controller_url"], options["api_key"]
        tool_key = options.get("mcp_api_key", key)
        self.whole = AsyncSekhaClient(**options, max_retries=0, **hooks)
        self.client = self.whole.in_folder(world.root)
        controller = AsyncMemoryController(base_url=url, api_key=key, mcp_api_key=tool_key, max_retries=0, **hooks)
        mcp = AsyncMCPClient(base_url=url, api_key=tool_key, max_retries=0, **hooks)
        self.alone = {"controller": controller.in_folder(world.root), "mcp": mcp.in_folder(world.root)}
        self.owners: list[Any] = [self.whole, controller, mcp]
        self.chance = chance

    async def call(self, name: str, args: Any, keywords: Any) -> Any:
        """Call a method by its name; returns what comes of it, an error included."""
        service, _, method = name.rpartition(".")
        target: Any = getattr(self.client, service) if service else self.client
        if service and self.chance.random() < 0.5:
            target = self.alone[service]
        if self.chance.random() < 0.2:
            target = target.with_options(max_retries=0)
        try:
            value = getattr(target, method)(*args, **keywords)
            if name not in ITERATORS:
                value = await value
            if name not in ITERATED:
                return value
            return [getattr(value, "memories", None), *[one async for one in value]]
        except SekhaError as error:
            return error

    async def aclose(self) -> None:
        """Close all."""
        for owner in self.owners:
            await owner.aclose()


def text_of(value: object) -> str:
    """All that can be read off a value or an error."""
    if isinstance(value, SekhaError):
        return f"{value!r} {value} {vars(value)}"
    return f"{value!r} {getattr(value, '__dict__', '')}"


def outcome(value: object, id: object) -> str:
    """What a caller sees of an error, but for its id."""
    if isinstance(value, SekhaError):
        facts = {name: fact for name, fact in vars(value).items() if name != "elapsed"}
        value = (type(value), str(value), sorted(facts.items(), key=str), value.__cause__, value.__context__)
    text = re.sub(r"\d+\.\d\d s", "", repr(value))
    return text.replace(str(id), "ID").replace(str(id).lower(), "ID")


@pytest.mark.parametrize("seed", range(2))
async def test_nothing_of_another_user_is_seen_or_changed(
    profile: LocalSekha, seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "sekha")
    chance = random.Random(seed)
    world = make_world(profile, chance.randrange(10**6), root_of)
    watched = Watched(world, chance)
    try:
        before = world.everything_else()
        calls = [
            (name, args, keywords)
            for name, all_cases in cases(world, tmp_path).items()
            for args, keywords in chance.sample(all_cases, min(SAMPLES, len(all_cases)))
        ]
        chance.shuffle(calls)
        calls.sort(key=lambda call: call[0].endswith("delete_conversations"))  # with something to be deleted
        for name, args, keywords in calls:
            watched.events.clear()
            caplog.clear()
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                value = await watched.call(name, args, keywords)
            logged = [record.getMessage() for record in caplog.records if record.name == "sekha"]
            said = [text_of(value), repr(watched.events), repr([str(one.message) for one in warned]), repr(logged)]
            given = repr((args, keywords)).lower()  # ids come back in lower case
            told = [
                secret for secret in world.secrets if secret.lower() not in given for text in said if secret in text
            ]
            assert not told, (name, args, keywords, value)
            assert world.everything_else() == before, (name, args, keywords)
            if name in REFUSED:
                assert isinstance(value, SekhaConfigError)
                assert not watched.events
    finally:
        await watched.aclose()


BY_ID = [
    ("controller.get_conversation", {}),
    ("controller.get_conversation", {"count_messages": False}),
    ("controller.get_messages", {}),
    ("controller.update_label", {"label": "New"}),
    ("controller.update_label", {"label": "New", "folder": "new"}),
    ("controller.update_folder", {"folder": "new"}),
    ("controller.pin_conversation", {}),
    ("controller.archive_conversation", {}),
    ("controller.summarize", {}),
    ("mcp.memory_update", {"label": "New"}),
    ("mcp.memory_update", {"status": "archived"}),
    ("mcp.memory_get_context", {}),
    ("mcp.memory_export", {}),
    ("controller.replace_conversation", {"messages": [{"role": "user", "content": "New."}]}),
    ("controller.replace_conversation", {"messages": [{"role": "user", "content": "New."}], "folder": "new"}),
    ("controller.delete_conversation", {}),
]
"""Calls about one conversation."""


@pytest.mark.filterwarnings("ignore:this server cannot delete")
async def test_an_id_outside_is_as_unknown_as_one_that_does_not_exist(profile: LocalSekha) -> None:
    world = make_world(profile, 1, root_of)
    watched = Watched(world, random.Random(1))
    try:
        before = world.everything_else()
        for number, (name, keywords) in enumerate(BY_ID):
            seen: list[object] = []
            for id in [*world.others[:3], str(uuid.uuid4())]:
                watched.events.clear()
                error = await watched.call(name, (id,), keywords)
                assert isinstance(error, SekhaNotFoundError), name
                assert (error.status_code, error.body, error.code, error.sent) == (404, None, None, True)
                assert not error.may_have_been_applied
                seen.append((outcome(error, id), len(watched.events)))
            assert seen == [seen[0]] * len(seen), name
            assert len(watched.events) == 2, name  # of one request
            mine = world.mine[max(0, number - len(BY_ID) + 4)]  # the last calls delete theirs
            assert not isinstance(await watched.call(name, (mine,), keywords), SekhaNotFoundError), name
        assert world.everything_else() == before
    finally:
        await watched.aclose()


async def test_what_is_inside_is_seen(profile: LocalSekha) -> None:
    """A wall around nothing would be easy."""
    world = make_world(profile, 2, root_of)
    async with AsyncSekhaClient(**profile.options) as whole:
        view = whole.in_folder(world.root)
        rows = (await view.controller.list_conversations(page_size=100))["results"]
        assert {row["id"] for row in rows} == set(world.mine)
        assert [row["id"] async for row in view.controller.iter_conversations()] == [row["id"] for row in rows]
        assert (await view.controller.count_conversations())["count"] == len(world.mine)
        assert (await view.controller.count_conversations(label_contains="MINE"))["count"] == len(world.mine)
        stats = await view.mcp.memory_stats()
        assert stats["total_conversations"] == len(world.mine)
        assert stats["total_messages"] == 2 * len(world.mine)
        assert all(is_inside(folder, world.root) for folder in stats["folders"])
        for search in (view.controller.query, view.mcp.memory_search):
            results = (await search(query="tea", limit=100))["results"]
            assert {hit["conversation_id"] for hit in results} == set(world.mine)
        found = await view.controller.full_text_search("tea", limit=100)
        assert {hit["conversation_id"] for hit in found["results"]} == set(world.mine)
        assert {(hit["label"], hit["folder"]) for hit in found["results"]} == {
            (row["label"], row["folder"]) for row in rows
        }
        assert await view.controller.assemble_context("tea")
        for id in world.mine:
            assert (await view.controller.get_conversation(id))["message_count"] == 2
            assert len(await view.controller.get_messages(id)) == 2


def public_names(cls: type) -> set[str]:
    """What users can call on instances of a class."""
    return {name for name in dir(cls) if not name.startswith("_")}


def test_every_public_method_is_in_the_table(sekha: LocalSekha, tmp_path: Path) -> None:
    table = cases(World(sekha, "/users/4", "/users/42", ["id"] * 3, ["id"] * 3, [], ["/"], []), tmp_path)
    for kind, cls in (("client", AsyncSekhaClient), ("controller", AsyncMemoryController), ("mcp", AsyncMCPClient)):
        prefix = "" if kind == "client" else f"{kind}."
        unknown = {name for name in public_names(cls) - NOT_CALLED[kind] if f"{prefix}{name}" not in table}
        assert not unknown, "a new method: say in support/two_users.py how it could lead out of a view"
