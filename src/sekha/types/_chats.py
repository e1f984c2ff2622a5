"""What the workflows with a model give: answers, and messages for a model, with the memories that they are made of."""

from typing import Any, List, Optional

from typing_extensions import NotRequired, TypedDict

from sekha.types._base import Timestamp, allow_extra
from sekha.types._bridge import ChatCompletion


@allow_extra
class MemoryItem(TypedDict):
    """A message that was put before a model, as it was stored; what is not known of it is None.

    ``score`` is the similarity to the query where a search found it, and None in a context of the controller.
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
    """A chat completion with its sources: the ``memories`` that were put before the model, in that order.

    ``memory_error`` is there if the memory could not be asked, and that was to be ignored.
    """

    memories: List[MemoryItem]
    memory_error: NotRequired[str]


@allow_extra
class BuiltMessages(TypedDict):
    """What ``build_messages`` gives: ``messages`` for a model, and the ``memories`` in them, in that order.

    The messages are plain dictionaries with ``role`` and ``content``; clients of models have types of their own for
    them, so checkers let them pass as anything. ``memory_error`` is as in `MemoryCompletion`.
    """

    messages: List[Any]
    memories: List[MemoryItem]
    memory_error: NotRequired[str]
