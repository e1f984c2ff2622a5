"""Copies of the clients of OpenAI and Anthropic that have a memory.

All methods of these clients that ask a model end in ``client.post(path, body=...)``. There the memory is put: so it
holds for every helper on top of that, and what is not covered is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial, wraps
from inspect import isawaitable, iscoroutinefunction
from typing import Any, TypeVar, cast

from anyio import to_thread

from sekha.memory import AsyncMemory, Memory

from ._chat_calls import Call, Calls, Library, Reply
from ._shared import check_memory

T = TypeVar("T")


def add_memory(client: T, memory: Memory | AsyncMemory, library: Library, **options: Any) -> T:
    """Return a copy of a client with a memory.

    Args:
        client: The client.
        memory: The memory.
        library: What the client library can do.
        options: Those of `Memory.turn`.

    Raises:
        SekhaValidationError: The memory is none, or an `AsyncMemory` for a blocking client, or an option cannot be
            used.
    """
    if iscoroutinefunction(getattr(type(client), "post", None)):
        hook: _AnyHook = _AsyncHook(library, check_memory(memory, AsyncMemory, Memory), options)
    else:
        hook = _Hook(library, check_memory(memory, Memory), options)
    memory.turn(**options)  # invalid options raise an error now
    return hook.copy_of(client)


class _AnyHook:
    """What stands between a client and its ``post``, for all copies of one client with memory.

    Args:
        library: What the client library can do.
        memory: The memory.
        options: Those of `Memory.turn`.
    """

    post: Any
    close: Any

    def __init__(self, library: Library, memory: Memory | AsyncMemory, options: Mapping[str, Any]) -> None:
        self._library = library
        self._memory: Any = memory
        self._calls = Calls(library, memory, options)

    def copy_of(self, client: T, **changes: Any) -> T:
        """Return a copy of a client that has the memory, as have its own copies."""
        cls: Any = type(client)
        made: Any = cls.copy(client, **changes)  # if the client has a memory, a copy without it
        made.post = wraps(made.post)(partial(self.post, made.post))
        made.copy = made.with_options = wraps(made.copy)(partial(self.copy_of, made))
        made.close = self.close
        attributes: dict[str, Any] = dict(made.__dict__)
        for name, resource in attributes.items():
            if hasattr(resource, "_post"):  # it was made with the copy, and has its `post` without memory
                setattr(made, name, type(resource)(made))
        for name in {path.partition(".")[0] for path in self._library.connections}:
            if hasattr(cls, name):
                setattr(made, name, _Guarded(name, partial(_resource_of, made, name), self._library))
        return cast(T, made)


class _Hook(_AnyHook):
    def post(self, send: Callable[..., Any], path: str, **request: Any) -> Any:
        """Send a request, with memories if it is one of a chat."""
        call = self._calls.begin(path, request)
        if call is None:
            return send(path, **request)
        result = send(path, **call.with_memory(call.turn.with_memory(call.copies)))
        parsed = result.parse() if hasattr(result, "http_response") else result
        if request.get("stream"):
            parsed._iterator = self._pass_on(call, parsed._iterator)
        else:
            self._remember(call, call.endpoint.read(parsed))
        return result

    def close(self) -> None:
        """Close nothing: the connections are those of the client of which this is a copy."""

    def _pass_on(self, call: Call, chunks: Iterator[T]) -> Iterator[T]:
        read, reply = call.endpoint.reader(), None
        for chunk in chunks:
            if reply is None and (reply := read(chunk)) is not None:
                self._remember(call, reply)  # now, since many leave a stream at the last chunk
            yield chunk
        if reply is None:
            self._remember(call, None)

    def _remember(self, call: Call, reply: Reply | None) -> None:
        said = self._calls.end(call, reply)
        if said:
            self._memory.remember(said)


class _AsyncHook(_AnyHook):
    async def post(self, send: Callable[..., Any], path: str, **request: Any) -> Any:
        """Send a request, with memories if it is one of a chat."""
        call = self._calls.begin(path, request)
        if call is None:
            return await send(path, **request)
        result = await send(path, **call.with_memory(await self._ask(call.turn.with_memory, call.copies)))
        parsed = result.parse() if hasattr(result, "http_response") else result
        if isawaitable(parsed):
            parsed = await parsed
        if request.get("stream"):
            parsed._iterator = self._pass_on(call, parsed._iterator)
        else:
            await self._remember(call, call.endpoint.read(parsed))
        return result

    async def close(self) -> None:
        """Close nothing: the connections are those of the client of which this is a copy."""

    async def _pass_on(self, call: Call, chunks: AsyncIterator[T]) -> AsyncIterator[T]:
        read, reply = call.endpoint.reader(), None
        async for chunk in chunks:
            if reply is None and (reply := read(chunk)) is not None:
                await self._remember(call, reply)
            yield chunk
        if reply is None:
            await self._remember(call, None)

    async def _remember(self, call: Call, reply: Reply | None) -> None:
        said = self._calls.end(call, reply)
        if said:
            await self._ask(self._memory.remember, said)

    async def _ask(self, function: Callable[..., Any], argument: object) -> Any:
        """Call a method of the memory; one of a blocking memory in a worker thread."""
        return await (
            to_thread.run_sync(function, argument) if isinstance(self._memory, Memory) else function(argument)
        )


class _Guarded:
    """A part of a client in which some methods are refused. It is loaded when it is used, which may take a second.

    Args:
        path: Where it stands in the client.
        load: Returns the part.
        library: What the client library can do.
    """

    def __init__(self, path: str, load: Callable[[], object], library: Library) -> None:
        self._guarded = (path, load, library)

    def __getattr__(self, name: str) -> Any:
        path, load, library = self._guarded
        place, value = f"{path}.{name}", getattr(load(), name)
        if place in library.connections:
            return partial(_refuse, library, place)
        holds_some = any(one.startswith(f"{place}.") for one in library.connections)
        return _Guarded(place, lambda: value, library) if holds_some else value

    def __dir__(self) -> list[str]:
        return dir(self._guarded[1]())


def _resource_of(client: object, name: str) -> object:
    cls: Any = type(client)
    return getattr(cls, name).func(client)  # a cached property, whose value has another one in front of it


def _refuse(library: Library, path: str, *_: object, **__: object) -> None:
    raise library.refuse(path)
