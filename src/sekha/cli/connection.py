"""The server and the API key that a command uses."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING

from sekha.cli.env_file import ENV_FILE
from sekha.cli.exits import USAGE, CommandError
from sekha.config import SekhaConfig
from sekha.config._settings import ENVIRONMENT
from sekha.errors import SekhaConfigError

if TYPE_CHECKING:
    from sekha.config._models import StrPath

NEEDED = {ENVIRONMENT[setting]: setting for setting in ("controller_url", "api_key")}
"""Environment variables that every command requires, with the names of their settings."""

_WHERE_TO_SET = "(environment or .env)"
_NO_KEY = f"no API key: set SEKHA_API_KEY {_WHERE_TO_SET}"


def config_from(url: str | None = None, bridge_url: str | None = None, *, needs_bridge: bool = False) -> SekhaConfig:
    """Return the settings from options, then the environment, then a `.env` file in the working directory.

    If stdin is a terminal, ask for a missing API key.

    Args:
        url: URL of the controller, if passed as an option.
        bridge_url: URL of the bridge, if passed as an option.
        needs_bridge: Whether the command requires a bridge.

    Raises:
        CommandError: An option is not valid.
        SekhaConfigError: A value is missing, or a variable is not valid.
    """
    check_address("--url", url)
    check_address("--bridge-url", bridge_url)
    config = SekhaConfig.from_env(ENV_FILE if os.path.isfile(ENV_FILE) else None)
    config = config.replace(controller_url=url, bridge_url=bridge_url)
    missing: list[str] = []
    if config.controller_url is None:
        missing.append(f"no server URL: pass --url or set SEKHA_CONTROLLER_URL {_WHERE_TO_SET}")
    if needs_bridge and config.bridge_url is None:
        missing.append(f"no bridge URL: pass --bridge-url or set SEKHA_BRIDGE_URL {_WHERE_TO_SET}")
    if config.api_key is None and (missing or not sys.stdin.isatty()):
        missing.append(_NO_KEY)
    if missing:
        start = "; to start a local server: sekha serve" if config.controller_url is None else ""
        raise SekhaConfigError(f"{'; '.join(missing)}; to write a .env file: sekha init{start}")
    return config if config.api_key is not None else config.replace(api_key=ask_for_key())


def config_for_programs(url: str | None = None, env_file: StrPath | None = None) -> SekhaConfig:
    """Return the settings of a command that other programs run, from options, then the environment, then a file.

    Never ask, and read only a file that was passed: such programs run in the folder of a project, and a `.env` of its
    author could send the user's API key to another server.

    Args:
        url: URL of the controller, if passed as an option.
        env_file: The file that was passed as an option.

    Raises:
        CommandError: An option is not valid.
        SekhaConfigError: A value is missing, or a variable or the file is not valid.
    """
    check_address("--url", url)
    config = SekhaConfig.from_env(env_file).replace(controller_url=url)
    missing = [variable for variable, setting in NEEDED.items() if getattr(config, setting) is None]
    if missing:
        raise SekhaConfigError(f"set {' and '.join(missing)} in the environment, or pass --env-file FILE")
    return config


def check_address(option: str, url: str | None) -> None:
    """Check the URL that an option has.

    Raises:
        CommandError: The URL is not valid.
    """
    try:
        SekhaConfig(controller_url=url)
    except SekhaConfigError as error:
        raise CommandError(f"{option}: {error.message.partition(': ')[2]}", USAGE) from None


def ask_for_key(prompt: str = "API key (SEKHA_API_KEY)") -> str:
    """Ask for an API key at the terminal, without echoing it.

    Raises:
        SekhaConfigError: The user entered none.
    """
    try:
        key = getpass.getpass(f"{prompt}: ")
    except EOFError:
        key = ""
    if not key.strip():
        raise SekhaConfigError(_NO_KEY)
    return key
