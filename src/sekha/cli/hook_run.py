"""`sekha hook recall` and `sekha hook remember`, which a coding agent runs; its own run goes on whatever happens here.

They are run at every prompt, so nothing is imported that they do not need: no typer, no rich, and the client only when
the input is known to be good.
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
"""Seconds that `recall` takes at most, from its start."""
_ASK_WITHIN = 2.0
"""Seconds of these for the questions to the server, each of which is asked once: a prompt waits for them."""
_WAIT_FOR_OTHERS = 600.0
"""Seconds that `remember` waits for another process that stores."""
APP = "code"
"""The folder of all repositories."""
CHILD = "import sys; sys.path[:1] = []; from sekha.cli import main; sys.exit(main())"
"""Runs the command line. The working directory is not searched for modules: it belongs to somebody else."""


class HookOptions(NamedTuple):
    """Options of both.

    Attributes:
        folder: The folder of the memory, instead of one for the repository.
        env_file: A file with settings that the environment does not have.
        min_score: Results below it are not recalled.
        wait: Whether `remember` stores before it ends.
        logs: Whether it runs in the background, and stderr is a log.
        files: Sessions to remember, instead of the one on stdin.
    """

    folder: str | None = None
    env_file: str | None = None
    min_score: float | None = None
    wait: bool = False
    logs: bool = False
    files: Sequence[str] = ()


def is_for_agents(words: Sequence[str]) -> bool:
    """Return whether a command line is one that agents run, and does not ask for help."""
    return words[:1] == ["hook"] and words[1:2] in (["recall"], ["remember"]) and not {"--help", "-h"} & {*words}


def run_for_agents(words: Sequence[str], *, is_alone: bool) -> int:
    """Run one of the two; whatever happens, the exit code is 0 and one line on stderr says what.

    Any other exit code would stop the agent, or show as an error in its work. Only where somebody has named files, it
    is 1 if something went wrong.

    Args:
        words: The command line.
        is_alone: Whether the process has nothing else to do, so that it may end without tidying up.
    """
    verb = words[1]
    is_quick = is_alone and verb == "recall"
    if is_quick:  # the user waits for it: memory is collected by the end of the process
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
            watch.claim_output()  # a process that goes on must not be ended later
    _drop_closed_output()
    if is_quick:
        os._exit(0)
    return int(bool(options.files) and watch.has_failed)


def parse_options(verb: str, words: Sequence[str]) -> HookOptions:
    """Return the options of a command line.

    Raises:
        BadInput: One of them is unknown, or cannot be used.
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
                    raise BadInput(f"{name}: needs a value")
                value = rest.pop(0)
            found[name[2:].replace("-", "_")] = _score(value) if name == "--min-score" else value
        elif word in ("--wait", "--in-background") and verb == "remember":
            found.update(wait=True, logs=word != "--wait")
        elif verb == "remember" and not word.startswith("-"):
            files.append(word)
        else:
            raise BadInput(f"{name}: there is no such option; `sekha hook --help` lists them")
    return HookOptions(**found, files=files)


def _score(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInput("--min-score: must be a number from 0 to 1") from None


class _Watch:
    """Says what goes wrong, and ends the process when its time is over.

    Args:
        verb: What runs.

    Attributes:
        logs: Whether each line begins with the time.
        has_failed: Whether something went wrong.
    """

    def __init__(self, verb: str) -> None:
        self.logs = False
        self.has_failed: bool = False
        self._verb = verb
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._is_over = False

    def start(self, seconds: float) -> None:
        """End the process in so many seconds: nothing else could end a wait for the name of a host."""
        self._timer = threading.Timer(seconds, self._end, (seconds,))
        self._timer.daemon = True
        self._timer.start()

    def fail(self, message: str) -> None:
        """Print why it failed."""
        self.has_failed = True
        self.say(message)

    def say(self, message: str) -> None:
        """Print a line to stderr."""
        with self._lock:
            self._write(message)

    def show_warning(self, message: object, *rest: object, **more: object) -> None:
        """Print a warning in one line, without the line of the source that it is from."""
        self.say(str(message))

    def claim_output(self) -> None:
        """From now on it is no more interrupted: its result is being printed."""
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:  # unless it ends just now
            self._is_over = True

    def _end(self, seconds: float) -> None:
        with self._lock:
            if self._is_over:
                return
            message = f"no answer within {seconds:g} seconds, so nothing is recalled"
            self._write(message)
            with suppress(OSError, ValueError, AttributeError):
                _print(system_message(message))
            os._exit(0)

    def _write(self, message: str) -> None:
        begin = f"{strftime('%Y-%m-%d %H:%M:%S', gmtime())} UTC " if self.logs else ""
        _write_line(f"{begin}sekha hook {self._verb}: {message}")


def recall(found: HookInput, options: HookOptions) -> dict[str, Any] | None:
    """Return what an agent is to be told about its memory: an object for its stdin, None for nothing.

    Raises:
        SekhaError: The memory cannot be asked.
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
    """Store what is new of a session: in a process of its own, or in this one with `--wait` or files.

    Args:
        options: The options.
        watch: Prints lines for people.

    Raises:
        BadInput: The input cannot be used.
        SekhaError: The settings cannot be used; or, in this process, the memory fails.
        OSError: The file cannot be read.
    """
    if options.files:
        for path in options.files:
            if os.path.isfile(path):
                _remember_now(HookInput(transcript_path=path), options, watch)
            else:
                watch.fail(f"there is no file {path}")
        return
    found = _read_stdin(("session_id", "transcript_path", "cwd"))
    if not os.path.isfile(found.transcript_path):
        raise BadInput(f"transcript_path: there is no file {found.transcript_path}")
    if options.wait:
        _remember_now(found, options, watch)
        return
    config_for_programs(env_file=options.env_file)  # what is missing is said where somebody may see it
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
    """Begin a process that stores, and outlives this one and the agent."""
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
        child.returncode = 0  # it is not waited for, which is no mistake to be warned of
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
        raise BadInput("stdin: a coding agent runs this, and passes a JSON object; `sekha hook --help` says more")
    return read_input(sys.stdin.buffer, needed)


def system_message(message: str) -> dict[str, Any]:
    """Return what an agent shows to its user: of stderr it shows nothing."""
    return {"systemMessage": f"sekha hook recall: {message}"}


def _print(result: Mapping[str, Any] | None) -> None:
    """Print an object for the agent, in ASCII: nobody knows which encoding it expects."""
    if result is not None:
        sys.stdout.write(f"{json.dumps(result)}\n")
        sys.stdout.flush()


def _write_line(line: str) -> None:
    """Write one line to stderr."""
    with suppress(OSError, ValueError, AttributeError):  # there is no stderr, or nobody reads it
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
    """Let Python flush nothing to a reader that is gone, which would change the exit code."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        sys.stdout = None  # as Python itself has it where there is none
