"""Which Sekha a command talks to, and with which key."""

from __future__ import annotations

import getpass
import os
import sys

from sekha.config import SekhaConfig
from sekha.errors import SekhaConfigError

ENV_FILE = ".env"
_WHERE = "in the environment, or in a file .env here"


def config_from(url: str | None = None, bridge_url: str | None = None, *, needs_bridge: bool = False) -> SekhaConfig:
    """The settings: options over the environment over a `.env` file in the working directory.

    A key that is missing is asked for, if somebody is there.

    Args:
        url: Address of the controller, if given as an option.
        bridge_url: Address of the bridge, if given as an option.
        needs_bridge: Whether the command cannot do without a bridge.

    Raises:
        SekhaConfigError: A value is missing, or cannot be used.
    """
    config = SekhaConfig.from_env(ENV_FILE if os.path.isfile(ENV_FILE) else None)
    config = config.replace(controller_url=url, bridge_url=bridge_url)
    if config.controller_url is None:
        raise SekhaConfigError(f"which Sekha? give --url, or set SEKHA_CONTROLLER_URL {_WHERE}")
    if needs_bridge and config.bridge_url is None:
        raise SekhaConfigError(f"which bridge? give --bridge-url, or set SEKHA_BRIDGE_URL {_WHERE}")
    return config if config.api_key is not None else config.replace(api_key=_key())


def _key() -> str:
    missing = SekhaConfigError(f"with which key? set SEKHA_API_KEY {_WHERE}")
    if not sys.stdin.isatty():
        raise missing
    try:
        key = getpass.getpass("Key of this Sekha (SEKHA_API_KEY): ")
    except EOFError:
        raise missing from None
    if not key.strip():
        raise missing
    return key
