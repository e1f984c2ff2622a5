"""What holds for each client library with a memory, whatever its requests look like."""

from __future__ import annotations

import gc
import json
import warnings
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import Any, AsyncIterator, Dict, Iterator, List, Tuple

import anyio
import pytest
from anyio import to_thread

from sekha import AsyncSekhaClient, SekhaClient, SekhaValidationError, SekhaWarning
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, Memory, Scope
from sekha.testing import async_check_no_feedback_loop, async_check_no_leak
from support.replies import answer, chunked
from support.server import FakeServer

KINDS = (("blocking", "sekha"), ("async", "sekha_0_1"), ("async with a blocking memory", "sekha"))
"""The kinds of clients and memories, each with a profile of the local server."""
FACT = "The code of the door is 4711."
QUESTION = "What is the code of the door?"


async def settled(value: Any) -> Any:
    """What a call of either kind returns."""
    return await value if isawaitable(value) else value


async def chunks_of(stream: Any) -> AsyncIterator[Any]:
    """The chunks of a stream of either kind."""
    if hasattr(stream, "__aiter__"):
        async for chunk in stream:
            yield chunk
    else:
        for chunk in stream:
            yield chunk


class Dialect:
    """How one method asks a model, and how a model replies to it.

    Attributes:
        line: Method and path of its requests.
        chat: The key of the messages in the body.
    """

    line: str
    chat: str = "messages"

    def client(self, url: str, is_async: bool) -> Any:
        """A client of the library."""
        raise NotImplementedError

    def with_memory(self, client: Any, memory: Any, **options: Any) -> Any:
        """The client with a memory."""
        raise NotImplementedError

    def ask(self, client: Any, messages: List[Any], **options: Any) -> Any:
        """Ask the model; what the method returns."""
        raise NotImplementedError

    def raw(self, client: Any) -> Any:
        """The resource whose `create` is called by `ask`."""
        raise NotImplementedError

    def text_of(self, result: Any) -> str:
        """The text of an answer."""
        raise NotImplementedError

    def after_call(self, result: Any) -> List[Any]:
        """The messages that tell the model what its tool has found, beginning with its call as an object."""
        raise NotImplementedError

    def says(self, text: str) -> Dict[str, Any]:
        """An answer."""
        raise NotImplementedError

    def calls(self) -> Dict[str, Any]:
        """An answer that calls the tool `clock`."""
        raise NotImplementedError

    def events(self, answer: Dict[str, Any]) -> List[bytes]:
        """The same as a stream, of which the last event ends it."""
        raise NotImplementedError


@dataclass
class World:
    """A client, a model and a memory of one kind."""

    kind: str
    dialect: Dialect
    model: FakeServer
    mine: Any
    sekha: LocalSekha
    own: SekhaClient
    other: AsyncSekhaClient

    def memory(self, session: str = "s1", user: str = "ann", **options: Any) -> Any:
        scope = Scope("shop", user, session)
        return AsyncMemory(self.other, scope, **options) if self.kind == "async" else Memory(self.own, scope, **options)

    def client(self, session: str = "s1", user: str = "ann", **options: Any) -> Any:
        return self.dialect.with_memory(self.mine, self.memory(session, user), **options)

    def reply(self, *answers: Dict[str, Any]) -> None:
        self.model.on(self.dialect.line, *map(answer, answers))

    def stream(self, answer: Dict[str, Any], upto: int = 1000, end: Any = "keep") -> None:
        self.model.on(self.dialect.line, chunked(*self.dialect.events(answer)[:upto], end=end))

    @property
    def sent(self) -> List[Any]:
        """The messages of the last request."""
        found = json.loads(self.model.seen[-1].body)[self.dialect.chat]
        return found if isinstance(found, list) else [found]

    def stored(self) -> List[List[Tuple[str, str]]]:
        """The conversations that are stored, each as roles and texts; the oldest first."""
        rows = list(self.own.controller.iter_conversations())
        return [
            [(one["role"], str(one["content"])) for one in self.own.controller.get_messages(row["conversation_id"])]
            for row in reversed(rows)
        ]

    def stores(self, session: str, text: str, user: str = "ann") -> None:
        Memory(self.own, Scope("shop", user, session)).remember([{"role": "user", "content": text}])


