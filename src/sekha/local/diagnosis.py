"""Find problems of a data file, with advice. The file is only read."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple, Union

from sekha._version import __version__
from sekha.local.backup import LAST_BACKUP
from sekha.local.data_file import MIN_FREE_BYTES, find_damage, free_bytes, is_served, open_read_only
from sekha.local.database import FOREIGN, PROFILE, VERSION, check_columns, describe_newer, file_version, read_fact

_LOW_BYTES = 16 * MIN_FREE_BYTES
_RESTORE = "stop the server, and start it with a backup: sekha serve --data BACKUP"
_INTO_ANOTHER = "export everything (sekha export --all --format full), and import it into a new data file"
_COUNTS = {
    1: """SELECT (SELECT COUNT(*) FROM conversations), (SELECT COUNT(*) FROM messages)""",
    2: """SELECT COUNT(*), COALESCE(SUM(message_count), 0) FROM conversations""",
}
_MODELS = {
    1: "SELECT model, COUNT(*), COUNT(*) FROM messages WHERE vector IS NOT NULL GROUP BY model",
    2: """SELECT name, COUNT(vector), COUNT(*) FROM vectors JOIN models ON models.number = vectors.model
        GROUP BY name""",  # the second count includes texts that the model rejects
}
_MISSING_WORDS = """
    SELECT (SELECT COUNT(*) FROM (SELECT number FROM messages EXCEPT SELECT id FROM message_words_docsize)),
           (SELECT COUNT(*) FROM (SELECT id FROM message_words_docsize EXCEPT SELECT number FROM messages))"""


class Problem(NamedTuple):
    """A problem, and what to do about it."""

    what: str
    advice: str


class Diagnosis(NamedTuple):
    """The result of a diagnosis.

    Attributes:
        facts: Properties of the file and of this machine.
        problems: The problems; empty if there are none.
    """

    facts: Dict[str, Any]
    problems: List[Problem]


def diagnose(path: Union[str, Path]) -> Diagnosis:
    """Check a data file, even while a server uses it.

    Raises:
        OSError: The file cannot be read.
    """
    path = os.path.realpath(path)
    facts, problems = _look_at_file(path)
    try:
        with closing(open_read_only(path)) as database:
            _look_inside(database, facts, problems)
    except sqlite3.Error as error:
        problems.append(Problem(f"cannot read the file: {error}", _RESTORE))
    facts["python"], facts["sqlite"] = platform.python_version(), sqlite3.sqlite_version
    facts["sekha-python-sdk"] = __version__
    return Diagnosis(facts, problems)


def _look_at_file(path: str) -> Tuple[Dict[str, Any], List[Problem]]:
    status = os.stat(path)
    problems: List[Problem] = []
    facts: Dict[str, Any] = {"file": path, "bytes": status.st_size, "served": is_served(path)}
    with suppress(OSError):
        facts["log_bytes"] = os.stat(f"{path}-wal").st_size
    facts["free_bytes"] = free_bytes(path)
    if sys.platform != "win32":
        facts["mode"], facts["owner"] = f"{status.st_mode & 0o777:03o}", _user_name(status.st_uid)
        if status.st_mode & 0o077:
            problems.append(Problem(f"other users can read the file: its mode is {facts['mode']}", f"chmod 600 {path}"))
        if status.st_uid != os.geteuid() != 0:
            advice = "run the server and this command as that user"
            problems.append(Problem(f"the file belongs to the user {facts['owner']}", advice))
    if facts["free_bytes"] < _LOW_BYTES:
        room = f"only {facts['free_bytes'] / 2**20:,.0f} MiB are free on its disk"
        problems.append(Problem(room, "free disk space: on a full disk, nothing is stored and deleting may fail"))
    copies = sorted(name for name in os.listdir(os.path.dirname(path)) if name.startswith(f"{os.path.basename(path)}."))
    facts["older_copies"] = [name for name in copies if ".version-" in name]
    return facts, problems


def _user_name(number: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):
        return str(number)


def _look_inside(database: sqlite3.Connection, facts: Dict[str, Any], problems: List[Problem]) -> None:
    version = file_version(database)
    if version is None:
        problems.append(
            Problem("the file is empty" if facts["bytes"] == 0 else FOREIGN, "check that the path is correct")
        )
        return
    facts["version"] = version
    damage = facts["damage"] = find_damage(database)
    if damage:
        problems.append(Problem(f"the file is damaged: {'; '.join(damage)}", _RESTORE))
    if version > VERSION:
        problems.append(Problem(describe_newer(version), "upgrade sekha-python-sdk"))
        return
    if version == VERSION:
        check_columns(database)
    conversations, messages = database.execute(_COUNTS[version]).fetchone()
    facts["conversations"], facts["messages"] = int(conversations), int(messages)
    models = database.execute(_MODELS[version]).fetchall()
    facts["vectors"] = {name: count for name, count, _ in models}
    for name in (PROFILE, LAST_BACKUP):
        facts[name] = read_fact(database, name) if version > 1 else None  # version 1 has no facts
    missing, stale = _check_words(database)
    if missing:
        what = f"{missing:,} messages are missing from the full-text index"
        problems.append(Problem(what, _INTO_ANOTHER))
    if stale:
        what = f"{stale:,} deleted messages are still in the full-text index"
        problems.append(Problem(what, _INTO_ANOTHER))


def _check_words(database: sqlite3.Connection) -> Tuple[int, int]:
    """Read the full-text index; return the number of messages missing from it, and of deleted messages still in it."""
    database.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, message_words, 'row')")
    database.execute("SELECT SUM(doc) FROM temp.words").fetchall()
    missing, stale = database.execute(_MISSING_WORDS).fetchone()
    return int(missing), int(stale)
