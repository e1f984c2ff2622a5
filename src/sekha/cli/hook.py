"""`sekha hook`: memory for a coding agent."""

import os
import sys
from typing import List, Optional

import typer
from typing_extensions import Annotated

from sekha.cli.connection import NEEDED
from sekha.cli.hook_install import AGENTS, change_settings, hooks_of, settings_file
from sekha.cli.options import EnvFile, Yes, not_blank
from sekha.cli.terminal import echo_err

DETAILS = "install and uninstall change the settings of the agent, which then runs recall and remember."
EXAMPLES = ("sekha hook install claude-code", "sekha hook install codex --project", "sekha hook remember session.jsonl")

_VERBS = ("recall", "remember", "install", "uninstall")


def run(
    verb: Annotated[
        str,
        typer.Argument(
            metavar="recall|remember|install|uninstall", help="Action; recall and remember are run by the agent."
        ),
    ],
    names: Annotated[
        Optional[List[str]],
        typer.Argument(
            metavar="[AGENT|FILE]...",
            help=f"For install and uninstall: {' or '.join(AGENTS)}. For remember: session files.  "
            "[default: the session on stdin]",
        ),
    ] = None,
    folder: Annotated[
        Optional[str],
        typer.Option(
            "--folder",
            metavar="FOLDER",
            callback=not_blank,
            help="Folder of the memory.  [default: /code/NAME, with the name of the repository]",
        ),
    ] = None,
    env_file: EnvFile = None,
    min_score: Annotated[
        Optional[float],
        typer.Option("--min-score", metavar="SCORE", min=0, max=1, help="For recall: omit results with a lower score."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="For remember: store in the foreground.")] = False,
    project: Annotated[
        bool,
        typer.Option("--project", help="For install and uninstall: only for the project in the working directory."),
    ] = False,
    yes: Yes = False,
) -> int:
    """Install or uninstall the hooks. Agents run recall and remember, with JSON on stdin; see `hook_run`."""
    if verb not in _VERBS:
        raise typer.BadParameter(f"{verb!r}: must be one of {', '.join(_VERBS)}")
    if verb in ("recall", "remember"):  # these run in hook_run, except with --help
        raise AssertionError(verb)
    if not names or len(names) > 1 or names[0] not in AGENTS:
        raise typer.BadParameter(f"sekha hook {verb} requires an agent: {' or '.join(AGENTS)}")
    if wait:
        raise typer.BadParameter("--wait is only for remember")
    if not (yes or sys.stdin.isatty()):
        raise typer.BadParameter("cannot ask for confirmation (stdin is not a terminal): use --yes")
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
            echo_err(
                f"{' and '.join(missing)} not set: set in the environment of {agent.name}, or use --env-file FILE."
            )
    return code
