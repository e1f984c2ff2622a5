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

TRUNCATION_NOTE = "[This answer was cut off.]"
CHATS = "/chats"
"""Where chats are stored, and what an answer does not remember by default: a question is most like itself."""
PROMPT = "> "
_END_KEY = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D"
_END_WORDS = ("exit", "quit", "/exit", "/quit")
_COMMAND = re.compile(r"/\w*")
_HELP = """\
  /quit, exit     end the chat and store it; {end_key} does too
  /help           show this
  Ctrl-C          stop an answer; at the prompt, end the chat without storing it
Anything else goes to the model, with what the memory has about it."""


@dataclass
class Turn:
    """A question with its answer."""

    question: str
    answer: str = ""
    complete: bool = False
    memories: List[Any] = field(default_factory=list[Any])


@dataclass
class Options:
    """What each question of a chat is asked with.

    Attributes:
        model: Name of a model, or None.
        system: An instruction to the model, or None.
        budget: Tokens of memory for each answer.
        min_score: Score of what is remembered, at least.
        with_chats: Whether former chats are remembered.
    """

    model: Optional[str]
    system: Optional[str]
    budget: int
    min_score: Optional[float]
    with_chats: bool


def run(
    question: Annotated[
        Optional[List[str]], typer.Argument(metavar="QUESTION", help="Ask this, and end (default: a chat).")
    ] = None,
    continue_last: Annotated[
        bool, typer.Option("--continue", "-c", help="Go on with the last chat in the folder.")
    ] = False,
    label: Label = None,
    folder: Annotated[
        str,
        typer.Option("--folder", metavar="FOLDER", callback=check_folder, help="Where the chat is stored."),
    ] = CHATS,
    no_store: Annotated[bool, typer.Option("--no-store", help="Do not store the conversation at the end.")] = False,
    with_chats: Annotated[
        bool, typer.Option("--with-chats", help=f"Remember former chats too, which are in {CHATS}.")
    ] = False,
    min_score: MinScore = None,
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
    """Answer one question, of the arguments or of stdin; or chat until Ctrl-D or exit. Then store what was said."""
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
        is_to_be_stored = True
        try:
            try:
                if one is not None:
                    chat.ask(one.strip())
                else:
                    is_to_be_stored = _chat_interactively(chat)
            finally:  # also after an error
                if is_to_be_stored and not no_store:
                    stored = _store(client, chat, label, folder)
        finally:
            if json:
                echo_json({"turns": [vars(turn) for turn in chat.turns], "conversation": stored})
    return OK


class Chat:
    """A chat with its previous turns.

    Args:
        client: The client of memory and model.
        options: What each question is asked with.
        continued: The ID of a stored chat that goes on, or None.
        show: Whether answers are printed as they arrive.
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
            SekhaError: The answer ended early; its beginning is in the last turn.
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
                echo_err(f"Remembered: {', '.join(names)}", "dim")
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
        """Return the last question of the chat that goes on."""
        asked = [message["content"] for message in self._before if message["role"] == "user"]
        return asked[-1] if asked and isinstance(asked[-1], str) else None

    def _history(self) -> List[Any]:
        """Return what was said before, without unanswered questions, since models expect alternating roles."""
        said = [message for turn in self.turns if turn.answer for message in _messages(turn)]
        return [*self._before, *said]

    def transcript(self) -> List[Any]:
        """Return the messages to store, partial answers too; none if there is no new answer at all."""
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
    """Return label and folder of what is remembered, without duplicates."""
    found = [(memory["label"], memory["folder"]) for memory in memories]
    return [{"label": label, "folder": folder} for label, folder in dict.fromkeys(found)]


def _last_chat(client: "SekhaClient", folder: str) -> str:
    """Return the ID of the chat in a folder that was changed last."""
    for row in client.controller.iter_conversations(folder=folder, subfolders=True, archived=False):
        return row["conversation_id"]
    raise CommandError(f"there is no chat in {folder} that could be continued", NOT_FOUND)


def _chat_interactively(chat: Chat) -> bool:
    """Read questions from a terminal; Ctrl-C stops an answer, or else the chat.

    Returns:
        Whether the chat is to be stored.
    """
    if sys.stdout.isatty():
        with suppress(ModuleNotFoundError):  # there is none on Windows
            import_module("readline")  # `input` then supports line editing
    if (before := chat.last_words()) is not None:
        echo_err(f"Going on after: {one_line(before, 70)}", "dim")
    echo_err(f"{_END_KEY} or /quit ends the chat, Ctrl-C an answer. /help shows more.", "dim")
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
                echo_err(f"There is no command {question} here.")
            echo_err(_HELP.format(end_key=_END_KEY))
        elif question:
            _ask_and_go_on(chat, question)


def _ask_and_go_on(chat: Chat, question: str) -> None:
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
    """Store the chat, in place of the one that it continues; write it to a file if that fails."""
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
    echo_err(f"The conversation could not be stored; it is kept in {name}")
