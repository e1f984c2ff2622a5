"""What the workflows with a model ask the memory, and the messages that they make of it."""

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
        """A view whose calls share one deadline that runs from now."""
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
        """The messages that the workflows would send to a model, for a model of your own; no bridge is needed.

        With ``search_query`` they are those of `complete_with_memory`, else those of `complete_with_context`. Messages
        may have any role and any key, and no content, as those that call tools.

        Args:
            prompt: What to ask, not blank; needed unless the last of ``messages`` is the user's.
            context_query: What to remember; default: the text of the prompt, its first 2,000 characters.
            search_query: What to search for, instead of assembling a context.
            messages: The chat so far; without ``prompt`` its last message is the prompt. They are not changed.
            system: Your own instruction to the model; it comes first.
            context_budget: Of a context: tokens of memory at most; default 4000.
            preferred_labels: Of a context: labels whose conversations come first.
            excluded_folders: Of a context: folders to leave out, with all that is below them.
            folders: Of a context: folders to stay in, with all that is below them.
            roles: Of a context: roles of the messages that are remembered.
            limit: Of a search: hits at most; default 5.
            filters: Of a search: as for `AsyncMemoryController.query`.
            hybrid: Whether words are searched for besides meanings; default: in a search yes, else as for
                `AsyncMemoryController.assemble_context`.
            min_score: Score of what is remembered at least, 0 to 1; default: any.
            on_memory_error: As for `complete_with_context`.

        Returns:
            ``messages`` for any client with OpenAI's interface, and ``memories``, what of the memory is in them; with
            ``memory_error`` if the memory could not be asked.

        Raises:
            SekhaValidationError: An argument cannot be used, or belongs to the other way; ``field`` names it.
            SekhaError: The memory could not be asked.

        Example:
            ```python
            built = await client.build_messages("How do we deploy?")
            # answer = openai_client.chat.completions.create(model="gpt-4o", messages=built["messages"])
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
        """Ask the memory; return the messages for a model with what it knows."""
        echoes = Echoes([*chat.before, chat.prompt])
        if not chat.ignores_memory_errors:
            return build_prompt(chat, await _find(self.controller, chat, echoes), echoes)
        try:
            return build_prompt(chat, await _find(_with_half_the_time(self.controller), chat, echoes), echoes)
        except SekhaError as error:
            if not is_memory_error(error):
                raise
            problem = str(error)
        warn_user(f"the memory could not be asked, and the model answers without it: {problem}")
        return build_prompt(chat, [], echoes)._replace(memory_error=problem)


async def _find(controller: AsyncMemoryController, chat: Chat, echoes: Echoes) -> Sequence[Mapping[str, Any]]:
    """Ask the memory; return search results, or the messages of a context."""
    if chat.searches:
        return (await controller._find(chat.query, **chat.recall, is_echo=echoes)).results
    return await controller._context(chat.query, **chat.recall, is_echo=echoes)


def _with_half_the_time(controller: AsyncMemoryController) -> AsyncMemoryController:
    """Return a view that has half of the deadline, so that a memory that hangs leaves time for the model."""
    deadline = controller._transport.deadline
    return controller if deadline is None else controller.with_options(deadline=deadline / 2)
