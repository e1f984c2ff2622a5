"""What the adapters have in common."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Literal, TypeVar, Union, cast

from sekha._api.arguments import MemoryRecallRequest
from sekha._api.validation import argument_error, validate, wrong_object
from sekha._concurrency.tasks import async_in_thread
from sekha._utils.sentinel import drop_unset
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
        raise wrong_object("memory", f"must be {wanted}", memory)
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


def recall_options(**options: object) -> dict[str, Any]:
    """Return those of the options of a recall that were given.

    Args:
        options: ``limit``, ``min_score`` and ``max_tokens``, as far as the adapter has them.

    Raises:
        SekhaValidationError: One cannot be used; ``field`` names it.
    """
    given = drop_unset(**options)
    validate(MemoryRecallRequest, {"query": "", **given})
    return given


def check_source(source: object) -> None:
    """Check that something is a memory of either client type, or a function, which is called for each run.

    Raises:
        SekhaValidationError: It is neither; ``field`` is ``"memory"``.
    """
    if not callable(source):
        check_memory(source, AsyncMemory, Memory)


def memory_of(
    source: Union[AsyncMemory, Memory, Callable[[Any], Union[AsyncMemory, Memory]]], run: object, session: object
) -> Union[AsyncMemory, Memory]:
    """Return the memory for a run of the framework.

    Args:
        source: A memory of either client type; or a function that returns it for the run.
        run: What the framework says of the run.
        session: Its id of the session; see `for_session`.

    Raises:
        SekhaValidationError: There is no memory; ``field`` is ``"memory"``.
    """
    return for_session(check_memory(source(run) if callable(source) else source, AsyncMemory, Memory), session)


def blocking(memory: Union[AsyncMemory, Memory]) -> Memory:
    """Return the memory for a blocking call of the framework.

    Args:
        memory: The memory, of either client type.

    Raises:
        SekhaValidationError: It is for async calls only; ``field`` is ``"memory"``.
    """
    if isinstance(memory, AsyncMemory):
        problem = "is an AsyncMemory, which sync calls cannot use; pass a Memory, or use the async calls"
        raise argument_error("memory", problem)
    return memory


async def async_call(
    memory: Union[AsyncMemory, Memory],
    method: Literal["recall", "block", "remember", "call_tool"],
    *arguments: object,
    **options: object,
) -> Any:
    """Call a method of a memory of either client type in async code: that of a `Memory` in a worker thread.

    A write in a thread is completed even if the caller is cancelled.

    Args:
        memory: The memory.
        method: The name of the method.
        arguments: Its arguments.
        options: Its keyword arguments.

    Returns:
        What the method returns.
    """
    call = partial(getattr(memory, method), *arguments, **options)
    return await (call() if isinstance(memory, AsyncMemory) else async_in_thread(call))
