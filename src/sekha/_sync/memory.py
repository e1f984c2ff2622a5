# Generated from src/sekha/_async/memory.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Memory of one user: recall before the model is called, remember after the turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Callable, Literal, Optional, TypeVar, Union, cast

from typing_extensions import Self

from sekha._api.arguments import MemoryRecallRequest
from sekha._api.chats import MAX_QUERY, is_memory_error
from sekha._api.memory_tools import (
    DEFAULT_RESULTS,
    NOT_REMEMBERED,
    NOT_SEARCHED,
    PERHAPS_REMEMBERED,
    REMEMBERED,
    nothing_to_remember,
    parse_tool_arguments,
    results_for_model,
    tool_schemas,
)
from sekha._api.prompts import UNAVAILABLE, Echoes, quote_results
from sekha._api.recalled import OnError, Recalled, StoredIds, ToolResult, check_on_error
from sekha._api.scopes import Scope
from sekha._api.turns import last_user_text, messages_to_remember, storable, text_of_chunk, with_block
from sekha._api.validation import argument_error, validate, wrong_object
from sekha._concurrency.misuse import MisuseGuard
from sekha._concurrency.primitives import Semaphore
from sekha._concurrency.process_bound import ProcessBound, make_view
from sekha._utils.frames import warn_user
from sekha._utils.public import class_name, exported_from
from sekha._utils.sentinel import drop_unset
from sekha.errors import SekhaError
from sekha.types import Conversation

from .client import SekhaClient

T = TypeVar("T")

MAX_TOKENS = 1000
"""Default maximum number of tokens of a block."""


