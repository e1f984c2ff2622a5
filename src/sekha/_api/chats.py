"""A chat with memories before anything is sent: its arguments, prompt, and memory search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from sekha._api.arguments import (
    BuildRequest,
    CompletionOptions,
    PromptRequest,
    check_extra_body,
)
from sekha._api.compat.requests import check_roles
from sekha._api.validation import argument_error, validate
from sekha.errors import SekhaClosedError, SekhaConfigError, SekhaError, SekhaValidationError
from sekha.type_guards import extract_text

MAX_QUERY = 2000
"""Characters of a prompt that are used as the query by default."""

_CONTEXT_OPTIONS = ("context_budget", "preferred_labels", "excluded_folders", "folders", "roles")
_SEARCH_OPTIONS = ("limit", "filters")
_COMPLETION_OPTIONS = tuple(CompletionOptions.__annotations__)
_DEFAULTS: Mapping[str, Any] = {
    "context_budget": 4000,
    "preferred_labels": None,
    "excluded_folders": None,
    "folders": None,
    "roles": None,
    "limit": 5,
    "filters": None,
    "min_score": None,
}


class Chat(NamedTuple):
    """A chat for a model to answer.

    Attributes:
        before: The messages before the prompt, starting with the user's own system message.
        prompt: The last message, from the user, without memories.
        query: The query for the memory.
        searches: Whether to search; otherwise a context is assembled.
        recall: The options of the search or of the context.
        ignores_memory_errors: Whether to call the model if the memory search failed.
        completion: The options of the completion.
    """

    before: list[dict[str, Any]]
    prompt: dict[str, Any]
    query: str
    searches: bool
    recall: dict[str, Any]
    ignores_memory_errors: bool
    completion: dict[str, Any]


def parse_chat(arguments: Mapping[str, object], *, searches: bool) -> Chat:
    """Return the chat for the arguments of a workflow with the bridge.

    Args:
        arguments: The arguments by name, without those that were not given.
        searches: Whether to search; otherwise a context is assembled.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.
    """
    request = validate(PromptRequest, arguments)
    check_extra_body(request.get("extra_body"))
    check_roles(cast("list[dict[str, Any]]", request.get("messages", [])))
    return _chat(cast("Mapping[str, Any]", request), arguments, searches=searches)


def parse_messages(arguments: Mapping[str, object]) -> Chat:
    """Return the chat for the arguments of ``build_messages``, whose messages may be of any model.

    Raises:
        SekhaValidationError: An argument is invalid, or does not apply to a search or a context.
    """
    request = cast("Mapping[str, Any]", validate(BuildRequest, arguments))
    searches = "search_query" in request
    if searches and "context_query" in request:
        raise argument_error("search_query", "and context_query exclude each other; pass only one")
    for name in _CONTEXT_OPTIONS if searches else _SEARCH_OPTIONS:
        if name in request:
            problem = (
                "is not an option of a search" if searches else "requires search_query; a context has no such option"
            )
            raise argument_error(name, problem)
    return _chat(request, arguments, searches=searches)


def is_memory_error(error: SekhaError) -> bool:
    """Return whether an error comes from the memory, not from an argument, a setting or a closed client."""
    is_refused_here = isinstance(error, SekhaValidationError) and not error.sent
    return not is_refused_here and not isinstance(error, (SekhaConfigError, SekhaClosedError))


def _chat(request: Mapping[str, Any], arguments: Mapping[str, Any], *, searches: bool) -> Chat:
    before, prompt = _split_prompt(request)
    query = request.get("search_query" if searches else "context_query")
    if query is None:
        query = extract_text(prompt["content"]).strip()[:MAX_QUERY]
    if not query:
        name = "search_query" if searches else "context_query"
        raise argument_error(name, "is required, since the prompt has no text to use as the query")
    if "system" in request:
        before = [{"role": "system", "content": request["system"]}, *before]
    names = (*(_SEARCH_OPTIONS if searches else _CONTEXT_OPTIONS), "min_score")
    hybrid = arguments.get("hybrid", True if searches else None)
    return Chat(
        before=before,
        prompt=prompt,
        query=query,
        searches=searches,
        # Not normalized: in a view, a normalized folder would no longer be relative to the view.
        recall={**{name: arguments.get(name, _DEFAULTS[name]) for name in names}, "hybrid": hybrid},
        ignores_memory_errors=request.get("on_memory_error") == "ignore",
        completion={name: request[name] for name in _COMPLETION_OPTIONS if name in request},
    )


def _split_prompt(request: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the messages before the prompt, and the message of the prompt."""
    messages: list[dict[str, Any]] = request.get("messages", [])
    if "prompt" in request:
        return messages, {"role": "user", "content": request["prompt"]}
    if not messages:
        raise argument_error("prompt", "is required, unless the last message is from the user")
    *before, prompt = messages
    if prompt["role"] != "user":
        problem = f"without a prompt, the last one must have the role 'user', not {prompt['role']!r}"
        raise argument_error("messages", problem)
    content = prompt.get("content")
    if not content or (isinstance(content, str) and not content.strip()):
        raise argument_error(f"messages[{len(before)}].content", "is the prompt and must not be blank")
    return before, prompt
