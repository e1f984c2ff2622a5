"""`sekha hook`: the memory of a coding agent."""

import os
import sys
from typing import List, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import NEEDED
from sekha.cli.hook_install import AGENTS, change_settings, hooks_of, settings_file
from sekha.cli.options import EnvFile, Yes, not_blank
from sekha.cli.terminal import echo_err

_VERBS = ("recall", "remember", "install", "uninstall")


def run(
    verb: Annotated[str, typer.Argument(metavar="recall|remember|install|uninstall", help="What to do.")],
    names: Annotated[
        Optional[List[str]],
        typer.Argument(
            metavar="[AGENT|FILE]...",
            help=f"install, uninstall: {' or '.join(AGENTS)}. remember: files of sessions (default: as stdin says).",
        ),
    ] = None,
    folder: Annotated[
        Optional[str],
        typer.Option(
            "--folder",
            metavar="FOLDER",
            callback=not_blank,
            help="Where the memory is (default: /code/ and the name of the repository).",
        ),
    ] = None,
    env_file: EnvFile = None,
    min_score: Annotated[
        Optional[float],
        typer.Option("--min-score", metavar="SCORE", min=0, max=1, help="recall: leave out what fits less, 0 to 1."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="remember: in the foreground.")] = False,
    project: Annotated[
        bool, typer.Option("--project", help="install, uninstall: for the project in the working directory only.")
    ] = False,
    yes: Yes = False,
) -> int:
    """Recall and remember are run by an agent, which passes JSON on stdin; install puts them into its settings."""
    if verb not in _VERBS:
        raise typer.BadParameter(f"{verb!r}: must be one of {', '.join(_VERBS)}")
    if verb in ("recall", "remember"):  # without --help, they have not come here
        raise AssertionError(verb)
    if not names or len(names) > 1 or names[0] not in AGENTS:
        raise typer.BadParameter(f"sekha hook {verb} needs the agent: {' or '.join(AGENTS)}")
    if wait:
        raise typer.BadParameter("--wait is for remember")
    if not (yes or sys.stdin.isatty()):
        raise typer.BadParameter("nobody is there to ask: give --yes")
    agent = AGENTS[names[0]]
    path = settings_file(agent, project=project)
    if verb == "uninstall":
        return change_settings(path, None, yes=yes)
    options: List[str] = []
    if folder is not None:
        from sekha.cli.folder_option import parse_folder

        options += ["--folder", parse_folder(folder)]
    if env_file is not None:
        options += ["--env-file", os.path.abspath(env_file)]
    recall_options = [] if min_score is None else ["--min-score", f"{min_score:g}"]
    code = change_settings(path, hooks_of(agent, options, recall_options), yes=yes)
    if code == 0:
        echo_err(agent.next_step)
        missing = [name for name in NEEDED if name not in os.environ]
        if missing and env_file is None:
            echo_err(f"{' and '.join(missing)}: set in the environment of {agent.name}, or give --env-file FILE.")
    return code
