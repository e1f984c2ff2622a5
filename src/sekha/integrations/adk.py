"""Memory for agents of Google's Agent Development Kit (ADK): a memory service, and callbacks that use it in each turn.

Install the extra: `pip install 'sekha-python-sdk[adk]'`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional
from urllib.parse import urlsplit

from sekha._api.validation import argument_error, type_name
from sekha._async.client import AsyncSekhaClient
from sekha._transport.write_locks import is_loopback
from sekha.memory import Scope

from ._extra import extra_imports

with extra_imports("adk"):
    from google.genai import types

    from ._adk_service import SekhaMemoryService, texts_of

if TYPE_CHECKING:
    from google.adk.agents.callback_context import CallbackContext
    from google.adk.models.llm_request import LlmRequest

__all__ = ["SekhaMemoryService", "memory_service_from_uri", "recall_before_model", "remember_after_agent"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


async def recall_before_model(callback_context: CallbackContext, llm_request: LlmRequest) -> None:
    """Add memories for the message of this turn to the request: a ``before_model_callback``.

    The memories come from the user's other sessions. They are quoted data in a separate message before that of the
    user, the same for each call of the model in a turn, and never become part of the session. The `Runner` must have a
    `SekhaMemoryService`.

    Args:
        callback_context: The context of the agent.
        llm_request: The request, to which the block is added.

    Raises:
        SekhaValidationError: The runner has no `SekhaMemoryService`.
        SekhaError: The memory failed, and ``on_error`` is ``"raise"``.

    Example:
        ```python
        from google.adk.agents import LlmAgent
        from sekha.integrations.adk import recall_before_model

        agent = LlmAgent(
            name="seller",
            model="gemini-flash-latest",
            before_model_callback=recall_before_model,
        )
        ```
    """
    context = callback_context._invocation_context
    service, session, asked = _service(context.memory_service), context.session, context.user_content
    turn = service._turn(Scope(session.app_name, session.user_id, session.id), context.invocation_id)
    block = await turn.block("\n".join(texts_of(asked)))
    if block:
        position = _position(llm_request.contents, asked)
        llm_request.contents.insert(position, types.Content(role="user", parts=[types.Part(text=block)]))


async def remember_after_agent(callback_context: CallbackContext) -> None:
    """Store this turn: an ``after_agent_callback``, for the root agent.

    A turn that fails, or whose events you do not read to the end, is not stored. The `Runner` must have a
    `SekhaMemoryService`.

    Args:
        callback_context: The context of the agent.

    Raises:
        SekhaValidationError: The runner has no `SekhaMemoryService`.
        SekhaError: The memory failed, and ``on_error`` is ``"raise"``.

    Example:
        ```python
        from google.adk.agents import LlmAgent
        from sekha.integrations.adk import remember_after_agent

        agent = LlmAgent(
            name="seller",
            model="gemini-flash-latest",
            after_agent_callback=remember_after_agent,
        )
        ```
    """
    context = callback_context._invocation_context
    session = context.session
    await _service(context.memory_service).add_events_to_memory(
        app_name=session.app_name,
        user_id=session.user_id,
        session_id=session.id,
        events=[event for event in session.events if event.invocation_id == context.invocation_id],
    )


def memory_service_from_uri(uri: str, **_: object) -> SekhaMemoryService:
    """Create a memory service from a URI, for `services.yaml` and ``--memory_service_uri`` of ADK's commands.

    Args:
        uri: ``sekha://`` for the settings of the environment, or ``sekha://host:port`` for the address of the
            controller (``http`` on this machine, ``https`` elsewhere) with the other settings, such as the key, from
            the environment.
        _: Other arguments that ADK passes, such as ``agents_dir``; ignored.

    Raises:
        SekhaValidationError: The address has more than a host and a port.
        SekhaConfigError: A setting is missing or invalid.

    Example:
        ```python
        from sekha.integrations.adk import memory_service_from_uri

        service = memory_service_from_uri(
            "sekha://"
        )  # as SekhaMemoryService(AsyncSekhaClient())
        ```
    """
    try:
        parts = urlsplit(uri)
        is_here = is_loopback(f"http://{parts.netloc}")
    except ValueError:
        raise argument_error("uri", "its host or port is invalid") from None
    if parts.scheme != "sekha" or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise argument_error("uri", "must be sekha:// or sekha://host:port; the key is read from SEKHA_API_KEY")
    if not parts.netloc:
        return SekhaMemoryService(AsyncSekhaClient())
    scheme = "http" if is_here else "https"
    return SekhaMemoryService(AsyncSekhaClient(controller_url=f"{scheme}://{parts.netloc}"))


def _service(service: object) -> SekhaMemoryService:
    if not isinstance(service, SekhaMemoryService):
        raise argument_error("memory_service", f"must be a SekhaMemoryService, not {type_name(service)}")
    return service


def _position(contents: Sequence[types.Content], asked: Optional[types.Content]) -> int:
    """Return the position of the message of this turn; never between a tool call and its result."""
    said = [
        i
        for i, content in enumerate(contents)
        if content.role == "user" and not any(part.function_response for part in content.parts or [])
    ]
    same = [i for i in said if texts_of(contents[i]) == texts_of(asked)]
    return (same or said or [len(contents)])[-1]
