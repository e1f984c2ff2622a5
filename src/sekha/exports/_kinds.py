"""The known kinds of exports, with their readers.

Adding a kind is one file and one row:

1. A file ``_NAME.py`` with a function ``parse_NAME(data, folder) -> ReadConversation``. `data` is one conversation as
   in the export. It creates a `ConversationBuilder`, calls `add`, `leave_out` or `not_understood` for each message, and
   returns `finish()`. If it cannot read the conversation at all, it raises `Unreadable`.
2. A row in `KINDS`. `fits` checks one object of a file; the first row that fits is used.

If a file is one conversation, and its objects are messages or events (a session as JSON lines, a list of messages), the
row has `parse_file`, and the function is ``parse_NAME(records, folder) -> Iterator[ReadConversation]``: its argument
iterates over all objects of the file, and it may return several conversations.

For an object with several conversations, use `parse_several`, which returns an iterator of them.

If the name of a file contains information (an ID, a folder), the row has `locate`.

A file that is not JSON is recognized by `fits_text` and read by `parse_text`, whose argument is the text in chunks.

An unsupported kind has no function but `advice`: see ``_unsupported.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from sekha._api.validation import validate
from sekha._utils.json_access import as_list, as_object, get
from sekha.errors import SekhaValidationError
from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._chatgpt import is_chatgpt, parse_chatgpt
from sekha.exports._claude import parse_claude
from sekha.exports._claude_code import is_claude_code, parse_claude_code
from sekha.exports._claude_design import is_claude_design, parse_claude_design
from sekha.exports._claude_memories import is_memories, is_project, parse_memories, parse_project
from sekha.exports._codex import is_codex, is_codex_session, parse_codex, parse_codex_session
from sekha.exports._conversations import ExportItem
from sekha.exports._deepseek import is_deepseek, parse_deepseek
from sekha.exports._gemini import is_gemini, parse_gemini
from sekha.exports._gemini_html import is_gemini_html, parse_gemini_html
from sekha.exports._grok import parse_grok
from sekha.exports._kind import Kind, has_keys, never
from sekha.exports._lechat import parse_lechat
from sekha.exports._librechat import is_librechat, parse_librechat
from sekha.exports._lm_studio import is_lm_studio, locate_lm_studio, parse_lm_studio
from sekha.exports._message_forms import is_message
from sekha.exports._message_lists import is_chat, parse_chat, parse_messages
from sekha.exports._open_webui import is_open_webui, parse_open_webui
from sekha.exports._plain import parse_plain
from sekha.exports._sekha import is_sekha, parse_sekha
from sekha.exports._unsupported import LAST, UNSUPPORTED
from sekha.exports._vscode import is_vscode, is_vscode_log, parse_vscode, parse_vscode_log
from sekha.types import CreateConversationRequest, UnreadableConversation

KINDS: tuple[Kind, ...] = (
    *UNSUPPORTED,
    Kind("Claude Code", is_claude_code, parse_file=parse_claude_code),
    Kind("Codex", is_codex, parse_file=parse_codex),
    Kind("Codex", is_codex_session, parse_codex_session),
    Kind("DeepSeek", is_deepseek, parse_deepseek),
    Kind("ChatGPT", is_chatgpt, parse_chatgpt),
    Kind("Claude", has_keys("chat_messages"), parse_claude),
    Kind("a chat of Claude's designs", is_claude_design, parse_claude_design),
    Kind("Claude's memories", is_memories, parse_several=parse_memories, is_memory=True),
    Kind("a project of Claude", is_project, parse_several=parse_project, is_memory=True),
    Kind("Grok", has_keys("conversation", "responses"), parse_grok),
    Kind("Gemini", is_gemini, parse_file=parse_gemini),
    Kind("Gemini as HTML", never, fits_text=is_gemini_html, parse_text=parse_gemini_html, application="Gemini"),
    Kind("Open WebUI", is_open_webui, parse_open_webui),
    Kind("LibreChat", is_librechat, parse_librechat),
    Kind("LM Studio", is_lm_studio, parse_lm_studio, locate=locate_lm_studio),
    Kind("Le Chat", has_keys("chatId", "role", "createdAt"), parse_file=parse_lechat),
    Kind("VS Code's chat", is_vscode, parse_vscode),
    Kind("VS Code's log of a chat", is_vscode_log, parse_file=parse_vscode_log, application="VS Code's chat"),
    Kind("Sekha's own full form", is_sekha, parse_sekha),
    Kind("the plain form", has_keys("messages"), parse_plain),
    Kind("a chat of a data set", is_chat, parse_chat),
    Kind("a list of messages", is_message, parse_file=parse_messages),
    *LAST,
)
"""The first kind that fits an object is used, so narrow kinds come before wide ones.

