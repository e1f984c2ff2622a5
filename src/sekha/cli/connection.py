"""The server and the key that a command uses."""

from __future__ import annotations

import getpass
import os
import sys

from sekha.config import SekhaConfig
from sekha.errors import SekhaConfigError

ENV_FILE = ".env"
_WHERE_TO_SET = "in the environment, or in a file .env here"


def config_from(url: str | None = None, bridge_url: str | None = None, *, needs_bridge: bool = False) -> SekhaConfig:
    """Return the settings: options, else the environment, else a `.env` file in the working directory.

    A missing API key is asked for, if stdin is a terminal.

    Args:
        url: Address of the controller, if given as an option.
        bridge_url: Address of the bridge, if given as an option.
        needs_bridge: Whether the command requires a bridge.

    Raises:
        SekhaConfigError: A value is missing, or cannot be used.
    """
    config = SekhaConfig.from_env(ENV_FILE if os.path.isfile(ENV_FILE) else None)
    config = config.replace(controller_url=url, bridge_url=bridge_url)
    if config.controller_url is None:
        raise SekhaConfigError(f"which Sekha? give --url, or set SEKHA_CONTROLLER_URL {_WHERE_TO_SET}")
    if needs_bridge and config.bridge_url is None:
        raise SekhaConfigError(f"which bridge? give --bridge-url, or set SEKHA_BRIDGE_URL {_WHERE_TO_SET}")
    return config if config.api_key is not None else config.replace(api_key=_ask_for_key())


def _ask_for_key() -> str:
    missing = SekhaConfigError(f"with which key? set SEKHA_API_KEY {_WHERE_TO_SET}")
    if not sys.stdin.isatty():
        raise missing
    try:
        key = getpass.getpass("Key of this Sekha (SEKHA_API_KEY): ")
    except EOFError:
        raise missing from None
    if not key.strip():
        raise missing
    return key
