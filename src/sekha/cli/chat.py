"""`sekha chat`: chat with a model that uses the memory, in the terminal."""

import re
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Iterable, List, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import NOT_FOUND, OK, USAGE, CommandError, exit_code
from sekha.cli.failures import fail
from sekha.cli.files import atomic_write
from sekha.cli.options import BridgeUrl, Json, Label, MinScore, Url, check_folder, not_blank
from sekha.cli.terminal import echo, echo_err, echo_json, one_line, strip_controls, to_json
from sekha.errors import SekhaError

if TYPE_CHECKING:
    from sekha import SekhaClient
    from sekha.types import Conversation, MemoryItem

DETAILS = "Without a terminal, the question is read from stdin. The chat is stored at its end."
EXAMPLES = ("sekha chat", "sekha chat --continue", 'sekha chat "When do we ship?" --no-store')

TRUNCATION_NOTE = "[This answer was cut off.]"
CHATS = "/chats"
"""Folder of stored chats. By default it is not searched: the best match for a question is the same question."""
PROMPT = "> "
_END_KEY = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D"
_END_WORDS = ("exit", "quit", "/exit", "/quit")
_COMMAND = re.compile(r"/\w*")
_HELP = """\
  /quit, exit     end the chat and store it (also {end_key})
  /help           show this help
  Ctrl-C          stop an answer; at the prompt, end the chat without storing it
Other input is sent to the model, with relevant memories as context."""


@dataclass
class Turn:
    """A question with its answer.

    Attributes:
        question: The question.
        answer: The answer, or its beginning.
        complete: Whether the answer is complete.
        memories: Label and folder of each conversation in the context.
    """

    question: str
    answer: str = ""
    complete: bool = False
    memories: List[Any] = field(default_factory=list[Any])


@dataclass
class Options:
    """Options of all questions of a chat.

    Attributes:
        model: Name of the model; None for the default of the bridge.
        system: System prompt, or None.
        budget: Maximum number of tokens of memories for each answer.
        min_score: Minimum score of memories, 0 to 1, or None.
        with_chats: Whether to search earlier chats too.
    """

    model: Optional[str]
    system: Optional[str]
    budget: int
    min_score: Optional[float]
    with_chats: bool


def run(
    question: Annotated[
        Optional[List[str]],
        typer.Argument(metavar="QUESTION", help="Ask this question and exit.  [default: start a chat]"),
    ] = None,
    continue_last: Annotated[
        bool, typer.Option("--continue", "-c", help="Continue the most recent chat in --folder.")
    ] = False,
    label: Label = None,
    folder: Annotated[
        str,
        typer.Option("--folder", metavar="FOLDER", callback=check_folder, help="Folder to store the chat in."),
    ] = CHATS,
    no_store: Annotated[bool, typer.Option("--no-store", help="Do not store the chat.")] = False,
    with_chats: Annotated[
        bool, typer.Option("--with-chats", help=f"Search earlier chats (in {CHATS}) for memories, too.")
    ] = False,
    min_score: MinScore = None,
    model: Annotated[
        Optional[str],
        typer.Option(
            "--model", metavar="NAME", callback=not_blank, help="Model to use.  [default: chosen by the bridge]"
        ),
    ] = None,
    system: Annotated[
        Optional[str], typer.Option("--system", metavar="TEXT", callback=not_blank, help="System prompt.")
    ] = None,
    context_budget: Annotated[
        int,
        typer.Option("--context-budget", metavar="N", min=0, help="Maximum number of tokens of memories per answer."),
    ] = 4000,
    url: Url = None,
    bridge_url: BridgeUrl = None,
    json: Json = False,
) -> int:
    """Answer one question, from the arguments or stdin, or chat until Ctrl-D or exit. Then store the chat."""
    from sekha import SekhaClient

    one = " ".join(question) if question else None
    if one is None and not sys.stdin.isatty():
        one = sys.stdin.read()
    if one is not None and not one.strip():
        raise CommandError("the question is blank", USAGE)
    config = config_from(url, bridge_url, needs_bridge=True)
    with SekhaClient(config) as client:
        options = Options(model, system, context_budget, min_score, with_chats)
        chat = Chat(client, options, _last_chat(client, folder) if continue_last else None, show=not json)
        stored: Optional[Conversation] = None
        should_store = True
        try:
            try:
                if one is not None:
                    chat.ask(one.strip())
                else:
                    should_store = _chat_interactively(chat)
            finally:  # also after an error
                if should_store and not no_store:
                    stored = _store(client, chat, label, folder)
        finally:
            if json:
                echo_json({"turns": [vars(turn) for turn in chat.turns], "conversation": stored})
    return OK