Unsupported kinds come first, since wide kinds would fit them, too. DeepSeek comes before ChatGPT, since it has the same
tree. Formats that many applications share come last.
"""


def find_kind(data: object) -> Kind | None:
    """Return the kind of an object of a file; None if it is unknown."""
    found = as_object(data)
    return None if found is None else next((kind for kind in KINDS if kind.fits(found)), None)


def find_list_kind(data: object) -> Kind | None:
    """Return the kind of a list whose items are parts of a conversation; None for other values."""
    items = as_list(data)
    kind = find_kind(items[0]) if items else None
    return kind if kind is not None and kind.parse_file is not None else None


def find_text_kind(head: str) -> Kind | None:
    """Return the kind of a file that is not JSON, by the first characters of its text; None if it is unknown."""
    return next((kind for kind in KINDS if kind.fits_text(head)), None)


def read_conversation(data: object, place: str, folder: str | None, kind: Kind | None) -> ExportItem:
    """Read a conversation.

    Args:
        data: The conversation as in the export.
        place: Its position, for messages.
        folder: The requested folder.
        kind: Its kind; None to detect it.

    Returns:
        The conversation, or an error if it cannot be read.
    """

    def parse() -> ReadConversation:
        found = as_object(data)
        if found is None:
            raise Unreadable("not a JSON object")
        if kind is None or kind.parse is None:
            raise Unreadable(describe_unknown(found))
        conversation = kind.parse(found, folder)
        if kind.locate is not None:
            kind.locate(conversation, place, folder)
        conversation.application = kind.application or kind.name
        return conversation

    return checked(parse, place, data)


def read_object(data: object, place: str, folder: str | None, default: Kind | None = None) -> Iterator[ExportItem]:
    """Read the conversations of an object, usually one.

    Args:
        data: The object as in the export.
        place: Its position, for messages.
        folder: The requested folder.
        default: The kind of the file, for an object that fits no kind.

    Yields:
        The conversations, or an error if it cannot be read.
    """
    found = as_object(data)
    kind = find_kind(found) or default
    if found is None or kind is None or kind.parse_several is None:
        yield read_conversation(data, place, folder, kind)
    else:
        yield from read_several(kind, kind.parse_several(found, folder), place)


def read_several(kind: Kind, conversations: Iterator[ReadConversation], place: str) -> Iterator[ExportItem]:
    """Yield the conversations of a reader that returns several, up to its first error."""
    at_end = ReadConversation()

    def parse() -> ReadConversation:
        conversation = next(conversations, at_end)
        conversation.application = kind.application or kind.name
        return conversation

    while True:
        item = checked(parse, place)
        if item is at_end:
            return
        yield item
        if isinstance(item, UnreadableConversation):
            return  # a generator ends after an error


def checked(parse: Callable[[], ReadConversation], place: str, data: object = None) -> ExportItem:
    """Return the conversation of a reader, or an error."""
    try:
        found = parse()
        if not found:  # the end of a reader that returns several
            return cast(CreateConversationRequest, found)
        validate(CreateConversationRequest, {**found, "messages": []} if found.is_built else found)
        found.place = place
        return cast(CreateConversationRequest, found)
    except Unreadable as error:
        problem = str(error)
    except SekhaValidationError as error:
        problem = error.message
    except Exception as error:  # an unexpected structure must not end the import
        problem = f"unexpected structure ({type(error).__name__}: {error})"
    title = next((title for key in ("title", "name", "label") if (title := get(data, key))), None)
    return UnreadableConversation(f"{place} ({str(title)[:60]!r})" if title else place, problem)


def describe_unknown(data: dict[str, Any]) -> str:
    """Return the error for an object of unknown kind."""
    keys = ", ".join(list(data)[:6]) or "nothing"
    return f"unrecognized format (it has {keys})"
