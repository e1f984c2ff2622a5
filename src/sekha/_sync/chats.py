# Generated from src/sekha/_async/chats.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Workflows with a model: complete or stream an answer to a prompt or a chat, with memories."""

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
    """The workflows of `SekhaClient` that call a model."""

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
        """Return a model's answer to a prompt or a chat, with relevant memories before the prompt.

        `MemoryController.assemble_context`, then `BridgeClient.complete`. Memories are added to the user
        message as quoted data with their origin, never as messages with a role of their own. Memories that are already
        in the chat, and duplicates, are omitted.

        Args:
            prompt: The user's prompt, not blank; required unless the last message of ``messages`` is from the user.
            context_query: Query for the context; default: the first 2,000 characters of the prompt.
            messages: The chat so far; without ``prompt``, its last message is the prompt. The list is not changed;
                memories are added to the prompt only.
            context_budget: Maximum number of tokens of memory, 0 or more.
            preferred_labels: Labels of conversations to rank first.
            excluded_folders: Folders to exclude, including their subfolders.
            folders: Folders to search, including their subfolders; default: all.
            roles: Roles of the messages to recall, such as ``["user"]``; default: all.
            min_score: Minimum score of a memory, 0 to 1; default: none. A suitable value depends on the embedding
                model.
            hybrid: Whether to add a full-text search, which takes two more requests; default: as for
                `MemoryController.assemble_context`.
            on_memory_error: Action if the memory search fails: ``"raise"`` the error, or ``"ignore"`` it, that is, warn
                and call the model without memories. With ``"ignore"``, the search may take at most half of a
                ``deadline``.
            system: Your own system message; it comes first.
            model: Name of a model; default: chosen by the bridge.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Maximum number of tokens in the answer; default: the bridge's 2000.
            extra_body: Additional keys of the request to the bridge; see `BridgeClient.complete`.

        Returns:
            The completion, as from `BridgeClient.complete`, with ``memories``, the memories in the prompt in
            order, and ``memory_error`` if the memory search failed.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            response = client.complete_with_context(
                prompt="Continue our architecture discussion",
                context_query="architecture decisions",
                model="gpt-4",
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
        """Stream an answer; otherwise like `complete_with_context`.

        `MemoryController.assemble_context`, then `BridgeClient.stream_complete`.

        Args:
            prompt: The user's prompt, not blank; required unless the last message of ``messages`` is from the user.
            context_query: Query for the context; default: the first 2,000 characters of the prompt.
            messages: The chat so far; without ``prompt``, its last message is the prompt. The list is not changed;
                memories are added to the prompt only.
            context_budget: Maximum number of tokens of memory, 0 or more.
            preferred_labels: Labels of conversations to rank first.
            excluded_folders: Folders to exclude, including their subfolders.
            folders: Folders to search, including their subfolders; default: all.
            roles: Roles of the messages to recall, such as ``["user"]``; default: all.
            min_score: Minimum score of a memory, 0 to 1; default: none. A suitable value depends on the embedding
                model.
            hybrid: Whether to add a full-text search, which takes two more requests; default: as for
                `MemoryController.assemble_context`.
            on_memory_error: Action if the memory search fails: ``"raise"`` the error, or ``"ignore"`` it, that is, warn
                and call the model without memories. With ``"ignore"``, the search may take at most half of a
                ``deadline``.
            system: Your own system message; it comes first.
            model: Name of a model; default: chosen by the bridge.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Maximum number of tokens in the answer; default: the bridge's 2000.
            extra_body: Additional keys of the request to the bridge; see `BridgeClient.complete`.

        Returns:
            A stream of chunks, on which ``memories`` is available immediately; see `MemoryStream`.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaError: Any other failure; see `sekha.errors`.

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
        """Return a model's answer to a prompt or a chat, with search results after the prompt.

        `MemoryController.query`, then `BridgeClient.complete`. Results are added to the user message as
        quoted data with their origin. Results that are already in the chat, and duplicates, are omitted.

        Args:
            prompt: The user's prompt, not blank; required unless the last message of ``messages`` is from the user.
            search_query: Query for the search; default: the first 2,000 characters of the prompt.
            messages: The chat so far; without ``prompt``, its last message is the prompt. The list is not changed;
                memories are added to the prompt only.
            limit: Maximum number of results, 1 or more.
            filters: As for `MemoryController.query`.
            min_score: As for `MemoryController.query`: with a minimum, an unrelated question gets no memories.
            hybrid: Whether to add a full-text search, which takes one more request, sometimes a few.
            on_memory_error: Action if the memory search fails: ``"raise"`` the error, or ``"ignore"`` it, that is, warn
                and call the model without memories. With ``"ignore"``, the search may take at most half of a
                ``deadline``.
            system: Your own system message; it comes first.
            model: Name of a model; default: chosen by the bridge.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Maximum number of tokens in the answer; default: the bridge's 2000.
            extra_body: Additional keys of the request to the bridge; see `BridgeClient.complete`.

        Returns:
            The completion, as from `BridgeClient.complete`, with ``memories``, the memories in the prompt in
            order, and ``memory_error`` if the memory search failed.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            response = client.complete_with_memory(
                prompt="Summarize our past discussions about:",
                search_query="architecture microservices",
                limit=5,
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
        """Stream an answer; otherwise like `complete_with_memory`.

        `MemoryController.query`, then `BridgeClient.stream_complete`.

        Args:
            prompt: The user's prompt, not blank; required unless the last message of ``messages`` is from the user.
            search_query: Query for the search; default: the first 2,000 characters of the prompt.
            messages: The chat so far; without ``prompt``, its last message is the prompt. The list is not changed;
                memories are added to the prompt only.
            limit: Maximum number of results, 1 or more.
            filters: As for `MemoryController.query`.
            min_score: As for `MemoryController.query`: with a minimum, an unrelated question gets no memories.
            hybrid: Whether to add a full-text search, which takes one more request, sometimes a few.
            on_memory_error: Action if the memory search fails: ``"raise"`` the error, or ``"ignore"`` it, that is, warn
                and call the model without memories. With ``"ignore"``, the search may take at most half of a
                ``deadline``.
            system: Your own system message; it comes first.
            model: Name of a model; default: chosen by the bridge.
            temperature: 0 to 2; default: the bridge's 0.7.
            max_tokens: Maximum number of tokens in the answer; default: the bridge's 2000.
            extra_body: Additional keys of the request to the bridge; see `BridgeClient.complete`.

        Returns:
            A stream of chunks, on which ``memories`` is available immediately; see `MemoryStream`.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaConfigError: ``bridge_url`` is not set.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python
            with client.stream_with_memory(
                "Explain our deployment strategy", limit=3
            ) as stream:
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
        """Search the memory, then call the model, within one deadline."""
        bridge, prompt = self._prompt(chat)
        return prompt.completed(bridge.complete(prompt.messages, **chat.completion))

    def _stream(self, chat: Chat) -> MemoryStream:
        """Search the memory, then call the model for a stream, within one deadline."""
        bridge, prompt = self._prompt(chat)
        stream = bridge.stream_complete(prompt.messages, **chat.completion)
        return MemoryStream(stream, prompt.memories, prompt.memory_error)

    def _prompt(self, chat: Chat) -> tuple[BridgeClient, Prompt]:
        """Search the memory; return the bridge with the rest of the deadline, and the prompt."""
        view = self._start_deadline()
        view.bridge._transport.require_configured()  # before a search that would be of no use
        return view.bridge, view._recall(chat)