@exported_from("sekha.memory")
class Memory(MisuseGuard, ProcessBound):
    """Memory of one user, for programs and frameworks that call a model themselves.

    Recall before the model is called, and remember after the turn. A memory is a view of a client: creating one sends
    nothing, and closing it closes nothing. The guide "Memory for agents" describes the rules.

    Args:
        client: A client, or a function that returns the client for a `Scope`, for tenants with separate controllers.
            The function is called once for each memory.
        scope: The application, user and session.
        on_error: Action if the memory fails: ``"warn"`` (default) issues a `SekhaWarning` and continues, ``"raise"``
            raises the error, and a function is called with the error before the call continues. Invalid arguments and
            settings always raise an error.

    Attributes:
        scope: The application, user and session.
        client: The view of the client that is restricted to this user's memory.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.

    Example:
        ```python
        from sekha.memory import Memory, Scope

        memory = Memory(client, Scope("shop", "ann", session="s1"))
        turn = [
            {"role": "user", "content": "We ship on Fridays."},
            {"role": "assistant", "content": "Noted."},
        ]
        memory.remember(turn)

        later = memory.in_session("s2")
        print([result["content"] for result in later.recall("When do we ship?", limit=1)])
        # ['We ship on Fridays.']
        ```
    """

    def __init__(
        self,
        client: Union[SekhaClient, Callable[[Scope], SekhaClient]],
        scope: Scope,
        *,
        on_error: OnError = "warn",
    ) -> None:
        check_on_error(on_error)
        self._source = client
        self._on_error = on_error
        self._stored = StoredIds()
        self._enter(scope)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.scope} of {self.client}>"

    def _enter(self, scope: Scope) -> None:
        if not isinstance(cast(object, scope), Scope):
            raise argument_error("scope", f"must be a Scope, not {class_name(scope)}")
        source: Any = self._source
        found: object = source if isinstance(source, SekhaClient) or not callable(source) else source(scope)
        if not isinstance(found, SekhaClient):
            raise wrong_object("client", "must be an SekhaClient, or a function that returns one", found)
        self.scope: Scope = scope
        self.client: SekhaClient = found.in_folder(scope.folder)

    def in_scope(self, scope: Scope) -> Self:
        """Return the memory of another scope, which shares the record of stored messages.

        Args:
            scope: The application, user and session.

        Raises:
            SekhaValidationError: The argument is not a scope.

        Example:
            ```python
            from sekha.memory import Memory, Scope

            memory = Memory(client, Scope("shop", "ann"))
            print(memory.in_scope(Scope("shop", "bob")).client.folder)  # /shop/bob
            ```
        """
        view = make_view(self)
        view._enter(scope)
        return view

    def in_session(self, session: Optional[str]) -> Self:
        """Return the memory of the same user in another session.

        Args:
            session: The current session; None for none.

        Raises:
            SekhaValidationError: The session is blank or not a text.

        Example:
            ```python
            from sekha.memory import Memory, Scope

            memory = Memory(client, Scope("shop", "ann", session="s1")).in_session("s2")
            print(memory.scope.session)  # s2
            ```
        """
        return self.in_scope(replace(self.scope, session=session))

    def recall(self, query: str, *, limit: int = DEFAULT_RESULTS, min_score: Optional[float] = None) -> Recalled:
        """Search the user's other sessions; return results best first, without duplicate texts.

        A hybrid search, like `MemoryController.query` in the view of a folder. Messages of the current session are
        excluded, since the model already receives them.

        Args:
            query: Text to search for; the first 2,000 characters are used. With a blank query, no request is made and
                the result is empty.
            limit: Maximum number of results, 1 or more.
            min_score: Minimum score of a result, 0 to 1; default: none. A suitable value depends on the embedding
                model.

        Returns:
            Results with ``content``, ``score``, ``label`` and ``timestamp``; ``error`` is the reason if the search
            failed.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.

        Example:
            ```python
            from sekha.memory import Memory, Scope

            memory = Memory(client, Scope("shop", "ann"))
            for result in memory.recall("When do we ship?", min_score=0.2):
                print(result["timestamp"][:10], result["label"], result["content"])
            ```
        """
        request = _request(query, limit=limit, min_score=min_score)
        return self._recall(request, Echoes(()))

    def block(
        self,
        query: str,
        *,
        limit: int = DEFAULT_RESULTS,
        min_score: Optional[float] = None,
        max_tokens: int = MAX_TOKENS,
    ) -> str:
        """Return the results of `recall` as quoted data for a prompt.

        Put the block before the user's message, never into `system`. An earlier message with the same text as the query
        is omitted. `with_block` inserts a block at the right position.

        Args:
            query: The current message of the user.
            limit: As for `recall`.
            min_score: As for `recall`.
            max_tokens: Maximum number of tokens, counted as four bytes each. Results that do not fit are omitted; if
                none fits, the best one is shortened.

        Returns:
            The block; empty if nothing was found. If the search failed, the block states that.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.

        Example:
            ```python
            from sekha.memory import Memory, Scope

            memory = Memory(client, Scope("shop", "ann"))
            print(
                memory.block("Who knows about ships?") or "nothing is remembered"
            )  # nothing is remembered
            ```
        """
        request = _request(query, limit=limit, min_score=min_score, max_tokens=max_tokens)
        found = self._recall(request, Echoes([{"content": query}]))
        if found.error is not None:
            return UNAVAILABLE
        return quote_results(found, request.get("max_tokens", MAX_TOKENS))

    def remember(
        self, messages: Sequence[Mapping[str, object]], *, tool_results: bool = False
    ) -> Optional[Conversation]:
        """Store a turn: the texts of the user and the assistant.

        Blocks of memories, `system` messages, tool calls and thoughts are not stored. A message whose ``id`` was stored
        before, by this memory or one derived from it, is not stored again. Nothing is stored twice: a message whose
        outcome is unknown counts as stored. Characters that servers reject (NUL, lone surrogates) are replaced with
        U+FFFD.

        Args:
            messages: The messages of the turn, in the format of OpenAI or Anthropic; messages with an ``id`` may
                include those of earlier turns.
            tool_results: Whether to also store tool results, as ``[name] text``.

        Returns:
            The stored conversation; None if there was nothing to store, or storing failed.

        Raises:
            SekhaValidationError: The messages are not a list of dictionaries.
            SekhaError: Nothing was stored, or the outcome is unknown (``may_have_been_applied``), and ``on_error`` is
                ``"raise"``.

        Example:
            ```python
            from sekha.memory import Memory, Scope

            memory = Memory(client, Scope("shop", "ann", session="s1"))
            turn = [{"id": "m1", "role": "user", "content": "I like tea."}]
            stored = memory.remember(turn)
            print(stored["label"], memory.remember(turn))  # s1 None
            ```
        """
        try:
            return self._store(messages, tool_results=tool_results)
        except SekhaError as error:
            if self._raises(error):
                raise
            self._report(error, "the turn was not stored")
            return None

    def remember_stream(
        self,
        messages: Sequence[Mapping[str, object]],
        chunks: Iterable[T],
        *,
        text_of: Optional[Callable[[T], Optional[str]]] = None,
        tool_results: bool = False,
    ) -> Iterator[T]:
        """Iterate over the chunks of an answer, and store the turn when the stream has ended successfully.

        If the stream fails, or you stop before its end, nothing is stored.

        Args:
            messages: The messages before the answer, as for `remember`.
            chunks: The answer: texts, or chunks as from `BridgeClient.stream_complete`.
            text_of: Returns the text that a chunk adds to the answer; required for chunks of other types.
            tool_results: As for `remember`.

        Raises:
            SekhaError: Storing the complete answer failed, and ``on_error`` is ``"raise"``.

        Example:
            ```python
            from sekha.memory import Memory, Scope

            memory = Memory(client, Scope("shop", "ann"))
            turn = [{"role": "user", "content": "Tell me about ships."}]
            chunks = client.bridge.stream_complete(turn)
            for chunk in memory.remember_stream(turn, chunks):
                print(chunk["choices"][0]["delta"].get("content") or "", end="")
            ```
        """
        said: list[str] = []
        for chunk in chunks:
            said.append((text_of or text_of_chunk)(chunk) or "")
            yield chunk
        self.remember([*messages, {"role": "assistant", "content": "".join(said)}], tool_results=tool_results)

    def turn(
        self, *, limit: int = DEFAULT_RESULTS, min_score: Optional[float] = None, max_tokens: int = MAX_TOKENS
    ) -> Turn:
        """Return a turn of a chat, in which the memory is searched once, however often the model is called.

        Args:
            limit: As for `block`.
            min_score: As for `block`.
            max_tokens: As for `block`.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.

        Example:
            ```python
            from sekha.memory import Memory, Scope

            turn = Memory(client, Scope("shop", "ann")).turn()
            chat = [{"role": "user", "content": "When do we ship?"}]
            request = turn.with_memory(
                chat
            )  # for each call of the model; `chat` stays as it is
            ```
        """
        _request("", limit=limit, min_score=min_score, max_tokens=max_tokens)
        return Turn(self, limit=limit, min_score=min_score, max_tokens=max_tokens)

    def tool_schemas(self, format: Literal["openai", "anthropic"] = "openai") -> list[dict[str, Any]]:
        """Return the schemas of the tools ``search_memory`` and ``remember`` for a model.

        Args:
            format: ``"openai"`` (chat completions) or ``"anthropic"``.

        Raises:
            SekhaValidationError: The format is not supported.

        Example:
            ```python
            from sekha.memory import Memory, Scope

            tools = Memory(client, Scope("shop", "ann")).tool_schemas("anthropic")
            print([tool["name"] for tool in tools])  # ['search_memory', 'remember']
            ```
        """
        return tool_schemas(format)

    def call_tool(self, name: str, arguments: Union[str, Mapping[str, object]]) -> ToolResult:
        """Call a tool for a model. A failure is returned as a result with `ToolResult.is_error`.

        Args:
            name: ``search_memory`` or ``remember``.
            arguments: The arguments from the model: a dictionary, or a JSON object as text.

        Returns:
            The text for the model. Search results are quoted with time and label, and shortened to at most 400
            characters around the words of the query.

        Raises:
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.

        Example:
            ```python
            from sekha.memory import Memory, Scope

            memory = Memory(client, Scope("shop", "ann"))
            print(memory.call_tool("remember", {"text": "Ann likes tea."}))  # Remembered.
            result = memory.call_tool("search_memory", '{"limit": 3}')
            print(result.is_error, result)  # True query: is required
            ```
        """
        try:
            parsed: Mapping[str, Any] = parse_tool_arguments(name, arguments)
        except SekhaError as error:
            return ToolResult(error.message, error)
        if "query" in parsed:
            found = self.recall(parsed["query"], limit=parsed.get("limit", DEFAULT_RESULTS))
            return ToolResult(
                results_for_model(found, parsed["query"]) if found.error is None else NOT_SEARCHED, found.error
            )
        try:
            stored = self._store([{"role": "assistant", "content": parsed["text"]}])
        except SekhaError as error:
            if self._raises(error):
                raise
            self._report(error, "the fact from the model was not stored")
            return ToolResult(PERHAPS_REMEMBERED if error.may_have_been_applied else NOT_REMEMBERED, error)
        return ToolResult(REMEMBERED) if stored is not None else nothing_to_remember()

    def close(self) -> None:
        """Close nothing: a memory borrows the client, which its owner closes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]] = None,
        exc: Optional[BaseException] = None,
        traceback: Optional[TracebackType] = None,
    ) -> None:
        self.close()

    def _recall(self, request: MemoryRecallRequest, echoes: Echoes) -> Recalled:
        query = request["query"].strip()[:MAX_QUERY].strip()
        if not query:
            return Recalled()
        running = [] if self.scope.session is None else [self.scope.session]
        try:
            found = self.client.controller._find(
                query,
                limit=request.get("limit", DEFAULT_RESULTS),
                filters={"exclude_labels": running},
                min_score=request.get("min_score"),
                hybrid=True,
                is_echo=echoes,
            )
        except SekhaError as error:
            if self._raises(error):
                raise
            self._report(error, "the memory search failed, and nothing is recalled")
            return Recalled(error=error)
        return Recalled(found.results)

    def _store(
        self, messages: Sequence[Mapping[str, object]], *, tool_results: bool = False
    ) -> Optional[Conversation]:
        """Store the messages of a turn that are not stored yet."""
        kept = messages_to_remember(messages, tool_results=tool_results)
        claimed = self._stored.claim((self.scope, one.id) for one in kept if one.id is not None)
        new = [one for one in kept if one.id is None or (self.scope, one.id) in claimed]
        if not new:
            return None
        plain = [{"role": one.role, "content": one.content} for one in new]
        try:
            return self.client.controller.create_conversation(messages=plain, label=self.scope.session)
        except SekhaError as error:
            if not error.may_have_been_applied:
                self._stored.release(claimed)
            raise

    def _raises(self, error: SekhaError) -> bool:
        return self._on_error == "raise" or not is_memory_error(error)

    def _report(self, error: SekhaError, problem: str) -> None:
        if callable(self._on_error):
            self._on_error(error)
        else:
            warn_user(f"{problem}: {error}")


def _request(query: object, **options: object) -> MemoryRecallRequest:
    """Return the validated arguments of a recall."""
    text = storable(query) if isinstance(query, str) else query
    return validate(MemoryRecallRequest, drop_unset(query=text, **options))


@exported_from("sekha.memory")
class Turn:
    """One turn of a chat: the memory is searched once, and each call of the model gets the same block.

    Create one with `Memory.turn` for each turn.
    """

    def __init__(self, memory: Memory, *, limit: int, min_score: Optional[float], max_tokens: int) -> None:
        self._memory = memory
        self._options: dict[str, Any] = {"limit": limit, "min_score": min_score, "max_tokens": max_tokens}
        self._asking = Semaphore(1)
        self._block: str | None = None

    def block(self, query: str) -> str:
        """Return the block of `Memory.block` for the first query of this turn.

        Args:
            query: The current message of the user; only the first call uses it.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.

        Example:
            ```python
            from sekha.memory import Memory, Scope

            turn = Memory(client, Scope("shop", "ann")).turn()
            print(
                turn.block("When do we ship?") == turn.block("something else")
            )  # True
            ```
        """
        slot = self._asking.slot()
        try:
            slot.acquire(None)
            if self._block is None:
                self._block = self._memory.block(query, **self._options)
            return self._block
        finally:
            slot.release()

    def with_memory(self, messages: Sequence[Mapping[str, object]]) -> list[dict[str, Any]]:
        """Return the messages for a call of the model, with the block before the last user message; see `with_block`.

        Args:
            messages: The chat, including the tool calls of this turn and their results, if any.

        Raises:
            SekhaValidationError: The messages are not a list of dictionaries; ``field`` is the position.
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.

        Example:
            ```python
            from sekha.memory import Memory, Scope

            turn = Memory(client, Scope("shop", "ann")).turn()
            print(turn.with_memory([{"role": "user", "content": "When do we ship?"}]))
            # [{'role': 'user', 'content': 'When do we ship?'}]
            ```
        """
        return with_block(messages, self.block(last_user_text(messages)))
