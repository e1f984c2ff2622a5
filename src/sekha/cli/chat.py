"""`sekha chat`: chat with a model that uses the memory, in the terminal."""

import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import OK, USAGE, CommandError, exit_code
from sekha.cli.failures import fail
from sekha.cli.files import atomic_write
from sekha.cli.options import BridgeUrl, Folder, Json, Label, Url, not_blank
from sekha.cli.terminal import echo, echo_err, echo_json, one_line, strip_controls, to_json
from sekha.errors import SekhaError

if TYPE_CHECKING:
    from sekha import SekhaClient
    from sekha.types import Conversation, MemoryItem

TRUNCATION_NOTE = "[This answer was cut off.]"
PROMPT = "> "
_END_KEY = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D"


@dataclass
class Turn:
    """A question with its answer."""

    question: str
    answer: str = ""
    complete: bool = False
    memories: list[dict[str, str]] = field(default_factory=list[dict[str, str]])


def run(
    label: Label = None,
    folder: Folder = None,
    no_store: Annotated[bool, typer.Option("--no-store", help="Do not store the conversation at the end.")] = False,
    model: Annotated[
        Optional[str], typer.Option("--model", metavar="NAME", callback=not_blank, help="Default: the bridge chooses.")
    ] = None,
    system: Annotated[
        Optional[str], typer.Option("--system", metavar="TEXT", callback=not_blank, help="An instruction to the model.")
    ] = None,
    context_budget: Annotated[
        int, typer.Option("--context-budget", min=0, help="Tokens of memory for each answer, at most.")
    ] = 4000,
    url: Url = None,
    bridge_url: BridgeUrl = None,
    json: Json = False,
) -> int:
    """Chat until Ctrl-D or /quit, or answer one question from stdin if that is no terminal; then store the chat."""
    from sekha import SekhaClient
    from sekha._api.validation import validate
    from sekha._utils.sentinel import drop_unset
    from sekha.types import CreateConversationRequest

    # Check the options before the chat, not after it.
    validate(CreateConversationRequest, drop_unset(label=label, folder=folder, messages=[]))
    config = config_from(url, bridge_url, needs_bridge=True)
    with SekhaClient(config) as client:
        chat = Chat(client, model, system, context_budget, show=not json)
        stored: Optional[Conversation] = None
        try:
            try:
                return _chat_interactively(chat) if sys.stdin.isatty() else _answer_once(chat)
            finally:  # also after Ctrl-C or an error
                stored = None if no_store else _store(client, chat, label, folder)
        finally:
            if json:
                echo_json({"turns": [vars(turn) for turn in chat.turns], "conversation": stored})


class Chat:
    """A chat with its previous turns.

    Args:
        client: The client of memory and model.
        model: Name of a model, or None.
        system: An instruction to the model, or None.
        budget: Tokens of memory for each answer.
        show: Whether answers are printed as they arrive.
    """

    def __init__(
        self, client: "SekhaClient", model: Optional[str], system: Optional[str], budget: int, *, show: bool
    ) -> None:
        self.turns: list[Turn] = []
        self._client = client
        self._model = model
        self._system = system
        self._budget = budget
        self.show = show

    def ask(self, question: str) -> None:
        """Ask the model, with context from the memory and the previous turns; print the answer as it arrives.

        Raises:
            SekhaError: The answer ended early; its beginning is in the last turn.
        """
        turn, previous = Turn(question), self._previous_messages()
        self.turns.append(turn)
        built = self._client.build_messages(
            question, messages=previous, system=self._system, context_budget=self._budget
        )
        turn.memories = _citations(built["memories"])
        if turn.memories:
            names = (f"{one_line(one['label'], 40)} ({one_line(one['folder'], 40)})" for one in turn.memories)
            echo_err(f"Remembered: {', '.join(names)}", "dim")
        try:
            with self._client.bridge.stream_complete(built["messages"], model=self._model) as stream:
                for text in stream.text_stream():
                    turn.answer += text
                    if self.show:
                        echo(strip_controls(text), end="")
            turn.complete = True
        finally:
            if self.show and turn.answer:
                echo()

    def _previous_messages(self) -> list[Any]:
        """Return the previous turns without unanswered questions, since models expect alternating roles."""
        return [message for turn in self.turns if turn.answer for message in _messages(turn)]

    def transcript(self) -> list[dict[str, str]]:
        """Return the messages to store, partial answers too; none if there is no answer at all."""
        if not any(turn.answer for turn in self.turns):
            return []
        return [message for turn in self.turns for message in _messages(turn)]


def _messages(turn: Turn) -> list[dict[str, str]]:
    asked = {"role": "user", "content": turn.question}
    if not turn.answer:
        return [asked]
    answer = turn.answer if turn.complete else f"{turn.answer}\n\n{TRUNCATION_NOTE}"
    return [asked, {"role": "assistant", "content": answer}]


def _citations(memories: "list[MemoryItem]") -> list[dict[str, str]]:
    """Return label and folder of the memories, without duplicates."""
    found = [{"label": one["label"] or "?", "folder": one["folder"] or "/"} for one in memories]
    return [one for number, one in enumerate(found) if one not in found[:number]]


def _chat_interactively(chat: Chat) -> int:
    """Read questions from a terminal; Ctrl-C stops an answer, or else the chat."""
    if sys.stdout.isatty():
        with suppress(ModuleNotFoundError):  # there is none on Windows
            import_module("readline")  # `input` then supports line editing
    echo_err(f"{_END_KEY} or /quit ends the chat, Ctrl-C an answer.", "dim")
    while True:
        try:
            question = _read_question(on_stdout=chat.show and sys.stdout.isatty()).strip()
        except (EOFError, KeyboardInterrupt):
            echo_err()
            return OK
        if question == "/quit":
            return OK
        if not question:
            continue
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


def _answer_once(chat: Chat) -> int:
    question = sys.stdin.read().strip()
    if not question:
        raise CommandError("the standard input has no question", USAGE)
    chat.ask(question)
    return OK


def _store(client: "SekhaClient", chat: Chat, label: Optional[str], folder: Optional[str]) -> "Optional[Conversation]":
    """Store the chat; write it to a file if that fails."""
    from sekha._utils.sentinel import drop_unset

    messages = chat.transcript()
    if not messages:
        return None
    try:
        stored = client.controller.create_conversation(label=label, folder=folder, messages=messages)
    except (SekhaError, KeyboardInterrupt):
        _write_to_file(drop_unset(label=label, folder=folder, messages=messages))
        raise
    echo_err(f"Stored as {stored['id']}, {one_line(stored['label'], 60)}.", "dim")
    return stored


def _write_to_file(conversation: dict[str, object]) -> None:
    name = f"sekha-chat-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    with atomic_write(name) as file:
        file.write(f"{to_json(conversation, indent=None)}\n")
    echo_err(f"The conversation could not be stored; it is kept in {name}")
