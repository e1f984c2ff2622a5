"""The state of `sekha hook remember` between runs: stored messages, and an outbox of messages to store.

The state is in a folder of the user, with a subfolder for each server:

- ``stored``: one line for each stored message; it contains hashes and no text.
- ``outbox/N.jsonl``: conversations to store, with the lines of their messages. The file is created atomically and
  deleted after all of its conversations are stored, so that an interrupted process loses nothing.
- ``outbox/N.journal``: the import journal of these conversations, which prevents duplicates.
- ``outbox/N.tries``: the number of attempts in which the server rejected some of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from sekha._concurrency.clock import Clock
from sekha._concurrency.file_lock import try_lock, unlock

LOG = "hook.log"
_MAX_LOG = 1024 * 1024
_POLL_INTERVAL = 0.1
_DIGITS = 8
_HASH = 16


def state_folder() -> Path:
    """Return the state folder of hooks, below the state directory of the user."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(os.path.expanduser("~"), "AppData", "Local")
    else:
        base = os.environ.get("XDG_STATE_HOME") or ""
        if not os.path.isabs(base):  # the XDG specification says to ignore relative paths
            base = os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(base) / "sekha" / "hook"


def open_log(folder: Path) -> int:
    """Open the log file for appending; rotate it if it is too large.

    Returns:
        The file descriptor.

    Raises:
        OSError: The file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / LOG
    with suppress(OSError):
        if path.stat().st_size > _MAX_LOG:
            os.replace(path, path.with_suffix(".log.1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


class Message(NamedTuple):
    """A message of a session.

    Attributes:
        role: ``user`` or ``assistant``.
        content: The text.
        time: Timestamp of the session file; empty if it has none.
    """

    role: str
    content: str
    time: str = ""


class Turn(NamedTuple):
    """A turn of a session, which is stored as one conversation.

    Attributes:
        conversation: Arguments of `create_conversation`.
        claims: A line for each of its messages, which identifies the message.
    """

    conversation: dict[str, Any]
    claims: list[str]


def new_turns(messages: Iterable[Message], session: str, folder: str, known: Mapping[str, int]) -> list[Turn]:
    """Return the turns of a session that are not stored yet.

    A message is identified by timestamp, role and text, independent of its session, since agents copy earlier messages
    into a resumed session. If a message was stored while the agent was still writing it, only its new text is returned.

    Args:
        messages: The messages of the session.
        session: ID of the session, which becomes the label.
        folder: Folder to store in.
        known: Number of times that each line is stored or in the outbox.

    Returns:
        One conversation for each turn.
    """
    met: Counter[str] = Counter()
    sizes = _known_sizes(known)
    turns: list[Turn] = []
    for message in messages:
        claim = _claim(message, session, len(message.content))
        met[claim] += 1
        if met[claim] <= known.get(claim, 0):
            continue
        content = _new_text(message, session, known, sizes)
        if message.role == "user" or not turns:
            turns.append(Turn({"label": session, "folder": folder, "messages": []}, []))
        turns[-1].conversation["messages"].append({"role": message.role, "content": content})
        turns[-1].claims.append(claim)
    return turns


def _claim(message: Message, session: str, size: int) -> str:
    """Return the line that identifies the first characters of a message."""
    return f"{_owner(message, session)} {size} {_hash(message.content[:size])}"


def _owner(message: Message, session: str) -> str:
    return _hash(f"{message.role} {message.time or session}")


def _known_sizes(known: Iterable[str]) -> dict[str, list[int]]:
    """Return the sizes of the known messages, by the first word of their lines."""
    sizes: dict[str, list[int]] = {}
    for line in known:
        owner, _, rest = line.partition(" ")
        size = rest.partition(" ")[0]
        if size.isdigit():
            sizes.setdefault(owner, []).append(int(size))
    return sizes


def _new_text(message: Message, session: str, known: Mapping[str, int], sizes: Mapping[str, Sequence[int]]) -> str:
    """Return the new text of a message: all of it, or the lines after the known ones."""
    if message.time:
        for size in sorted(sizes.get(_owner(message, session), ()), reverse=True):
            if message.content[size : size + 1] == "\n" and known.get(_claim(message, session, size)):
                return message.content[size + 1 :]
    return message.content


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_HASH]


class HookState:
    """The state for one server. Use it within `locked`.

    Args:
        folder: State folder of all servers; see `state_folder`.
        server: URL of the server.
    """

    def __init__(self, folder: Path, server: str) -> None:
        self._root = folder
        self._folder = folder / _hash(server)
        self._stored = self._folder / "stored"
        self._outbox = self._folder / "outbox"

    @contextmanager
    def locked(self, seconds: float, clock: Clock) -> Generator[None, None, None]:
        """Lock the state against other processes. The lock is released when the process ends.

        Args:
            seconds: Maximum time to wait for the lock.
            clock: The clock for waiting.

        Raises:
            TimeoutError: The lock was not released in time.
            OSError: The folder cannot be written.
        """
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._outbox.mkdir(parents=True, exist_ok=True)
        with open(self._folder / "lock", "ab", buffering=0) as file:
            end = clock.now() + seconds
            while not try_lock(file):
                if clock.now() >= end:
                    raise TimeoutError(f"another process is still storing after {seconds:.0f} seconds")
                clock.sleep(_POLL_INTERVAL)
            try:
                yield
            finally:
                unlock(file)

    def known(self) -> Counter[str]:
        """Return the number of times that each message is stored or in the outbox."""
        lines: list[str] = []
        with suppress(FileNotFoundError):
            lines = self._stored.read_text("ascii", "replace").splitlines()
        return Counter(
            [*lines, *(claim for name in self.outbox() for turn in self.turns(name) for claim in turn.claims)]
        )

    def outbox(self) -> list[str]:
        """Return the names of the outbox entries, oldest first."""
        return sorted(path.stem for path in self._outbox.glob("*.jsonl") if not path.name.startswith("."))

    def turns(self, name: str) -> list[Turn]:
        """Return the turns of an outbox entry."""
        with open(self._path(name), encoding="utf-8") as file:
            return [Turn(*json.loads(line)) for line in file]

    def journal(self, name: str) -> Path:
        """Return the path of the import journal of an outbox entry."""
        return self._outbox / f"{name}.journal"

    def send(self, turns: Sequence[Turn]) -> None:
        """Add turns to the outbox."""
        last = max((int(name) for name in self.outbox() if name.isdigit()), default=0)
        name = f"{last + 1:0{_DIGITS}}"
        self._forget(name)  # left from an entry that was stored when the process ended
        handle, path = tempfile.mkstemp(dir=self._outbox, prefix=".")
        try:
            with open(handle, "w", encoding="utf-8", newline="\n") as file:
                file.writelines(f"{json.dumps(turn)}\n" for turn in turns)
                file.flush()
                os.fsync(file.fileno())
            os.replace(path, self._path(name))
        except BaseException:
            with suppress(OSError):
                os.unlink(path)
            raise

    def finish(self, name: str) -> None:
        """Record the messages of an outbox entry as stored, and delete the entry."""
        claims = [claim for turn in self.turns(name) for claim in turn.claims]
        with open(self._stored, "a+b") as file:
            if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                file.write(b"\n")  # ends a line that an interrupted process has truncated
            file.write("".join(f"{claim}\n" for claim in claims).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        os.unlink(self._path(name))
        self._forget(name)

    def count_try(self, name: str) -> int:
        """Count a failed attempt to store an outbox entry; return the number of attempts."""
        path = self._tries(name)
        number = 1
        with suppress(OSError, ValueError):
            number = int(path.read_text("ascii")) + 1
        path.write_text(str(number), "ascii")
        return number

    def _forget(self, name: str) -> None:
        for path in (self.journal(name), self._tries(name)):
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _tries(self, name: str) -> Path:
        return self._outbox / f"{name}.tries"

    def _path(self, name: str) -> Path:
        return self._outbox / f"{name}.jsonl"
