"""The memory search of the workflows with a model, and the messages that they build from its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Optional

from typing_extensions import Self

from sekha._api.chats import Chat, is_memory_error, parse_messages
from sekha._api.prompts import Echoes, Prompt, build_prompt
from sekha._concurrency.misuse import AsyncMisuseGuard
from sekha._concurrency.process_bound import ProcessBound
from sekha._utils.frames import warn_user
from sekha._utils.sentinel import drop_unset
from sekha.errors import SekhaError
from sekha.types import BuiltMessages

from .bridge import AsyncBridgeClient
from .controller.client import AsyncMemoryController


class AsyncRecall(AsyncMisuseGuard, ProcessBound):
    """Base of the workflows with a model."""

    controller: AsyncMemoryController
    bridge: AsyncBridgeClient

    def _start_deadline(self) -> Self:
        """Return a view whose calls share one deadline that starts now."""
        raise NotImplementedError

    async def build_messages(
        self,
        prompt: Optional[str] = None,
        context_query: Optional[str] = None,
        *,
        search_query: Optional[str] = None,
        messages: Optional[Sequence[Mapping[str, object]]] = None,
        system: Optional[str] = None,
        context_budget: Optional[int] = None,
        preferred_labels: Optional[Sequence[str]] = None,
        excluded_folders: Optional[Sequence[str]] = None,
        folders: Optional[Sequence[str]] = None,
        roles: Optional[Sequence[str]] = None,
        limit: Optional[int] = None,
        filters: Optional[Mapping[str, object]] = None,
        hybrid: Optional[bool] = None,
        min_score: Optional[float] = None,
        on_memory_error: Literal["raise", "ignore"] = "raise",
    ) -> BuiltMessages:
        """Build the messages that the workflows send to a model, for your own model client; no bridge is needed.

        With ``search_query``, the messages are those of `complete_with_memory`, else those of `complete_with_context`.
        Messages may have any role and any keys, and no content, such as tool calls.

        Args:
            prompt: The user's prompt, not blank; required unless the last message of ``messages`` is from the user.
            context_query: Query for the context; default: the first 2,000 characters of the prompt.
            search_query: Query for a search instead of a context.
            messages: The chat so far; without ``prompt``, its last message is the prompt. The list is not changed.
            system: Your own system message; it comes first.
            context_budget: For a context: maximum number of tokens of memory; default 4000.
            preferred_labels: For a context: labels of conversations to rank first.
            excluded_folders: For a context: folders to exclude, including their subfolders.
            folders: For a context: folders to search, including their subfolders; default: all.
            roles: For a context: roles of the messages to recall; default: all.
            limit: For a search: maximum number of results; default 5.
            filters: For a search: as for `AsyncMemoryController.query`.
            hybrid: Whether to add a full-text search; default: True for a search, else as for
                `AsyncMemoryController.assemble_context`.
            min_score: Minimum score of a memory, 0 to 1; default: none.
            on_memory_error: As for `complete_with_context`.

        Returns:
            ``messages`` for any client with OpenAI's interface, ``memories``, the memories in them, and
            ``memory_error`` if the memory search failed.

        Raises:
            SekhaValidationError: An argument is invalid, or does not apply to a search or a context; ``field`` names
                it.
            SekhaError: The memory search failed.

        Example:
            ```python title="python -m asyncio"
            built = await client.build_messages("How do we deploy?")
            # answer = openai_client.chat.completions.create(
            #     model="gpt-4o", messages=built["messages"]
            # )
            print([memory["label"] for memory in built["memories"]])
            ```
        """
        chat = parse_messages(
            drop_unset(
                prompt=prompt,
                context_query=context_query,
                search_query=search_query,
                messages=messages,
                system=system,
                context_budget=context_budget,
                preferred_labels=preferred_labels,
                excluded_folders=excluded_folders,
                folders=folders,
                roles=roles,
                limit=limit,
                filters=filters,
                hybrid=hybrid,
                min_score=min_score,
                on_memory_error=on_memory_error,
            )
        )
        return (await self._start_deadline()._recall(chat)).built()

    async def _recall(self, chat: Chat) -> Prompt:
        """Search the memory; return the messages for a model with its results."""
        echoes = Echoes([*chat.before, chat.prompt])
        if not chat.ignores_memory_errors:
            return build_prompt(chat, await _find(self.controller, chat, echoes), echoes)
        try:
            return build_prompt(chat, await _find(_with_half_the_time(self.controller), chat, echoes), echoes)
        except SekhaError as error:
            if not is_memory_error(error):
                raise
            problem = str(error)
        warn_user(f"the memory search failed, and the model answers without memories: {problem}")
        return build_prompt(chat, [], echoes)._replace(memory_error=problem)


async def _find(controller: AsyncMemoryController, chat: Chat, echoes: Echoes) -> Sequence[Mapping[str, Any]]:
    """Search the memory; return search results, or the messages of a context."""
    if chat.searches:
        return (await controller._find(chat.query, **chat.recall, is_echo=echoes)).results
    return await controller._context(chat.query, **chat.recall, is_echo=echoes)


def _with_half_the_time(controller: AsyncMemoryController) -> AsyncMemoryController:
    """Return a view with half of the deadline, so that a memory search that hangs leaves time for the model."""
    deadline = controller._transport.deadline
    return controller if deadline is None else controller.with_options(deadline=deadline / 2)
