"""`sekha hook recall` and `sekha hook remember`, which a coding agent runs; their failures do not stop the agent.

They run at every prompt, so imports are kept to a minimum: no typer, no rich, and the client only after the input was
validated.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import gmtime, strftime
from typing import Any, BinaryIO, NamedTuple, cast

from sekha.cli.connection import config_for_programs
from sekha.cli.hook_input import BadInput, HookInput, read_input
from sekha.cli.hook_repository import repository_name
from sekha.errors import SekhaWarning

DEADLINE = 3.0
"""Maximum duration of `recall` in seconds."""
_ASK_WITHIN = 2.0
"""Deadline for the requests of `recall` in seconds, without retries, since the prompt waits for them."""
_WAIT_FOR_OTHERS = 600.0
"""Maximum time in seconds that `remember` waits for another process that is storing."""
APP = "code"
"""Name of the folder that contains the folders of repositories."""
CHILD = "import sys; sys.path[:1] = []; from sekha.cli import main; sys.exit(main())"
"""Runs the command line. Modules are not imported from the working directory, whose files are not trusted."""


class HookOptions(NamedTuple):
    """Options of both commands.

    Attributes:
        folder: Folder of the memory; None for the folder of the repository.
        env_file: File with settings that are not in the environment.
        min_score: Minimum score of recalled results, 0 to 1.
        wait: Whether `remember` stores in the foreground.
        logs: Whether the command runs in the background, with stderr as its log.
        files: Session files to store, instead of the session on stdin.
    """

    folder: str | None = None
    env_file: str | None = None
    min_score: float | None = None
    wait: bool = False
    logs: bool = False
    files: Sequence[str] = ()


def is_for_agents(words: Sequence[str]) -> bool:
    """Return whether a command line is `hook recall` or `hook remember`, without an option for help."""
    return words[:1] == ["hook"] and words[1:2] in (["recall"], ["remember"]) and not {"--help", "-h"} & {*words}


def run_for_agents(words: Sequence[str], *, is_alone: bool) -> int:
    """Run one of the two commands; report a failure in one line on stderr, with exit code 0.

    Any other exit code would stop the agent, or be shown as an error. With session files as arguments, the exit code
    of a failure is 1.

    Args:
        words: The command line.
        is_alone: Whether the process runs nothing else, so that it may exit without cleanup.

    Returns:
        The exit code.
    """
    verb = words[1]
    is_quick = is_alone and verb == "recall"
    if is_quick:  # the user waits: skip garbage collection, the process exits soon
        gc.disable()
    watch = _Watch(verb)
    options = HookOptions()
    with warnings.catch_warnings():
        warnings.simplefilter("always", SekhaWarning)
        warnings.showwarning = watch.show_warning
        try:
            options = parse_options(verb, words[2:])
            if verb == "recall":
                watch.start(DEADLINE)
                found = recall(_read_stdin(("session_id", "cwd")), options)
                watch.claim_output()
                _print(found)
            else:
                watch.logs = options.logs
                remember(options, watch)
        except (KeyboardInterrupt, SystemExit):
            pass
        except BaseException as error:
            watch.claim_output()
            message = _describe(error)
            watch.fail(message)
            if verb == "recall" and not isinstance(error, BadInput):
                _print(system_message(message))
        finally:
            watch.claim_output()  # the timer must not end a process that continues
    _drop_closed_output()
    if is_quick:
        os._exit(0)
    return int(bool(options.files) and watch.has_failed)


def parse_options(verb: str, words: Sequence[str]) -> HookOptions:
    """Return the options of a command line.

    Raises:
        BadInput: An option is unknown, or its value is not valid.
    """
    found: dict[str, Any] = {}
    files: list[str] = []
    rest = [*words]
    while rest:
        word = rest.pop(0)
        name, has_value, value = word.partition("=")
        if name in ("--folder", "--env-file") or (name == "--min-score" and verb == "recall"):
            if not has_value:
                if not rest:
                    raise BadInput(f"{name}: requires a value")
                value = rest.pop(0)
            found[name[2:].replace("-", "_")] = _score(value) if name == "--min-score" else value
        elif word in ("--wait", "--in-background") and verb == "remember":
            found.update(wait=True, logs=word != "--wait")
        elif verb == "remember" and not word.startswith("-"):
            files.append(word)
        else:
            raise BadInput(f"{name}: unknown option; see `sekha hook --help`")
    return HookOptions(**found, files=files)


def _score(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInput("--min-score: must be a number from 0 to 1") from None


class _Watch:
    """Reports failures, and ends the process after its deadline.

    Args:
        verb: The running command.

    Attributes:
        logs: Whether each line starts with the time.
        has_failed: Whether a failure was reported.
    """

    def __init__(self, verb: str) -> None:
        self.logs = False
        self.has_failed: bool = False
        self._verb = verb
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._is_over = False

    def start(self, seconds: float) -> None:
        """End the process after a number of seconds, since a DNS lookup cannot be interrupted otherwise."""
        self._timer = threading.Timer(seconds, self._end, (seconds,))
        self._timer.daemon = True
        self._timer.start()

    def fail(self, message: str) -> None:
        """Report a failure."""
        self.has_failed = True
        self.say(message)

    def say(self, message: str) -> None:
        """Print a line to stderr."""
        with self._lock:
            self._write(message)

    def show_warning(self, message: object, *rest: object, **more: object) -> None:
        """Print a warning in one line, without its source line."""
        self.say(str(message))

    def claim_output(self) -> None:
        """Stop the timer: from now on the result is printed without interruption."""
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:  # waits if the timer is ending the process now
            self._is_over = True

    def _end(self, seconds: float) -> None:
        with self._lock:
            if self._is_over:
                return
            message = f"no response within {seconds:g} seconds; nothing was recalled"
            self._write(message)
            with suppress(OSError, ValueError, AttributeError):
                _print(system_message(message))
            os._exit(0)

    def _write(self, message: str) -> None:
        begin = f"{strftime('%Y-%m-%d %H:%M:%S', gmtime())} UTC " if self.logs else ""
        _write_line(f"{begin}sekha hook {self._verb}: {message}")


def recall(found: HookInput, options: HookOptions) -> dict[str, Any] | None:
    """Return the output for an agent with memories about its prompt; None if there are none.

    Raises:
        SekhaError: The search failed.
    """
    if not found.prompt.strip():
        return None
    from sekha._sync.client import SekhaClient
    from sekha._sync.memory import Memory

    config = config_for_programs(env_file=options.env_file).replace(deadline=_ASK_WITHIN, max_retries=0)
    scope = _scope(found, options)
    with SekhaClient(config) as client:
        memory = Memory(client, scope, on_error="raise")
        block = memory.block(found.prompt, min_score=options.min_score)
    if not block:
        return None
    return {"hookSpecificOutput": {"hookEventName": "UserPromptSubmit", "additionalContext": block}}


def remember(options: HookOptions, watch: _Watch) -> None:
    """Store new messages of a session: in a background process, or in this one with `--wait` or files.

    Args:
        options: The options.
        watch: Prints messages.

    Raises:
        BadInput: The input is not valid.
        SekhaError: A setting is not valid, or a request of this process failed.
        OSError: The file cannot be read.
    """
    if options.files:
        for path in options.files:
            if os.path.isfile(path):
                _remember_now(HookInput(transcript_path=path), options, watch)
            else:
                watch.fail(f"file not found: {path}")
        return
    found = _read_stdin(("session_id", "transcript_path", "cwd"))
    if not os.path.isfile(found.transcript_path):
        raise BadInput(f"transcript_path: file not found: {found.transcript_path}")
    if options.wait:
        _remember_now(found, options, watch)
        return
    config_for_programs(env_file=options.env_file)  # report missing settings here, where the user may see it
    _scope(found, options)
    _remember_in_background(found, options)


def _remember_now(found: HookInput, options: HookOptions, watch: _Watch) -> None:
    from sekha._concurrency.clock import Clock
    from sekha._sync.client import SekhaClient
    from sekha.cli.hook_sessions import read_session
    from sekha.cli.hook_state import HookState, new_turns, state_folder
    from sekha.cli.hook_storing import deliver

    config = config_for_programs(env_file=options.env_file)
    session = read_session(found.transcript_path)
    for problem in session.problems:
        watch.fail(problem)
    label = found.session_id or session.id
    if not label or not session.messages:
        return
    scope = _scope(HookInput(session_id=label, cwd=found.cwd or session.directory), options)
    with SekhaClient(config) as client:
        state = HookState(state_folder(), str(config.controller_url).rstrip("/"))
        with state.locked(_WAIT_FOR_OTHERS, Clock()):
            turns = new_turns(session.messages, label, scope.folder, state.known())
            if turns:
                state.send(turns)
            for line in deliver(client, state):
                watch.say(f"session {label}: {line}")


def _remember_in_background(found: HookInput, options: HookOptions) -> None:
    """Start a process that stores the session and outlives this one and the agent."""
    import subprocess

    from sekha.cli.hook_state import open_log, state_folder

    command = [sys.executable, "-c", CHILD, "hook", "remember", "--in-background"]
    for name in ("folder", "env_file"):
        value = getattr(options, name)
        if value is not None:
            command.append(f"--{name.replace('_', '-')}={value if name == 'folder' else os.path.abspath(value)}")
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        detached = {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    message = {
        "session_id": found.session_id,
        "transcript_path": os.path.abspath(found.transcript_path),
        "cwd": os.path.abspath(found.cwd),
    }
    folder = state_folder()
    log = open_log(folder)
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder, close_fds=True, **detached
        )
        child.returncode = 0  # not waited for on purpose: no ResourceWarning
        pipe = cast(BinaryIO, child.stdin)
        with pipe:
            pipe.write(json.dumps(message).encode())
    finally:
        os.close(log)


def _scope(found: HookInput, options: HookOptions) -> Any:
    from sekha.cli.folder_option import parse_folder
    from sekha.cli.hook_scope import FolderScope

    if options.folder is not None:
        return FolderScope(APP, options.folder, found.session_id, path=parse_folder(options.folder))
    return FolderScope(APP, repository_name(found.cwd), found.session_id)


def _read_stdin(needed: Sequence[str]) -> HookInput:
    if sys.stdin is None or sys.stdin.isatty():
        raise BadInput("stdin: expected a JSON object; this command is run by a coding agent, see `sekha hook --help`")
    return read_input(sys.stdin.buffer, needed)


def system_message(message: str) -> dict[str, Any]:
    """Return a message that the agent shows to its user; agents do not show stderr."""
    return {"systemMessage": f"sekha hook recall: {message}"}


def _print(result: Mapping[str, Any] | None) -> None:
    """Print an object for the agent in ASCII, since the encoding that it expects is unknown."""
    if result is not None:
        sys.stdout.write(f"{json.dumps(result)}\n")
        sys.stdout.flush()


def _write_line(line: str) -> None:
    """Write one line to stderr."""
    with suppress(OSError, ValueError, AttributeError):  # no stderr, or closed
        print(" ".join(line.split()).encode("ascii", "backslashreplace").decode(), file=sys.stderr, flush=True)


def _describe(error: BaseException) -> str:
    """Describe an error in one line."""
    from sekha.errors import SekhaError

    if isinstance(error, SekhaError):
        from sekha.cli.exits import describe_error

        return describe_error(error)
    if isinstance(error, BadInput):
        return str(error)
    if isinstance(error, (OSError, TimeoutError)):
        name = getattr(error, "filename", None)
        return f"{name}: {error.strerror}" if name is not None and error.strerror else str(error)
    return f"{type(error).__name__}: {error}"


def _drop_closed_output() -> None:
    """Drop unwritten output of a closed stdout, which would change the exit code when Python flushes it."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        sys.stdout = None  # the value that Python sets if there is no stdout
