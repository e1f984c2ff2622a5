"""`sekha hook install` and `uninstall`: the settings files of agents, their hooks, and how to change them."""

from __future__ import annotations

import difflib
import os
import shlex
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sekha.cli.exits import FAILED, OK, CommandError
from sekha.cli.files import atomic_write
from sekha.cli.hook_run import CHILD
from sekha.cli.hook_settings import BadSettings, Hook, add_hooks, remove_hooks
from sekha.cli.terminal import confirm, echo, echo_err, strip_controls

_RECALL_TIMEOUT = 5
_REMEMBER_TIMEOUT = 10


class Agent(NamedTuple):
    """A coding agent.

    Attributes:
        name: Display name.
        home_variable: Environment variable for its settings folder.
        home: Settings folder, relative to the home directory of the user, and to a project.
        file: Settings file for all projects.
        project_file: Settings file for one project, on this machine.
        ends: Events after which a session may have new messages.
        next_step: Instruction for the user after a change.
    """

    name: str
    home_variable: str
    home: str
    file: str
    project_file: str
    ends: tuple[str, ...]
    next_step: str


AGENTS = {
    "claude-code": Agent(
        "Claude Code",
        "CLAUDE_CONFIG_DIR",
        ".claude",
        "settings.json",
        "settings.local.json",
        ("Stop", "SessionEnd"),
        "New sessions use the hooks; to list them in Claude Code: /hooks.",
    ),
    "codex": Agent(
        "Codex",
        "CODEX_HOME",
        ".codex",
        "hooks.json",
        "hooks.json",
        ("Stop",),
        "Codex runs new hooks only after you trust them: /hooks.",
    ),
}


def settings_file(agent: Agent, *, project: bool) -> Path:
    """Return the settings file of an agent for the user, or for the project in the working directory."""
    if project:
        return Path(agent.home) / agent.project_file
    home = os.environ.get(agent.home_variable)
    return (Path(home) if home else Path.home() / agent.home) / agent.file


def hooks_of(agent: Agent, options: list[str], recall_options: list[str]) -> list[Hook]:
    """Return the hooks of this package for an agent.

    Args:
        agent: The agent.
        options: Options of both commands.
        recall_options: Additional options of `recall`.
    """
    recall = command_line(["hook", "recall", *options, *recall_options])
    remember = command_line(["hook", "remember", *options])
    return [
        Hook("UserPromptSubmit", recall, _RECALL_TIMEOUT),
        *(Hook(event, remember, _REMEMBER_TIMEOUT) for event in agent.ends),
    ]


def command_line(words: list[str]) -> str:
    """Return a command line that runs `sekha` from any directory, quoted for the shell of this system.

    It contains the absolute path of the program, since agents do not activate the environment of this package.
    """
    program = find_program()
    return join_words([*([sys.executable, "-c", CHILD] if program is None else [program]), *words])


def find_program() -> str | None:
    """Return the path of the running `sekha` program, or of the one of this environment; None if there is none."""
    name = "sekha.exe" if sys.platform == "win32" else "sekha"
    with suppress(IndexError, OSError):
        if os.path.basename(sys.argv[0]) in ("sekha", name) and os.path.isfile(sys.argv[0]):
            return os.path.abspath(sys.argv[0])
    found = os.path.join(sysconfig.get_path("scripts"), name)
    return found if os.path.isfile(found) else None


def join_words(words: list[str], *, is_windows: bool = sys.platform == "win32") -> str:
    """Return words as one line, quoted for a POSIX shell or, on Windows, for both cmd and the shell of Git."""
    if not is_windows:
        return shlex.join(words)
    paths = [words[0].replace("\\", "/"), *words[1:]]
    quoted = [f'"{word}"' if not word or set(word) & set(" \t&()[]{}^=;!'+,`~#$") else word for word in paths]
    return " ".join(quoted)


def read_settings(path: Path) -> str:
    """Return the text of a settings file; empty if it does not exist.

    Raises:
        CommandError: The file cannot be read.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        if path.is_symlink():
            raise CommandError(f"{path} is a symbolic link to {os.readlink(path)}, which does not exist") from None
        return ""
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: byte {error.start + 1:,} is not UTF-8; nothing was changed") from None
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None


def change_settings(path: Path, hooks: list[Hook] | None, *, yes: bool) -> int:
    """Show the change of a settings file, ask for confirmation, and write the file.

    Args:
        path: The file.
        hooks: The hooks to install; None to remove the installed hooks.
        yes: Whether to skip the confirmation.

    Returns:
        The exit code.

    Raises:
        CommandError: The file cannot be read, changed or written.
    """
    before = read_settings(path)
    try:
        after = remove_hooks(before) if hooks is None else add_hooks(before, hooks)
    except BadSettings as error:
        raise CommandError(f"{path}: {error}; nothing was changed") from None
    if after == before:
        echo_err(f"{path}: {'no hooks to remove' if hooks is None else 'these hooks are already installed'}.")
        return OK
    for line in difflib.unified_diff(
        before.splitlines(), after.splitlines(), str(path), f"{path} (new)", lineterm="", n=3
    ):
        echo(strip_controls(line))
    if not yes and not confirm(f"Change {path}?"):
        echo_err("Nothing was changed.")
        return FAILED
    if read_settings(path) != before:
        raise CommandError(f"{path} was changed by another program in the meantime; run the command again")
    _write(path, after)
    return OK


def _write(path: Path, text: str) -> None:
    """Write a settings file, and keep its mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot create {path.parent}: {error.strerror}") from None
    mode = path.stat().st_mode & 0o7777 if path.exists() else None
    with atomic_write(str(path), force=True) as file:
        file.write(text)
        file.flush()
        if mode is not None and sys.platform != "win32":
            os.fchmod(file.fileno(), mode)
