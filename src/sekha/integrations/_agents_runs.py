"""What is known of the runs of the Agents SDK: which turn a session is in, and what was recalled for it.

It imports nothing of the SDK, so that it is tested and checked without it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, NoReturn, Optional, cast
from weakref import WeakKeyDictionary

from sekha._api.turns import last_user_text, open_turn
from sekha._api.validation import argument_error
from sekha._utils.public import class_name
from sekha.memory import AsyncTurn

Messages = Sequence[Mapping[str, Any]]

_METHODS = ("get_items", "add_items", "pop_item", "clear_session")
_MAX_TURNS = 100
"""Turns of one trace that are known, if a program puts many runs into a trace of its own."""


class TurnSession:
    """A session that keeps its history in another one, passes everything on, and knows when a turn is whole.

    Args:
        underlying: Any session of the SDK.
    """

    def __init__(self, underlying: Any) -> None:
        if isinstance(underlying, type) or not all(callable(getattr(underlying, name, None)) for name in _METHODS):
            problem = f"must be a session of the Agents SDK, with {', '.join(_METHODS)}, not {class_name(underlying)}"
            raise argument_error("underlying", problem)
        signatures = [inspect.signature(getattr(underlying, name)) for name in _METHODS]
        self._accepts_wrapper = all("wrapper" in signature.parameters for signature in signatures)
        self._open_turns: WeakKeyDictionary[object, list[Mapping[str, Any]]] = WeakKeyDictionary()
        self.underlying_session = underlying

    async def _remember(self, turn: Messages) -> None:
        """Remember a turn that is whole."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        """What only some sessions have, such as `run_compaction`."""
        if name == "underlying_session":  # it is not there yet
            raise AttributeError(name)
        return getattr(self.underlying_session, name)

    def __setattr__(self, name: str, value: object) -> None:
        """What only the other session has is set there."""
        if self._is_own(name):
            super().__setattr__(name, value)
        else:
            setattr(self.underlying_session, name, value)

    def __delattr__(self, name: str) -> None:
        if self._is_own(name):
            super().__delattr__(name)
        else:
            delattr(self.underlying_session, name)

    def __reduce__(self) -> NoReturn:
        problem = "cannot be pickled or copied, since its memory belongs to this process; wrap the session again"
        raise TypeError(f"{type(self).__name__} {problem}")

    def _is_own(self, name: str) -> bool:
        underlying: object = self.__dict__.get("underlying_session")
        return underlying is None or name in self.__dict__ or hasattr(type(self), name) or not hasattr(underlying, name)

    if not TYPE_CHECKING:  # for them it is what it is

        @property
        def __class__(self) -> type:
            """That of the other session: the SDK treats some of its own in other ways, and asks by `isinstance`."""
            return type(self.underlying_session)

    @property
    def session_id(self) -> Any:
        """The id of the other session."""
        return self.underlying_session.session_id

    @session_id.setter
    def session_id(self, value: str) -> None:
        self.underlying_session.session_id = value

    @property
    def session_settings(self) -> Any:
        """The settings of the other session."""
        return getattr(self.underlying_session, "session_settings", None)

    @session_settings.setter
    def session_settings(self, value: Any) -> None:
        self.underlying_session.session_settings = value

    async def get_items(self, limit: Optional[int] = None, *, wrapper: Any = None) -> Any:
        """The history."""
        if wrapper is None:  # a run begins with it, and before 0.20 that is the only sign
            self._open_turns.pop(_run_of(wrapper), None)
        return await self._pass_on("get_items", wrapper, limit)

    async def add_items(self, items: list[Any], *, wrapper: Any = None) -> None:
        """Add to the history, and remember the turn if the agent has answered."""
        run = _run_of(wrapper)
        turn = [*self._open_turns.get(run, ()), *items]
        is_whole = bool(items) and _role(items[-1]) == "assistant"
        if is_whole and not any(_role(item) == "user" for item in turn):  # it has begun in another task, or program
            turn = [*open_turn(await self._pass_on("get_items", wrapper)), *items]
        await self._pass_on("add_items", wrapper, items)
        if is_whole:
            self._open_turns.pop(run, None)
            await self._remember(turn)
        else:
            self._open_turns[run] = turn

    async def pop_item(self, *, wrapper: Any = None) -> Any:
        """Take the last item out of the history. What is remembered already stays so."""
        item = await self._pass_on("pop_item", wrapper)
        del self._open_turns.get(_run_of(wrapper), [])[-1:]
        return item

    async def clear_session(self, *, wrapper: Any = None) -> None:
        """Clear the history. What is remembered already stays so."""
        await self._pass_on("clear_session", wrapper)
        self._open_turns.clear()

    async def _pass_on(self, name: str, wrapper: Any, *arguments: object) -> Any:
        keywords = {"wrapper": wrapper} if self._accepts_wrapper and wrapper is not None else {}
        return await getattr(self.underlying_session, name)(*arguments, **keywords)


class RunTurns:
    """The turns of all runs that go on now: one for each message of the user in each run.

    A run is told by its trace, which it has also if tracing is disabled. A program may put several runs into a trace of
    its own: then a run is a new one if its first agent is called with nothing behind the user's message.

    Args:
        make_turn: Makes a turn.
        current_trace: Returns the trace of the run that goes on.
    """

    def __init__(self, make_turn: Callable[[], AsyncTurn], current_trace: Callable[[], object]) -> None:
        self._make_turn, self._current_trace = make_turn, current_trace
        self._turns: WeakKeyDictionary[object, dict[str, tuple[object, AsyncTurn]]] = WeakKeyDictionary()

    async def block(self, agent: object, items: Messages) -> str:
        """Return the memories for a call of the model; empty if nothing is to be put into it.

        Args:
            agent: The agent that calls it.
            items: What the model is given.
        """
        turns = self._turns.setdefault(self._current_trace() or asyncio.current_task(), {})
        text = last_user_text(items)
        if text.strip():
            first, turn = turns.pop(text, (agent, None))
            if turn is None or (first is agent and _role(items[-1]) == "user"):
                first, turn = agent, self._make_turn()
            turns[text] = first, turn
            if len(turns) > _MAX_TURNS:
                del turns[next(iter(turns))]
            return await turn.block(text)
        roles = {_role(item) for item in items}
        if not turns or "user" in roles or "assistant" not in roles:
            return ""  # an image; or OpenAI keeps the conversation, which has the memories from the first call
        return await [*turns.values()][-1][1].block(text)  # the history was made one text, for another agent


def _role(item: object) -> object:
    return cast("Mapping[str, object]", item).get("role") if isinstance(item, Mapping) else None


def _run_of(wrapper: Any) -> object:
    return wrapper or asyncio.current_task()
