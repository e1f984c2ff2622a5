"""The server and the key that a command uses."""

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
"""What no command can do without: variables, and the settings that they hold."""

_WHERE_TO_SET = "in the environment, or in a file .env here"


def config_from(url: str | None = None, bridge_url: str | None = None, *, needs_bridge: bool = False) -> SekhaConfig:
    """Return the settings: options, else the environment, else a `.env` file in the working directory.

    A missing API key is asked for, if stdin is a terminal.

    Args:
        url: Address of the controller, if given as an option.
        bridge_url: Address of the bridge, if given as an option.
        needs_bridge: Whether the command requires a bridge.

    Raises:
        CommandError: An option cannot be used.
        SekhaConfigError: A value is missing, or a variable cannot be used.
    """
    check_address("--url", url)
    check_address("--bridge-url", bridge_url)
    config = SekhaConfig.from_env(ENV_FILE if os.path.isfile(ENV_FILE) else None)
    config = config.replace(controller_url=url, bridge_url=bridge_url)
    missing: list[str] = []
    if config.controller_url is None:
        missing.append(f"which Sekha? give --url, or set SEKHA_CONTROLLER_URL {_WHERE_TO_SET}")
    if needs_bridge and config.bridge_url is None:
        missing.append(f"which bridge? give --bridge-url, or set SEKHA_BRIDGE_URL {_WHERE_TO_SET}")
    if config.api_key is None and (missing or not sys.stdin.isatty()):
        missing.append(f"with which key? set SEKHA_API_KEY {_WHERE_TO_SET}")
    if missing:
        raise SekhaConfigError(f"{'; '.join(missing)}; `sekha init` asks for them")
    return config if config.api_key is not None else config.replace(api_key=ask_for_key())


def config_for_programs(url: str | None = None, env_file: StrPath | None = None) -> SekhaConfig:
    """Return the settings of a command that other programs run: options, else the environment, else a file.

    Nothing is asked, and no file is read that was not named: such a program works in the folder of a project, whose
    author could send the key of the user elsewhere.

    Args:
        url: Address of the controller, if given as an option.
        env_file: The file that was named.

    Raises:
        CommandError: An option cannot be used.
        SekhaConfigError: A value is missing, or a variable or the file cannot be used.
    """
    check_address("--url", url)
    config = SekhaConfig.from_env(env_file).replace(controller_url=url)
    missing = [variable for variable, setting in NEEDED.items() if getattr(config, setting) is None]
    if missing:
        raise SekhaConfigError(f"set {' and '.join(missing)} in the environment, or name a file with --env-file")
    return config


def check_address(option: str, url: str | None) -> None:
    """Check the address that an option has.

    Raises:
        CommandError: It cannot be used.
    """
    try:
        SekhaConfig(controller_url=url)
    except SekhaConfigError as error:
        raise CommandError(f"{option}: {error.message.partition(': ')[2]}", USAGE) from None


def ask_for_key(prompt: str = "Key of this Sekha (SEKHA_API_KEY)") -> str:
    """Ask for a key at the terminal, without showing it.

    Raises:
        SekhaConfigError: None is given.
    """
    try:
        key = getpass.getpass(f"{prompt}: ")
    except EOFError:
        key = ""
    if not key.strip():
        raise SekhaConfigError(f"with which key? set SEKHA_API_KEY {_WHERE_TO_SET}")
    return key
