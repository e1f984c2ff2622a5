"""`sekha chat`: a model that remembers, in the terminal."""

import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import config_from
from sekha.cli.exits import FINE, USAGE, Failure, explained
from sekha.cli.files import whole_file
from sekha.cli.options import BridgeUrl, Folder, Json, Label, Url, not_blank
from sekha.cli.terminal import as_json, fail, line_of, safe, say, say_json, tell
from sekha.errors import SekhaError

if TYPE_CHECKING:
    from sekha import SekhaClient
    from sekha.types import Conversation, Message

CUT = "[This answer was cut off.]"
PROMPT = "> "


@dataclass
class Turn:
    """A question and what became of it."""

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
    """Talk until Ctrl-D or /quit, or answer what the standard input says if that is no terminal; then store it."""
    from sekha import SekhaClient
    from sekha._api.validation import drop_unset, validate
    from sekha.types import CreateConversationRequest

    validate(CreateConversationRequest, drop_unset(label=label, folder=folder, messages=[]))  # not only at the end
    config = config_from(url, bridge_url, needs_bridge=True)
    with SekhaClient(config) as client:
        chat = Chat(client, model, system, context_budget, show=not json)
        stored: Optional[Conversation] = None
        try:
            try:
                return _converse(chat) if sys.stdin.isatty() else _answer_once(chat)
            finally:  # whatever ended it, what was said is kept
                stored = None if no_store else _stored(client, chat, label, folder)
        finally:
            if json:
                say_json({"turns": [vars(turn) for turn in chat.turns], "conversation": stored})


class Chat:
    """A conversation that goes on.

    Args:
        client: Whom to ask.
        model: Name of a model, or None.
        system: An instruction to the model, or None.
        budget: Tokens of memory for each answer.
        show: Whether answers are printed as they come.
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
        """Ask the model, with what is remembered and what was said before; the answer is printed as it comes.

        Raises:
            SekhaError: It broke off; what had come is in the last turn.
        """
        from sekha._api.arguments import PromptRequest
        from sekha._api.prompts import prompt_with_context
        from sekha._api.validation import drop_unset, validate

        validate(PromptRequest, drop_unset(prompt=question, system=self._system, model=self._model))
        turn = Turn(question)
        self.turns.append(turn)
        context = self._client.controller.assemble_context(question, context_budget=self._budget)
        turn.memories = _origins(context)
        if turn.memories:
            names = (f"{line_of(one['label'], 40)} ({line_of(one['folder'], 40)})" for one in turn.memories)
            tell(f"Remembered: {', '.join(names)}", "dim")
        *instruction, prompt = prompt_with_context(question, context, system=self._system)
        messages = [*instruction, *self._said(), prompt]
        try:
            with self._client.bridge.stream_complete(messages, model=self._model) as stream:
                for text in stream.text_stream():
                    turn.answer += text
                    if self.show:
                        say(safe(text), end="")
            turn.complete = True
        finally:
            if self.show and turn.answer:
                say()

    def _said(self) -> list[Any]:
        """What was said before; a question without an answer is left out, since models want them in turns."""
        return [message for turn in self.turns if turn.answer for message in _messages(turn)]

    def transcript(self) -> list[dict[str, str]]:
        """What is stored: every question, and the answers as far as they came. Nothing, if no answer came at all."""
        if not any(turn.answer for turn in self.turns):
            return []
        return [message for turn in self.turns for message in _messages(turn)]


def _messages(turn: Turn) -> list[dict[str, str]]:
    asked = {"role": "user", "content": turn.question}
    if not turn.answer:
        return [asked]
    answer = turn.answer if turn.complete else f"{turn.answer}\n\n{CUT}"
    return [asked, {"role": "assistant", "content": answer}]


def _origins(context: "list[Message]") -> list[dict[str, str]]:
    """Label and folder of what is remembered, each once."""
    from sekha._api.compat.controller import get_citation

    found = [{"label": "?", "folder": "/", **get_citation({**message})} for message in context]
    return [one for number, one in enumerate(found) if one not in found[:number]]


def _converse(chat: Chat) -> int:
    """Questions from a terminal; Ctrl-C ends an answer, or else the chat."""
    if sys.stdout.isatty():
        with suppress(ModuleNotFoundError):  # Windows has none
            import_module("readline")  # `input` edits lines with it
    tell("Ctrl-D or /quit ends the chat, Ctrl-C an answer.", "dim")
    while True:
        try:
            question = _question(on_stdout=chat.show and sys.stdout.isatty()).strip()
        except (EOFError, KeyboardInterrupt):
            tell()
            return FINE
        if question == "/quit":
            return FINE
        if not question:
            continue
        try:
            chat.ask(question)
        except KeyboardInterrupt:
            tell("(stopped)", "dim")
        except SekhaError as error:
            fail("chat", explained(error))


def _question(*, on_stdout: bool) -> str:
    if on_stdout:
        return input(PROMPT)
    tell(PROMPT, end="")
    return input()


def _answer_once(chat: Chat) -> int:
    question = sys.stdin.read().strip()
    if not question:
        raise Failure("the standard input has no question", USAGE)
    chat.ask(question)
    return FINE


def _stored(client: "SekhaClient", chat: Chat, label: Optional[str], folder: Optional[str]) -> "Optional[Conversation]":
    """Store what was said; what cannot be stored is kept in a file."""
    from sekha._api.validation import drop_unset

    messages = chat.transcript()
    if not messages:
        return None
    try:
        stored = client.controller.create_conversation(label=label, folder=folder, messages=messages)
    except (SekhaError, KeyboardInterrupt):
        _keep(drop_unset(label=label, folder=folder, messages=messages))
        raise
    tell(f"Stored as {stored['id']}, {line_of(stored['label'], 60)}.", "dim")
    return stored


def _keep(conversation: dict[str, object]) -> None:
    name = f"sekha-chat-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    with whole_file(name) as file:
        file.write(f"{as_json(conversation, indent=None)}\n")
    tell(f"The conversation could not be stored; it is kept in {name}")
