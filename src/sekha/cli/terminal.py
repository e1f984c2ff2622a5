"""Output of commands: text and JSON on stdout, messages and errors on stderr."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from contextlib import suppress
from typing import TextIO

from sekha.cli.windows_console import enable_escape_codes

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def has_color(stream: TextIO) -> bool:
    """Return whether a stream is a terminal with colors that are not disabled (https://no-color.org)."""
    is_disabled = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not is_disabled and enable_escape_codes(stream)


def styled(text: str, *styles: str, stream: TextIO | None = None) -> str:
    """Style a text (bold, dim, red, green, yellow, cyan); return it unchanged if the stream has no colors."""
    if not has_color(stream or sys.stdout):
        return text
    return f"\033[{';'.join(_STYLES[style] for style in styles)}m{text}\033[0m"


def strip_controls(text: str) -> str:
    """Replace control characters, so that stored messages and answers cannot control the terminal."""
    return _CONTROL_CHARACTERS.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def one_line(text: str, length: int = 200) -> str:
    """Put a text on one line, and truncate it to a length."""
    line = strip_controls(" ".join(text.split()))
    return line if len(line) <= length else line[: length - 3].rstrip() + "..."


def stdout_encoding() -> str:
    """Return the encoding of stdout."""
    return sys.stdout.encoding or "utf-8"


def echo(text: str = "", end: str = "\n") -> None:
    """Print to stdout; replace characters that its encoding does not support by a question mark."""
    encoding = stdout_encoding()
    _write(sys.stdout, text.encode(encoding, "replace").decode(encoding) + end)


def echo_err(text: str = "", *styles: str, end: str = "\n") -> None:
    """Print a message to stderr; drop it if stderr is a closed pipe."""
    flush()
    _write_err((styled(text, *styles, stream=sys.stderr) if styles else text) + end)


def _write_err(text: str) -> None:
    with suppress(BrokenPipeError):
        _write(sys.stderr, text)


def _write(stream: TextIO, text: str = "") -> None:
    """Write a text, and flush the stream.

    Raises:
        BrokenPipeError: The reader of the stream has closed it.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        if is_closed_pipe(error):
            raise BrokenPipeError(*error.args) from error
        raise


def is_closed_pipe(error: OSError) -> bool:
    """Return whether a write failed because the reader has closed the pipe (EINVAL on Windows)."""
    return error.filename is None and error.errno in (errno.EPIPE, errno.EINVAL)


def flush() -> None:
    """Flush stdout.

    Raises:
        BrokenPipeError: The reader of stdout has closed it.
    """
    _write(sys.stdout)


def drop_unwritten() -> None:
    """Drop unwritten output; otherwise Python writes it at exit, prints an error, and changes the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError), open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def echo_failure(line: str) -> None:
    """Print the error line of a command to stderr, after its output."""
    with suppress(OSError):  # an error of stdout: the command has failed already
        flush()
    _write_err(f"{line}\n")


def confirm(question: str) -> bool:
    """Ask a yes-no question on stderr; return whether the answer is yes."""
    echo_err(f"{question} [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def echo_json(data: object) -> None:
    """Print data as JSON."""
    echo(to_json(data, stdout_encoding()))


def to_json(data: object, encoding: str = "utf-8", indent: int | None = 2) -> str:
    """Return data as JSON; escape non-ASCII characters unless the encoding is a Unicode one."""
    return json.dumps(data, ensure_ascii=not encoding.lower().startswith("utf"), indent=indent)
