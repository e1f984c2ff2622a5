"""The command-line application: selects a command, runs it, and maps its errors to exit codes."""

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
from sekha.cli.exits import FAILED, INTERRUPTED, MEANINGS, USAGE, exit_code
from sekha.cli.failures import KNOWN_ERRORS, fail, fail_usage
from sekha.cli.terminal import drop_unwritten, echo, echo_err, flush, is_closed_pipe
from sekha.errors import SekhaWarning

COMPLETION_VARIABLE = "_SEKHA_COMPLETE"
"""Set by the shell when it asks for completions."""

HELP_OPTIONS = ("-h", "--help")
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""The base of all errors of usage, which typer has under no name of its own; newer versions contain their own click."""

_EXIT_CODES = "\b\nExit codes:\n" + "\n".join(f"{code:5}  {meaning}" for code, meaning in MEANINGS.items())
_SETTINGS = """\b
Settings come from options, else from the environment, else from a file .env
in the working directory:
  SEKHA_CONTROLLER_URL, SEKHA_API_KEY, SEKHA_BRIDGE_URL, SEKHA_MCP_API_KEY,
  SEKHA_BRIDGE_API_KEY, SEKHA_TIMEOUT, SEKHA_MAX_RETRIES, SEKHA_PROXY,
  SEKHA_RATE_LIMIT_REQUESTS
Keys are never options: others would see them in the list of processes."""


def run(words: Sequence[str]) -> int:
    """Run a command line, and return its exit code."""
    try:
        # Not as a program of its own, which would print errors of usage in the words of typer.
        code = typer.main.get_command(program(words)).main([*words], prog_name="sekha", standalone_mode=False)
    except _UsageError as error:
        code = fail_usage(error, as_json=_wants_json(words))
    except typer.Abort:  # Ctrl-C while the words are read
        code = INTERRUPTED
    except SystemExit as stop:  # of completion
        code = stop.code
    except OSError as error:  # of a help text; a command has returned its exit code
        if not is_closed_pipe(error):
            raise
        code = FAILED
    finally:
        drop_unwritten()
    return code if isinstance(code, int) else FAILED


def _wants_json(words: Sequence[str]) -> bool:
    """Return whether a command line that cannot be read has the option `--json`."""
    options = words[: words.index("--")] if "--" in words else words
    return "--json" in options


def program(words: Sequence[str]) -> typer.Typer:
    """Build the application; only the chosen command is imported, the others have only a help text."""
    # Plain help does not import rich, which takes as long as all other imports together.
    app = typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": [*HELP_OPTIONS]},
    )
    app.callback(invoke_without_command=True, epilog=f"{_EXIT_CODES}\n\n{_SETTINGS}")(_sekha)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, about in COMMANDS.items():
        is_needed = name == chosen or COMPLETION_VARIABLE in os.environ
        command = import_module(f"sekha.cli.{MODULES.get(name, name)}").run if is_needed else _not_loaded
        about = f"{about[:1].upper()}{about[1:]}."
        app.command(name, help=about, epilog="Exit codes and settings: sekha --help")(_with_exit_code(name, command))
    return app


def _not_loaded() -> int:
    raise AssertionError


def _version(wanted: bool) -> None:
    if wanted:
        echo(__version__)
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


def _with_exit_code(name: str, command: Callable[..., int]) -> Callable[..., None]:
    """Wrap a command: its result or error becomes an exit code, and an error one line."""

    @wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> None:
        as_json = options.get("json") is True
        raise typer.Exit(_run_command(name, lambda: command(*arguments, **options), as_json=as_json))

    return wrapped


def _run_command(name: str, command: Callable[[], int], *, as_json: bool) -> int:
    try:
        with _one_line_warnings(name):
            code = command()
            flush()  # raises an error here rather than at exit
            return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # who reads the output has seen enough
        return FAILED
    except KNOWN_ERRORS as error:
        return fail(name, error, exit_code(error), as_json=as_json)


@contextmanager
def _one_line_warnings(name: str) -> Generator[None, None, None]:
    """Print warnings of the library in one line, without the source line of the caller, and each text once."""
    shown: set[str] = set()

    def show(
        message: Union[Warning, str],
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Optional[TextIO] = None,
        line: Optional[str] = None,
    ) -> None:
        if issubclass(category, SekhaWarning):
            if str(message) not in shown:
                echo_err(f"sekha {name}: {message}")
            shown.add(str(message))
        else:
            original(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        original = warnings.showwarning
        warnings.showwarning = show
        warnings.simplefilter("always", SekhaWarning)
        yield
