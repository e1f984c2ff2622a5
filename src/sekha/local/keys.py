"""The key that both ports ask for: a given one, or one that is made for a data file and kept beside it."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Optional, Union

from sekha._http.host_check import is_loopback
from sekha.local.errors import LocalSekhaError

ANY_KEY = "sk-local"
"""The key in `options` if the local Sekha accepts any key."""

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def key_file_of(data: Union[str, Path]) -> Path:
    """Return the file that keeps the key of a data file: `memory.db.key` for `memory.db`."""
    return Path(f"{os.fspath(data)}.key")


def keep_key(file: Path) -> str:
    """Return the key in a file that only its owner can read; if there is no such file, make both.

    Raises:
        LocalSekhaError: The file cannot be read or made, or holds no key.
    """
    key = f"sk-{secrets.token_urlsafe(32)}"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_key(file)
    except OSError as error:
        raise LocalSekhaError(f"cannot make the key file {file}: {error.strerror}") from error
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
        advice = "write one into it, or remove it, and another one is made"
        raise LocalSekhaError(f"the key file {file} does not hold a key, one line of ASCII: {advice}")
    return key


def check_keys(host: str, api_key: Optional[str], *, has_file: bool, no_key: bool, profile: Optional[str]) -> None:
    """Raise LocalSekhaError if the settings contradict each other, or leave the memory open to others.

    Args:
        host: The address to listen on.
        api_key: The given key.
        has_file: Whether there is a data file, beside which a key is kept.
        no_key: Whether any key shall do.
        profile: The name of the profile if its REST routes take any key; else None.
    """
    if no_key and api_key is not None:
        raise LocalSekhaError("give a key or no_key, not both")
    if no_key or is_loopback(host):
        return
    danger = f"whoever reaches {host or 'this machine'} could read and write this memory"
    if profile is not None:
        advice = "no_key=True (--no-key) accepts that"
        raise LocalSekhaError(f"{danger}, since REST takes any key in the profile {profile}: {advice}")
    if api_key == ANY_KEY or not (api_key or has_file):
        reason = f", since everybody knows the key {ANY_KEY}" if api_key else ""
        advice = "give a key (api_key=..., --api-key-file FILE), or accept any (no_key=True, --no-key)"
        raise LocalSekhaError(f"{danger}{reason}: {advice}")
