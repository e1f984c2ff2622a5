"""The options that say which Sekha a command talks to."""

from __future__ import annotations

import argparse
import os

from sekha.config import SekhaConfig

ENV_FILE = ".env"


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--url", metavar="URL", help="address of the controller (else SEKHA_CONTROLLER_URL)")
    parser.add_argument("--api-key", metavar="KEY", help="its key (else SEKHA_API_KEY)")
    parser.add_argument("--mcp-api-key", metavar="KEY", help="key of its MCP tools (else SEKHA_MCP_API_KEY)")
    parser.add_argument("--bridge-url", metavar="URL", help="address of the LLM bridge (else SEKHA_BRIDGE_URL)")


def config_from(args: argparse.Namespace) -> SekhaConfig:
    """The settings: options over the environment over a `.env` file in the working directory.

    Raises:
        SekhaConfigError: A value cannot be used.
    """
    config = SekhaConfig.from_env(ENV_FILE if os.path.isfile(ENV_FILE) else None)
    return config.replace(
        controller_url=args.url, api_key=args.api_key, mcp_api_key=args.mcp_api_key, bridge_url=args.bridge_url
    )
