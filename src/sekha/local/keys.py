"""The API key that both ports require: the one of a setting, or a random one stored next to the data file."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Optional, Union

from sekha._http.host_check import is_loopback
from sekha.local.errors import LocalSekhaError

ANY_KEY = "sk-local"
"""The key in `options` if the server accepts any key."""

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def key_file_of(data: Union[str, Path]) -> Path:
    """Return the path of the key file of a data file: `memory.db.key` for `memory.db`."""
    return Path(f"{os.fspath(data)}.key")


def keep_key(file: Path) -> str:
    """Return the key in a key file, which only its owner can read; create a random one if the file does not exist.

    Raises:
        LocalSekhaError: The file cannot be read or created, or does not contain a key.
    """
    key = f"sk-{secrets.token_urlsafe(32)}"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_key(file)
    except OSError as error:
        raise LocalSekhaError(f"cannot create the key file {file}: {error.strerror}") from error
    try:
        with open(descriptor, "w", encoding="ascii", newline="\n") as opened:
            opened.write(f"{key}\n")
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        file.unlink()
        raise LocalSekhaError(f"cannot write the key file {file}: {error.strerror}") from error
    return key


def _read_key(file: Path) -> str:
    try:
        key = file.read_text("utf-8-sig").strip()
    except OSError as error:
        raise LocalSekhaError(f"cannot read the key file {file}: {error.strerror}") from error
    except UnicodeDecodeError:
        key = ""
    if not _KEY.fullmatch(key):
        advice = "write a key to it, or remove it to create a new key"
        raise LocalSekhaError(f"the key file {file} does not contain a key (one line of ASCII): {advice}")
    return key


def check_keys(host: str, api_key: Optional[str], *, has_file: bool, no_key: bool, profile: Optional[str]) -> None:
    """Raise LocalSekhaError if the settings conflict, or allow access from other machines without a key.

    Args:
        host: The address to listen on.
        api_key: The key of the settings.
        has_file: Whether there is a data file, which has a key file.
        no_key: Whether to accept any key.
        profile: The name of the profile if its REST routes accept any key; else None.
    """
    if no_key and api_key is not None:
        raise LocalSekhaError("api_key and no_key cannot be combined")
    if no_key or is_loopback(host):
        return
    danger = f"everyone who can reach {host or 'this machine'} could read and write this memory"
    if profile is not None:
        advice = "to allow that, use no_key=True (--no-key)"
        raise LocalSekhaError(f"{danger}, since the REST routes of the profile {profile} accept any key: {advice}")
    if api_key == ANY_KEY or not (api_key or has_file):
        reason = f", since the key {ANY_KEY} is public" if api_key else ""
        advice = "set a key (api_key=..., --api-key-file FILE), or accept any key (no_key=True, --no-key)"
        raise LocalSekhaError(f"{danger}{reason}: {advice}")
