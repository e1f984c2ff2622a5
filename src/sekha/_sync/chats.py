# Generated from src/sekha/_async/chats.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Workflows with a model: an answer to a prompt or a chat, with what the memory knows, whole or as a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Optional

from sekha._api.chats import Chat, parse_chat
from sekha._api.prompts import Prompt
from sekha._concurrency.enterable import enterable
from sekha._utils.sentinel import drop_unset
from sekha.types import MemoryCompletion

from .bridge import BridgeClient
from .recall import Recall
from .stream import MemoryStream


class ChatWorkflows(Recall):
    """The workflows of `SekhaClient` that ask a model."""

    def complete_with_context(
        self,
        prompt: Optional[str] = None,
        context_query: Optional[str] = None,
        *,
        messages: Optional[Sequence[Mapping[str, object]]] = None,
        context_budget: int = 4000,
        preferred_labels: Optional[Sequence[str]] = None,
        excluded_folders: Optional[Sequence[str]] = None,
        folders: Optional[Sequence[str]] = None,
        roles: Optional[Sequence[str]] = None,
        min_score: Optional[float] = None,
        hybrid: Optional[bool] = None,
        on_memory_error: Literal["raise", "ignore"] = "raise",
        system: Optional[str] = None,
        model: Optional[str] = None,
        temperature: Optional[float] = None,
        max_tokens: Optional[int] = None,
        extra_body: Optional[Mapping[str, object]] = None,
    ) -> MemoryCompletion:
        """A model's answer to a prompt or a chat, with what the memory knows put before the prompt.

        `MemoryController.assemble_context`, then `BridgeClient.complete`. What is remembered goes into the
        user message as quoted data with its origin; it never speaks with a role of its own. What stands in the chat
        already is left out, and so is what would be there twice.

        Args:
            prompt: What to ask, not blank; needed unless the last of ``messages`` is the user's.
            context_query: What to remember; default: the text of the prompt, its first 2,000 characters.
            messages: The chat so far; without ``prompt`` its last message is the prompt. They are not changed, and
                only the prompt gets the memories.
            context_budget: Tokens of memory at most, 0 or more.
            preferred_labels: Labels whose conversations come first.
            excluded_folders: Folders to leave out, with all that is below them.
            folders: Folders to stay in, with all that is below them.
            roles: Roles of the messages that are remembered, such as ``["user"]``.
            min_score: Score of what is remembered at least, 0 to 1; default: any. A good floor belongs to one
                embedding model.
            hybrid: Whether words are searched for besides meanings, which takes two requests more; default: as for
                `MemoryController.assemble_context`.
            on_memory_error: What to do if the memory cannot be asked: ``"raise"`` the error, or ``"ignore"`` it: ask
                the model without memories, and warn. With a ``deadline``, the memory has half of it then.
            system: Your own instruction to the model; it comes first.
            model: Name of a model; default: the bridge chooses.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Tokens of the answer at most; default: the bridge's 2000.
            extra_body: Further keys of the request to the bridge; see `BridgeClient.complete`.

        Returns:
            The answer, as from `BridgeClient.complete`, with ``memories``: what was put before the model, in that
            order; with ``memory_error`` if the memory could not be asked.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            response = client.complete_with_context(
                prompt="Continue our architecture discussion", context_query="architecture decisions", model="gpt-4"
            )
            print(response["choices"][0]["message"]["content"])
            print([memory["label"] for memory in response["memories"]])
            ```
        """
        chat = parse_chat(
            drop_unset(
                prompt=prompt,
                context_query=context_query,
                messages=messages,
                context_budget=context_budget,
                preferred_labels=preferred_labels,
                excluded_folders=excluded_folders,
                folders=folders,
                roles=roles,
                min_score=min_score,
                hybrid=hybrid,
                on_memory_error=on_memory_error,
                system=system,
                model=model,
                temperature=temperature,
                max_tokens=max_tokens,
                extra_body=extra_body,
            ),
            searches=False,
        )
        return self._complete(chat)

    @enterable
    def stream_with_context(
        self,
        prompt: Optional[str] = None,
        context_query: Optional[str] = None,
        *,
        messages: Optional[Sequence[Mapping[str, object]]] = None,
        context_budget: int = 4000,
        preferred_labels: Optional[Sequence[str]] = None,
        excluded_folders: Optional[Sequence[str]] = None,
        folders: Optional[Sequence[str]] = None,
        roles: Optional[Sequence[str]] = None,
        min_score: Optional[float] = None,
        hybrid: Optional[bool] = None,
        on_memory_error: Literal["raise", "ignore"] = "raise",
        system: Optional[str] = None,
        model: Optional[str] = None,
        temperature: Optional[float] = None,
        max_tokens: Optional[int] = None,
        extra_body: Optional[Mapping[str, object]] = None,
    ) -> MemoryStream:
        """The same as `complete_with_context`, piece by piece as the answer comes.

        `MemoryController.assemble_context`, then `BridgeClient.stream_complete`.

        Args:
            prompt: What to ask, not blank; needed unless the last of ``messages`` is the user's.
            context_query: What to remember; default: the text of the prompt, its first 2,000 characters.
            messages: The chat so far; without ``prompt`` its last message is the prompt. They are not changed, and
                only the prompt gets the memories.
            context_budget: Tokens of memory at most, 0 or more.
            preferred_labels: Labels whose conversations come first.
            excluded_folders: Folders to leave out, with all that is below them.
            folders: Folders to stay in, with all that is below them.
            roles: Roles of the messages that are remembered, such as ``["user"]``.
            min_score: Score of what is remembered at least, 0 to 1; default: any. A good floor belongs to one
                embedding model.
            hybrid: Whether words are searched for besides meanings, which takes two requests more; default: as for
                `MemoryController.assemble_context`.
            on_memory_error: What to do if the memory cannot be asked: ``"raise"`` the error, or ``"ignore"`` it: ask
                the model without memories, and warn. With a ``deadline``, the memory has half of it then.
            system: Your own instruction to the model; it comes first.
            model: Name of a model; default: the bridge chooses.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Tokens of the answer at most; default: the bridge's 2000.
            extra_body: Further keys of the request to the bridge; see `BridgeClient.complete`.

        Returns:
            A stream of chunks, with ``memories`` at once; see `MemoryStream`.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            with client.stream_with_context("Explain our deployment strategy") as stream:
                for text in stream.text_stream():
                    print(text, end="", flush=True)
                print([memory["label"] for memory in stream.memories])
            ```
        """
        chat = parse_chat(
            drop_unset(
                prompt=prompt,
                context_query=context_query,
                messages=messages,
                context_budget=context_budget,
                preferred_labels=preferred_labels,
                excluded_folders=excluded_folders,
                folders=folders,
                roles=roles,
                min_score=min_score,
                hybrid=hybrid,
                on_memory_error=on_memory_error,
                system=system,
                model=model,
                temperature=temperature,
                max_tokens=max_tokens,
                extra_body=extra_body,
            ),
            searches=False,
        )
        return self._stream(chat)

    def complete_with_memory(
        self,
        prompt: Optional[str] = None,
        search_query: Optional[str] = None,
        *,
        messages: Optional[Sequence[Mapping[str, object]]] = None,
        limit: int = 5,
        filters: Optional[Mapping[str, object]] = None,
        min_score: Optional[float] = None,
        hybrid: bool = True,
        on_memory_error: Literal["raise", "ignore"] = "raise",
        system: Optional[str] = None,
        model: Optional[str] = None,
        temperature: Optional[float] = None,
        max_tokens: Optional[int] = None,
        extra_body: Optional[Mapping[str, object]] = None,
    ) -> MemoryCompletion:
        """A model's answer to a prompt or a chat, with the hits of a search put after the prompt.

        `MemoryController.query`, then `BridgeClient.complete`. The hits go into the user message as quoted
        data with their origin. What stands in the chat already is left out, and so is what would be there twice.

        Args:
            prompt: What to ask, not blank; it may end in a colon; needed unless the last of ``messages`` is the user's.
            search_query: What to look for; default: the text of the prompt, its first 2,000 characters.
            messages: The chat so far; without ``prompt`` its last message is the prompt. They are not changed, and
                only the prompt gets the memories.
            limit: Hits at most, 1 or more.
            filters: As for `MemoryController.query`.
            min_score: As for `MemoryController.query`: with a floor, an unrelated question gets no memories.
            hybrid: Whether words are searched for besides meanings, which takes one request more, and sometimes a few.
            on_memory_error: What to do if the memory cannot be asked: ``"raise"`` the error, or ``"ignore"`` it: ask
                the model without memories, and warn. With a ``deadline``, the memory has half of it then.
            system: Your own instruction to the model; it comes first.
            model: Name of a model; default: the bridge chooses.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Tokens of the answer at most; default: the bridge's 2000.
            extra_body: Further keys of the request to the bridge; see `BridgeClient.complete`.

        Returns:
            The answer, as from `BridgeClient.complete`, with ``memories``: what was put before the model, in that
            order; with ``memory_error`` if the memory could not be asked.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            response = client.complete_with_memory(
                prompt="Summarize our past discussions about:", search_query="architecture microservices", limit=5
            )
            print(response["choices"][0]["message"]["content"])
            print([(memory["score"], memory["label"]) for memory in response["memories"]])
            ```
        """
        chat = parse_chat(
            drop_unset(
                prompt=prompt,
                search_query=search_query,
                messages=messages,
                limit=limit,
                filters=filters,
                min_score=min_score,
                hybrid=hybrid,
                on_memory_error=on_memory_error,
                system=system,
                model=model,
                temperature=temperature,
                max_tokens=max_tokens,
                extra_body=extra_body,
            ),
            searches=True,
        )
        return self._complete(chat)

    @enterable
    def stream_with_memory(
        self,
        prompt: Optional[str] = None,
        search_query: Optional[str] = None,
        *,
        messages: Optional[Sequence[Mapping[str, object]]] = None,
        limit: int = 5,
        filters: Optional[Mapping[str, object]] = None,
        min_score: Optional[float] = None,
        hybrid: bool = True,
        on_memory_error: Literal["raise", "ignore"] = "raise",
        system: Optional[str] = None,
        model: Optional[str] = None,
        temperature: Optional[float] = None,
        max_tokens: Optional[int] = None,
        extra_body: Optional[Mapping[str, object]] = None,
    ) -> MemoryStream:
        """The same as `complete_with_memory`, piece by piece as the answer comes.

        `MemoryController.query`, then `BridgeClient.stream_complete`.

        Args:
            prompt: What to ask, not blank; it may end in a colon; needed unless the last of ``messages`` is the user's.
            search_query: What to look for; default: the text of the prompt, its first 2,000 characters.
            messages: The chat so far; without ``prompt`` its last message is the prompt. They are not changed, and
                only the prompt gets the memories.
            limit: Hits at most, 1 or more.
            filters: As for `MemoryController.query`.
            min_score: As for `MemoryController.query`: with a floor, an unrelated question gets no memories.
            hybrid: Whether words are searched for besides meanings, which takes one request more, and sometimes a few.
            on_memory_error: What to do if the memory cannot be asked: ``"raise"`` the error, or ``"ignore"`` it: ask
                the model without memories, and warn. With a ``deadline``, the memory has half of it then.
            system: Your own instruction to the model; it comes first.
            model: Name of a model; default: the bridge chooses.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Tokens of the answer at most; default: the bridge's 2000.
            extra_body: Further keys of the request to the bridge; see `BridgeClient.complete`.

        Returns:
            A stream of chunks, with ``memories`` at once; see `MemoryStream`.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: There is no ``bridge_url``.
            SekhaError: It failed.

        Example:
            ```python
            with client.stream_with_memory("Explain our deployment strategy", limit=3) as stream:
                for text in stream.text_stream():
                    print(text, end="", flush=True)
            ```
        """
        chat = parse_chat(
            drop_unset(
                prompt=prompt,
                search_query=search_query,
                messages=messages,
                limit=limit,
                filters=filters,
                min_score=min_score,
                hybrid=hybrid,
                on_memory_error=on_memory_error,
                system=system,
                model=model,
                temperature=temperature,
                max_tokens=max_tokens,
                extra_body=extra_body,
            ),
            searches=True,
        )
        return self._stream(chat)

    def _complete(self, chat: Chat) -> MemoryCompletion:
        """Ask the memory, then the model, within one deadline."""
        bridge, prompt = self._prompt(chat)
        return prompt.completed(bridge.complete(prompt.messages, **chat.completion))

    def _stream(self, chat: Chat) -> MemoryStream:
        """Ask the memory, then the model for a stream, within one deadline."""
        bridge, prompt = self._prompt(chat)
        stream = bridge.stream_complete(prompt.messages, **chat.completion)
        return MemoryStream(stream, prompt.memories, prompt.memory_error)

    def _prompt(self, chat: Chat) -> tuple[BridgeClient, Prompt]:
        """Ask the memory; return the bridge with what is left of the deadline, and what to ask it."""
        view = self._start_deadline()
        view.bridge._transport.require_configured()  # before the memory is asked in vain
        return view.bridge, view._recall(chat)