def is_block(message: Any) -> bool:
    return message["role"] == "user" and str(message["content"]).startswith("<memory>")


def user(text: str) -> Dict[str, Any]:
    return {"role": "user", "content": text}


class ChatClientTests:
    """The tests; a class for each method inherits them."""

    dialect: Dialect

    @pytest.fixture(params=KINDS, ids=" ".join)
    def kind(self, request: pytest.FixtureRequest) -> Any:
        return request.param

    @pytest.fixture
    def model(self) -> Iterator[FakeServer]:
        with_models = FakeServer()
        yield with_models
        with_models.close()
        with_models.check()

    @pytest.fixture
    async def world(self, request: pytest.FixtureRequest, kind: Any, model: FakeServer) -> AsyncIterator[World]:
        profile: LocalSekha = request.getfixturevalue(kind[1])
        mine = self.dialect.client(model.url, kind[0] != "blocking")
        with SekhaClient(**profile.options) as own:
            async with AsyncSekhaClient(**profile.options) as other:
                yield World(kind[0], self.dialect, model, mine, profile, own, other)
        await settled(mine.close())

    async def test_recalls_and_remembers(self, world: World) -> None:
        world.stores("s0", FACT)
        world.reply(self.dialect.says("It is 4711."))
        messages = [{"role": "system", "content": "Be brief."}, user("Hi."), {"role": "assistant", "content": "Hi!"}]
        messages.append(user(QUESTION))
        if "anthropic" in type(world.mine).__module__:
            del messages[0]
        given = json.dumps(messages)
        result = await settled(self.dialect.ask(world.client(), messages))
        assert self.dialect.text_of(result) == "It is 4711."
        assert [one for one in world.sent if not is_block(one)] == messages
        assert is_block(world.sent[-2])
        assert FACT in world.sent[-2]["content"]
        assert json.dumps(messages) == given
        assert world.stored() == [[("user", FACT)], [("user", QUESTION), ("assistant", "It is 4711.")]]

    async def test_a_stream_passes_through_and_is_remembered(self, world: World) -> None:
        world.stores("s0", FACT)
        world.stream(self.dialect.says("It is 4711."))
        world.stream(self.dialect.says("It is 4711."))
        plain = await settled(self.dialect.ask(world.mine, [user(QUESTION)], stream=True))
        expected = [chunk.to_dict() async for chunk in chunks_of(plain)]
        stream = await settled(self.dialect.ask(world.client(), [user(QUESTION)], stream=True))
        assert type(stream) is type(plain)
        assert stream.response.status_code == 200
        seen: List[Any] = []
        async for chunk in chunks_of(stream):
            if not seen:  # nothing is read ahead
                assert len(world.stored()) == 1
            seen.append(chunk.to_dict())
        assert seen == expected
        assert FACT in str(world.sent)
        assert world.stored()[1:] == [[("user", QUESTION), ("assistant", "It is 4711.")]]

    async def test_a_stream_that_is_left_after_its_last_chunk_is_remembered(self, world: World) -> None:
        """Many programs leave the loop as soon as the end is reported."""
        events = self.dialect.says("Noted.")
        world.stream(events)
        stream = await settled(self.dialect.ask(world.client(), [user(FACT)], stream=True))
        async for chunk in chunks_of(stream):
            if "end" in self.ending_of(chunk):
                break
        await settled(stream.close())
        assert world.stored() == [[("user", FACT), ("assistant", "Noted.")]]

    def ending_of(self, chunk: Any) -> List[str]:
        shown = chunk.to_dict()
        last = shown.get("type") in ("response.completed", "message_stop")
        reasons = [choice.get("finish_reason") for choice in shown.get("choices", ())]
        return ["end"] if last or any(reasons) else []

    async def test_a_stream_that_is_closed_is_not_remembered(self, world: World) -> None:
        world.stream(self.dialect.says("It is 4711."))
        stream = await settled(self.dialect.ask(world.client(), [user(QUESTION)], stream=True))
        if hasattr(stream, "__aenter__"):
            async with stream:
                await stream.__anext__()
        else:
            with stream:
                next(stream)
        del stream
        gc.collect()
        assert world.stored() == []

    @pytest.mark.parametrize("end", ["close", "keep"])
    async def test_a_stream_that_is_cut_is_not_remembered(self, world: World, end: str) -> None:
        """With an error, or without one where the library takes the end of the answer for that of the stream."""
        world.stream(self.dialect.says("It is 4711."), upto=2, end=end)
        stream = await settled(self.dialect.ask(world.client(), [user(QUESTION)], stream=True))
        problems = []
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                [chunk async for chunk in chunks_of(stream)]
            except Exception as error:  # each library and version has its own
                problems.append(error)
        if end == "close":
            assert len(problems) == 1
        else:
            assert "is incomplete" in str(warned[0].message)
        assert world.stored() == []

    async def test_the_calls_of_a_turn_get_the_same_block(self, world: World) -> None:
        world.stores("s0", FACT)
        for streams in (False, True):
            session, client = f"s-{streams}", world.client(f"s-{streams}")
            messages: List[Any] = [user("Hi."), {"role": "assistant", "content": "Hi!"}, user(QUESTION)]
            world.reply(self.dialect.calls())
            result = await settled(self.dialect.ask(client, messages))
            first = world.sent
            world.stores(f"other-{session}", f"{FACT} Says {session}.")  # it would be found, if it was asked again
            messages += self.dialect.after_call(result)
            before = world.stored()
            (world.stream if streams else world.reply)(self.dialect.says("It is noon."))
            result = await settled(self.dialect.ask(client, messages, **({"stream": True} if streams else {})))
            if streams:
                [chunk async for chunk in chunks_of(result)]
            assert world.sent[: len(first)] == first
            assert len([one for one in world.sent if is_block({"role": "", **one})]) == 1
            assert len(world.sent) == len(messages) + 1
            assert world.stored()[len(before) :] == [[("user", QUESTION), ("assistant", "It is noon.")]]
            assert messages[2] == user(QUESTION)

    async def test_a_turn_that_is_repeated_is_stored_once(self, world: World) -> None:
        world.reply(self.dialect.says("Noted."), self.dialect.says("Noted."), self.dialect.says("So be it."))
        client = world.client()
        for _ in range(2):
            await settled(self.dialect.ask(client, [user(FACT)]))
        assert world.stored() == [[("user", FACT), ("assistant", "Noted.")]]
        await settled(self.dialect.ask(client, [user(FACT)]))
        assert world.stored()[1:] == [[("assistant", "So be it.")]]

    async def test_history_is_not_stored_again(self, world: World) -> None:
        client, chat = world.client(), []
        for number in range(3):
            world.reply(self.dialect.says(f"Answer {number}."))
            chat.append(user(f"Question {number}."))
            result = await settled(self.dialect.ask(client, chat))
            chat.append({"role": "assistant", "content": self.dialect.text_of(result)})
        expected = [[("user", f"Question {n}."), ("assistant", f"Answer {n}.")] for n in range(3)]
        assert world.stored() == expected

    async def test_images_and_other_parts_pass_through(self, world: World) -> None:
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
        kind = "input_text" if self.dialect.chat == "input" else "text"
        parts = [{"type": kind, "text": FACT, "cache_control": {"type": "ephemeral"}}, image]
        world.reply(self.dialect.says("Noted."), self.dialect.says("Noted."))
        await settled(self.dialect.ask(world.client(), [{"role": "user", "content": parts}]))
        assert world.sent == [{"role": "user", "content": parts}]
        await settled(self.dialect.ask(world.client("s2"), [{"role": "user", "content": iter(parts)}]))
        assert world.sent[-1]["content"] == parts
        assert world.stored()[0] == [("user", FACT), ("assistant", "Noted.")]

    async def test_a_client_without_memory_stays_one(self, world: World) -> None:
        client = world.client()
        copies = [client.with_options(timeout=7), client.copy(timeout=7), client.with_options().with_options(timeout=7)]
        for number, copy in enumerate(copies):
            world.reply(self.dialect.says(f"Noted {number}."))
            await settled(self.dialect.ask(copy, [user(f"{FACT} {number}")]))
            assert copy.timeout == 7
            assert type(copy) is type(world.mine)
        assert len(world.stored()) == 3
        await settled(client.close())
        await settled(copies[0].close())
        world.reply(self.dialect.says("It is 4711."))
        await settled(self.dialect.ask(world.mine, [user(QUESTION)]))
        assert world.sent == [user(QUESTION)]
        assert len(world.stored()) == 3

    async def test_another_memory_takes_the_place_of_the_first(self, world: World) -> None:
        world.stores("s0", FACT)
        world.reply(self.dialect.says("I do not know."))
        client = self.dialect.with_memory(world.client(), world.memory(user="bob"))
        await settled(self.dialect.ask(client, [user(QUESTION)]))
        assert FACT not in str(world.sent)
        ann, bob = ([*world.own.in_folder("/shop", one).controller.iter_conversations()] for one in ("ann", "bob"))
        assert (len(ann), len(bob)) == (1, 1)

    async def test_a_memory_that_is_down_does_not_stop_the_chat(self, world: World) -> None:
        world.reply(self.dialect.says("I do not know."))
        gone: Any = {
            "controller_url": "http://127.0.0.1:9",
            "api_key": "sk-gone-canary-key-with-32-characters",
            "max_retries": 0,
        }
        scope = Scope("shop", "ann")
        if world.kind == "async":
            async with AsyncSekhaClient(**gone) as sekha:
                client = self.dialect.with_memory(world.mine, AsyncMemory(sekha, scope))
                with pytest.warns(SekhaWarning):
                    result = await settled(self.dialect.ask(client, [user(QUESTION)]))
        else:
            with SekhaClient(**gone) as sekha:
                client = self.dialect.with_memory(world.mine, Memory(sekha, scope))
                with pytest.warns(SekhaWarning):
                    result = await settled(self.dialect.ask(client, [user(QUESTION)]))
        assert "unavailable" in str(world.sent[0])
        assert self.dialect.text_of(result) == "I do not know."

    async def test_nobody_sees_what_another_said(self, world: World) -> None:
        self.model_repeats(world)

        class Adapter:
            def __init__(self, name: str) -> None:
                self.client = dialect.with_memory(world.mine, world.memory(user=name).in_session(None))

            async def remember(self, messages: Any) -> None:
                await settled(dialect.ask(self.client, list(messages)))

            async def block(self, query: str) -> str:
                await settled(dialect.ask(self.client, [user(query)]))
                return json.dumps(world.sent, ensure_ascii=False)

        dialect = self.dialect
        await async_check_no_leak(Adapter, users=("ann", "Ann", "../ann", "42", "jose\u0301", "\U0001f642"))

    async def test_what_was_recalled_is_not_remembered(self, world: World) -> None:
        self.model_repeats(world)

        async def run_turn(session: str, text: str) -> Any:
            await settled(self.dialect.ask(world.client(session), [user(text)]))
            return world.sent

        await async_check_no_feedback_loop(run_turn, world.other.in_folder("/shop/ann"))

    def model_repeats(self, world: World) -> None:
        world.model.always(self.dialect.line, answer(self.dialect.says("I see.")))

    async def test_two_users_at_once_do_not_mix(self, world: World) -> None:
        self.model_repeats(world)
        names = [f"user {number}" for number in range(4)]
        clients = {name: world.client(user=name) for name in names}

        async def chat(name: str) -> None:
            for number in range(3):
                ask = partial(self.dialect.ask, clients[name], [user(f"I am {name}, turn {number}.")])
                await settled(await to_thread.run_sync(ask) if world.kind == "blocking" else ask())

        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(chat, name)
        for name in names:
            folder = world.own.in_folder(Scope("shop", name).folder)
            rows = list(folder.controller.iter_conversations())
            said = [m["content"] for row in rows for m in folder.controller.get_messages(row["conversation_id"])]
            assert sorted(text for text in said if text != "I see.") == [f"I am {name}, turn {n}." for n in range(3)]

    async def test_answers_with_their_response_are_covered(self, world: World) -> None:
        client = world.client()
        for number, streams in enumerate((False, True)):
            said = self.dialect.says(f"Answer {number}.")
            (world.stream if streams else world.reply)(said)
            raw = self.dialect.raw(client).with_raw_response
            options: Any = {"stream": True} if streams else {}
            response = await settled(self.dialect.ask(raw, [user(f"Question {number}.")], **options))
            assert response.headers["content-type"]
            parsed = await settled(response.parse())
            if streams:
                [chunk async for chunk in chunks_of(parsed)]
            else:
                assert self.dialect.text_of(parsed) == f"Answer {number}."
        assert world.stored() == [[("user", f"Question {n}."), ("assistant", f"Answer {n}.")] for n in range(2)]

    async def test_what_is_not_covered_is_refused_before_anything_is_sent(self, world: World) -> None:
        client = world.client()
        manager = self.dialect.ask(self.dialect.raw(client).with_streaming_response, [user(FACT)])
        with pytest.raises(SekhaValidationError, match=r"with_streaming_response.*supports"):
            await settled(manager.__aenter__() if hasattr(manager, "__aenter__") else manager.__enter__())
        assert world.model.seen == []

    async def test_messages_in_extra_body_are_covered(self, world: World) -> None:
        world.stores("s0", FACT)
        world.reply(self.dialect.says("It is 4711."))
        extra = {self.dialect.chat: [user(QUESTION)]}
        await settled(self.dialect.ask(world.client(), [user("Hi.")], extra_body=extra))
        assert [is_block(one) for one in world.sent] == [True, False]
        assert world.sent[-1] == user(QUESTION)
        assert world.stored()[1:] == [[("user", QUESTION), ("assistant", "It is 4711.")]]

    async def test_messages_that_are_none_are_named(self, world: World) -> None:
        chat = self.dialect.chat
        wrong: Any
        for wrong, field in ((5, chat), ({"role": "user"}, chat), ([user(FACT), 5], f"{chat}[1]")):
            with pytest.raises(SekhaValidationError, match=r"must be a") as caught:
                await settled(self.dialect.ask(world.client(), wrong))
            assert caught.value.field == field
        assert world.model.seen == []

    async def test_without_a_message_of_the_user_nothing_is_done(self, world: World) -> None:
        world.reply(self.dialect.says("Hi!"))
        await settled(self.dialect.ask(world.client(), [{"role": "assistant", "content": "Hi."}]))
        assert world.stored() == []

    async def test_arguments_are_checked(self, world: World) -> None:
        for arguments, field in (
            ((world.mine, "memory"), "memory"),
            (("client", world.memory()), "client"),
            ((world.mine, Memory), "memory"),
        ):
            with pytest.raises(SekhaValidationError) as caught:
                self.dialect.with_memory(*arguments)
            assert caught.value.field == field
        if world.kind == "blocking":
            with pytest.raises(SekhaValidationError, match=r"must be a Memory, not .*AsyncMemory"):
                self.dialect.with_memory(world.mine, AsyncMemory(world.other, Scope("shop", "ann")))
        for option in ({"limit": 0}, {"min_score": 2}, {"max_tokens": "many"}):
            with pytest.raises(SekhaValidationError) as caught:
                world.client(**option)
            assert [caught.value.field] == list(option)

    @pytest.mark.parametrize("kind", KINDS[1:], ids=" ".join)
    async def test_a_cancelled_turn_stores_nothing_twice(self, world: World) -> None:
        self.model_repeats(world)
        client = world.client()
        for wait in (0.0, 0.002, 0.005, 0.01, 0.02, 0.05):
            before = len(world.model.seen)
            with anyio.move_on_after(wait) as scope:
                await self.dialect.ask(client, [user(f"I waited {wait} s.")])
            assert scope.cancelled_caught or len(world.model.seen) == before + 1
            with anyio.CancelScope():
                await self.dialect.ask(client, [user(f"I waited {wait} s.")])
        said = [text for one in world.stored() for role, text in one if role == "user"]
        assert len(said) == len(set(said))
