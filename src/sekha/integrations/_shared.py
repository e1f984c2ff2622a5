"""What the adapters have in common."""

from __future__ import annotations

from typing import TypeVar, Union, cast

from sekha._api.validation import argument_error
from sekha._utils.public import class_name
from sekha.memory import AsyncMemory, Memory

AnyMemory = TypeVar("AnyMemory", bound=Union[AsyncMemory, Memory])


def check_memory(memory: object, *kinds: type[AnyMemory]) -> AnyMemory:
    """Return the memory, if it is one that the framework can use.

    Args:
        memory: What the user has given as ``memory``.
        kinds: What it may be: `AsyncMemory`, `Memory`, or both.

    Raises:
        SekhaValidationError: It is another; ``field`` is ``"memory"``.
    """
    if not isinstance(memory, kinds):
        wanted = " or ".join(f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}" for kind in kinds)
        raise argument_error("memory", f"must be {wanted}, not {class_name(memory)}")
    return memory


def for_session(memory: AnyMemory, session: object) -> AnyMemory:
    """Return the memory in the session that the framework runs, unless its scope has a session already.

    Args:
        memory: The memory.
        session: The framework's id of the session; what is no text, or blank, is none.
    """
    if memory.scope.session is not None or not isinstance(session, str) or not session.strip():
        return memory
    return cast("AnyMemory", memory.in_session(session))
