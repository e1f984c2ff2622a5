"""Results of the workflows with a model: completions or messages, with the memories that they contain."""

from typing import Any, List, Optional

from typing_extensions import NotRequired, TypedDict

from sekha.types._base import Timestamp, allow_extra
from sekha.types._bridge import ChatCompletion


@allow_extra
class MemoryItem(TypedDict):
    """A stored message that was added to a prompt; unknown values are None.

    ``score`` is the similarity to the query for a search result, and None in a context from the controller.
    """

    content: str
    role: Optional[str]
    label: Optional[str]
    folder: Optional[str]
    conversation_id: Optional[str]
    message_id: Optional[str]
    timestamp: Optional[Timestamp]
    score: Optional[float]


@allow_extra
class MemoryCompletion(ChatCompletion):
    """A chat completion with its sources: the ``memories`` in the prompt, in order.

    ``memory_error`` is present if the memory could not be searched and ``on_memory_error`` is ``"ignore"``.
    """

    memories: List[MemoryItem]
    memory_error: NotRequired[str]


@allow_extra
class BuiltMessages(TypedDict):
    """Result of ``build_messages``: ``messages`` for a model, and the ``memories`` in them, in order.

    The messages are plain dictionaries with ``role`` and ``content``, typed as `Any` since each model client defines
    its own message types. ``memory_error`` is as in `MemoryCompletion`.
    """

    messages: List[Any]
    memories: List[MemoryItem]
    memory_error: NotRequired[str]
