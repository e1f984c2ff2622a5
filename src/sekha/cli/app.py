"""The commands as one program: which is chosen, what becomes of its errors, and how it ends."""

import os
import sys
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import wraps
from importlib import import_module
from typing import Any, Optional, TextIO, Union

import typer
from typing_extensions import Annotated

from sekha import __version__
from sekha.cli import COMMANDS, MODULES
from sekha.cli.exits import FAILED, INTERRUPTED, MEANINGS, USAGE, Failure, exit_code, explained
from sekha.cli.terminal import fail, tell
from sekha.errors import SekhaError, SekhaWarning

COMPLETING = "_SEKHA_COMPLETE"
"""Set by the shell when it asks what could come next."""

_EXIT_CODES = "\b\nExit codes:\n" + "\n".join(f"{code:5}  {meaning}" for code, meaning in MEANINGS.items())
_SETTINGS = """\b
Settings come from options, else from the environment, else from a file .env
in the working directory:
  SEKHA_CONTROLLER_URL, SEKHA_API_KEY, SEKHA_BRIDGE_URL, SEKHA_MCP_API_KEY,
  SEKHA_BRIDGE_API_KEY, SEKHA_TIMEOUT, SEKHA_MAX_RETRIES
Keys are never options: others would see them in the list of processes."""


def run(words: Sequence[str]) -> int:
    """Run the command that the words name; its exit code."""
    try:
        typer.main.get_command(program(words))(args=[*words], prog_name="sekha")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else FAILED
    return 0  # not reached: the program ends in SystemExit


def program(words: Sequence[str]) -> typer.Typer:
    """The program; of the commands only the chosen one is imported, the others are there for the help."""
    # Plain help: it needs no rich, which takes as long to load as all the rest.
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback(invoke_without_command=True, epilog=f"{_EXIT_CODES}\n\n{_SETTINGS}")(_sekha)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, about in COMMANDS.items():
        is_needed = name == chosen or COMPLETING in os.environ
        command = import_module(f"sekha.cli.{MODULES.get(name, name)}").run if is_needed else _not_chosen
        about = f"{about[:1].upper()}{about[1:]}."
        app.command(name, help=about, epilog="Exit codes and settings: sekha --help")(_guarded(name, command))
    return app


def _not_chosen() -> int:
    raise AssertionError


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


def _sekha(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Sekha, a self-hosted memory for AI applications."""
    if context.invoked_subcommand is None:
        with redirect_stdout(sys.stderr):  # some versions of typer print it themselves
            typer.echo(context.get_help())
        raise typer.Exit(USAGE)


def _guarded(name: str, command: Callable[..., int]) -> Callable[..., None]:
    """The command, whose errors become one line and an exit code."""

    @wraps(command)
    def guarded(*arguments: Any, **options: Any) -> None:
        raise typer.Exit(_outcome(name, lambda: command(*arguments, **options)))

    return guarded


def _outcome(name: str, command: Callable[[], int]) -> int:
    try:
        with _warnings_in_one_line(name):
            code = command()
            sys.stdout.flush()  # here, where a reader who went away is no surprise
            return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on; Python would complain at exit
        return FAILED
    except SekhaError as error:
        return fail(name, explained(error), exit_code(error))
    except Failure as failure:
        return fail(name, failure, failure.code)
    except (OSError, UnicodeError, ModuleNotFoundError) as error:
        return fail(name, error)


@contextmanager
def _warnings_in_one_line(name: str) -> Generator[None, None, None]:
    """The library's warnings are about the memory, not about the line of our code that called it."""

    told: set[str] = set()  # one of them for each of thousands of conversations would say no more

    def show(
        message: Union[Warning, str],
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Optional[TextIO] = None,
        line: Optional[str] = None,
    ) -> None:
        if issubclass(category, SekhaWarning):
            if str(message) not in told:
                tell(f"sekha {name}: {message}")
            told.add(str(message))
        else:
            as_before(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        as_before = warnings.showwarning
        warnings.showwarning = show
        warnings.simplefilter("always", SekhaWarning)
        yield