class Chat:
    """A chat with its previous turns.

    Args:
        client: The client of memory and model.
        options: Options of all questions.
        continued: ID of a stored chat to continue, or None.
        show: Whether to print answers as they arrive.
    """

    def __init__(self, client: "SekhaClient", options: Options, continued: Optional[str], *, show: bool) -> None:
        self.turns: List[Turn] = []
        self.continued = continued
        self._client = client
        self._options = options
        self._before: List[Any] = []
        if continued is not None:
            self._before = [
                {"role": message["role"], "content": message["content"]}
                for message in client.controller.get_messages(continued)
            ]
        self.show = show

    def ask(self, question: str) -> None:
        """Ask the model, with context from the memory and the previous turns; print the answer as it arrives.

        Raises:
            SekhaError: The request failed, or the answer ended early; its beginning is in the last turn.
        """
        options, history = self._options, self._history()
        turn = Turn(question)
        self.turns.append(turn)
        with self._client.stream_with_context(
            question,
            messages=history or None,
            context_budget=options.budget,
            excluded_folders=None if options.with_chats else [CHATS],
            min_score=options.min_score,
            hybrid=True,
            system=options.system,
            model=options.model,
        ) as stream:
            turn.memories = _citations(stream.memories)
            if turn.memories:
                names = (f"{one_line(one['label'], 40)} ({one_line(one['folder'], 40)})" for one in turn.memories)
                echo_err(f"From memory: {', '.join(names)}", "dim")
            try:
                for text in stream.text_stream():
                    turn.answer += text
                    if self.show:
                        echo(strip_controls(text), end="")
                turn.complete = True
            finally:
                if self.show and turn.answer:
                    echo()

    def last_words(self) -> Optional[str]:
        """Return the last question of the continued chat."""
        asked = [message["content"] for message in self._before if message["role"] == "user"]
        return asked[-1] if asked and isinstance(asked[-1], str) else None

    def _history(self) -> List[Any]:
        """Return the previous messages without unanswered questions, since models expect alternating roles."""
        said = [message for turn in self.turns if turn.answer for message in _messages(turn)]
        return [*self._before, *said]

    def transcript(self) -> List[Any]:
        """Return the messages to store, including partial answers; none if there is no new answer."""
        if not any(turn.answer for turn in self.turns):
            return []
        return [*self._before, *(message for turn in self.turns for message in _messages(turn))]


def _messages(turn: Turn) -> List[Any]:
    asked = {"role": "user", "content": turn.question}
    if not turn.answer:
        return [asked]
    answer = turn.answer if turn.complete else f"{turn.answer}\n\n{TRUNCATION_NOTE}"
    return [asked, {"role": "assistant", "content": answer}]


def _citations(memories: "Iterable[MemoryItem]") -> List[Any]:
    """Return label and folder of memories, without duplicates."""
    found = [(memory["label"], memory["folder"]) for memory in memories]
    return [{"label": label, "folder": folder} for label, folder in dict.fromkeys(found)]


def _last_chat(client: "SekhaClient", folder: str) -> str:
    """Return the ID of the most recently updated chat in a folder."""
    for row in client.controller.iter_conversations(folder=folder, subfolders=True, archived=False):
        return row["conversation_id"]
    raise CommandError(f"no chat to continue in {folder}", NOT_FOUND)


def _chat_interactively(chat: Chat) -> bool:
    """Read questions from a terminal; Ctrl-C stops an answer or, at the prompt, the chat.

    Returns:
        Whether to store the chat.
    """
    if sys.stdout.isatty():
        with suppress(ModuleNotFoundError):  # not available on Windows
            import_module("readline")  # `input` then supports line editing
    if (before := chat.last_words()) is not None:
        echo_err(f"Continuing after: {one_line(before, 70)}", "dim")
    echo_err(f"{_END_KEY} or /quit: end the chat. Ctrl-C: stop the answer. /help: show all commands.", "dim")
    while True:
        try:
            question = _read_question(on_stdout=chat.show and sys.stdout.isatty()).strip()
        except EOFError:
            echo_err()
            return True
        except KeyboardInterrupt:
            echo_err()
            if chat.transcript():
                echo_err("Not stored.", "dim")
            return False
        if question.lower() in _END_WORDS:
            return True
        if _COMMAND.fullmatch(question):
            if question != "/help":
                echo_err(f"Unknown command {question}.")
            echo_err(_HELP.format(end_key=_END_KEY))
        elif question:
            _ask_or_report(chat, question)


def _ask_or_report(chat: Chat, question: str) -> None:
    try:
        chat.ask(question)
    except KeyboardInterrupt:
        echo_err("(stopped)", "dim")
    except SekhaError as error:
        fail("chat", error, exit_code(error))


def _read_question(*, on_stdout: bool) -> str:
    if on_stdout:
        return input(PROMPT)
    echo_err(PROMPT, end="")
    return input()


def _store(client: "SekhaClient", chat: Chat, label: Optional[str], folder: str) -> "Optional[Conversation]":
    """Store the chat, or replace the one that it continues; write it to a file if that fails."""
    messages = chat.transcript()
    if not messages:
        return None
    try:
        if chat.continued is None:
            stored = client.controller.create_conversation(label=label, folder=folder, messages=messages)
        else:
            stored = client.controller.replace_conversation(chat.continued, label=label, messages=messages)
    except (SekhaError, KeyboardInterrupt) as error:
        stored_all_the_same = getattr(error, "conversation", None)
        if stored_all_the_same is None:
            _write_to_file({**({"label": label} if label else {}), "folder": folder, "messages": messages})
        raise
    echo_err(f"Stored as {stored['id']}, {one_line(stored['label'], 60)}.", "dim")
    return stored


def _write_to_file(conversation: "dict[str, object]") -> None:
    name = f"sekha-chat-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    with atomic_write(name) as file:
        file.write(f"{to_json(conversation, indent=None)}\n")
    echo_err(f"The chat could not be stored; it was saved to {name} (sekha import {name} stores it).")
