"""The command-line application: selects a command, runs it, and maps its errors to exit codes."""

import os
import sys
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import wraps
from importlib import import_module
from types import ModuleType
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
"""The base class of all usage errors. typer does not export it, and newer versions bundle their own click."""

_EXIT_CODES = "\b\nExit codes:\n" + "\n".join(f"{code:5}  {meaning}" for code, meaning in MEANINGS.items())
_SETTINGS = """\b
Settings are read from options, then from environment variables, then from a
.env file in the working directory (not by hook and mcp: pass --env-file):
  SEKHA_CONTROLLER_URL, SEKHA_API_KEY, SEKHA_BRIDGE_URL, SEKHA_MCP_API_KEY,
  SEKHA_BRIDGE_API_KEY, SEKHA_TIMEOUT, SEKHA_MAX_RETRIES, SEKHA_PROXY,
  SEKHA_RATE_LIMIT_REQUESTS
API keys of clients cannot be passed as options: other users could see them
in the process list."""


def run(words: Sequence[str]) -> int:
    """Run a command line, and return its exit code."""
    try:
        # Not in standalone mode, in which typer prints usage errors itself.
        code = typer.main.get_command(program(words)).main([*words], prog_name="sekha", standalone_mode=False)
    except _UsageError as error:
        code = fail_usage(error, as_json=_wants_json(words))
    except typer.Abort:  # Ctrl-C while the arguments are parsed
        code = INTERRUPTED
    except SystemExit as stop:  # raised by shell completion
        code = stop.code
    except OSError as error:  # raised while printing help; a command returns its exit code
        if not is_closed_pipe(error):
            raise
        code = FAILED
    finally:
        drop_unwritten()
    return code if isinstance(code, int) else FAILED


def _wants_json(words: Sequence[str]) -> bool:
    """Return whether a command line that cannot be parsed contains the option `--json`."""
    options = words[: words.index("--")] if "--" in words else words
    return "--json" in options


def program(words: Sequence[str]) -> typer.Typer:
    """Build the application. Only the module of the selected command is imported; the others have only a help text."""
    # Plain help, since importing rich takes as long as all other imports together.
    app = typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": [*HELP_OPTIONS]},
    )
    app.callback(invoke_without_command=True, epilog=f"{_EXIT_CODES}\n\n{_SETTINGS}")(_sekha)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, about in COMMANDS.items():
        is_needed = name == chosen or COMPLETION_VARIABLE in os.environ
        module = import_module(f"sekha.cli.{MODULES.get(name, name)}") if is_needed else None
        command = _not_loaded if module is None else module.run
        about = f"{about[:1].upper()}{about[1:]}."
        details = f"{about}\n\n{getattr(module, 'DETAILS', '')}"
        app.command(name, short_help=about, help=details, epilog=_epilog(module))(_with_exit_code(name, command))
    return app


def _not_loaded() -> int:
    raise AssertionError


def _epilog(module: Optional[ModuleType]) -> str:
    """Return the end of the help of a command: its examples, and where to find more."""
    examples = "\n".join(f"  {line}" for line in getattr(module, "EXAMPLES", ()))
    return f"\b\nExamples:\n{examples}\n\nExit codes and settings: sekha --help"


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
    """Use Sekha, a self-hosted memory for AI applications, from the terminal."""
    if context.invoked_subcommand is None:
        with redirect_stdout(sys.stderr):  # some versions of typer print the help in get_help()
            typer.echo(context.get_help())
        raise typer.Exit(USAGE)


def _with_exit_code(name: str, command: Callable[..., int]) -> Callable[..., None]:
    """Wrap a command so that its result or error becomes an exit code; print an error as one line."""

    @wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> None:
        as_json = options.get("json") is True
        raise typer.Exit(_run_command(name, lambda: command(*arguments, **options), as_json=as_json))

    return wrapped


def _run_command(name: str, command: Callable[[], int], *, as_json: bool) -> int:
    try:
        with _one_line_warnings(name):
            code = command()
            flush()  # raises write errors here instead of at exit
            return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of stdout has closed the pipe
        return FAILED
    except KNOWN_ERRORS as error:
        return fail(name, error, exit_code(error), as_json=as_json)


@contextmanager
def _one_line_warnings(name: str) -> Generator[None, None, None]:
    """Print each warning of the library once, as one line without the caller's source line."""
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
