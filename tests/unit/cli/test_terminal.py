"""Output: characters that an encoding does not have, terminals that take no escape codes, readers who went away."""

from __future__ import annotations

import ctypes
import errno
import io
import sys
from types import ModuleType
from typing import Any, List

import pytest

from sekha.cli import terminal
from sekha.cli.app import run
from sekha.cli.failures import fail
from sekha.cli.tables import echo_table
from sekha.cli.terminal import echo, echo_err, echo_json, flush, has_color, styled
from sekha.cli.windows_console import enable_escape_codes

TEXT = "“Zürich” → 東京 ● \ud800 ✓"
ENCODINGS = ["utf-8", "ascii", "cp1252", "cp437", "cp850", "latin-1"]


class Screen(io.TextIOWrapper):
    """A terminal with an encoding, which says what it was given."""

    def __init__(self, encoding: str = "utf-8", is_terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="\n", write_through=True)
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    def fileno(self) -> int:
        return 7

    @property
    def shown(self) -> str:
        found = self.buffer.getvalue()  # type: ignore[attr-defined]  # it is a BytesIO
        return str(found.decode(self.encoding, "replace"))


# Encodings


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_character_ends_a_command(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(encoding)
    monkeypatch.setattr(sys, "stdout", screen)
    echo(TEXT)
    echo_table(("NAME", "VALUE"), [(TEXT.replace("\ud800", ""), "x")])
    echo_json({"text": TEXT})
    assert screen.shown.count("\n") >= 4
    if screen.encoding == "ascii":
        assert screen.shown.startswith("?Z?rich? ? ?? ? ? ?\n")
    if screen.encoding == "cp1252":
        assert screen.shown.startswith("“Zürich” ? ?? ? ? ?\n")
    if screen.encoding == "utf-8":
        assert screen.shown.startswith("“Zürich” → 東京 ● ? ✓\n")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_message_ends_a_command(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(encoding)
    screen.reconfigure(errors="backslashreplace")  # as Python opens stderr
    monkeypatch.setattr(sys, "stderr", screen)
    echo_err(TEXT.replace("\ud800", ""), "dim")
    assert fail("list", TEXT.replace("\ud800", ""), 5) == 5
    assert screen.shown.count("\n") == 2


@pytest.mark.parametrize("words", [[], ["--help"], ["--version"], ["import", "--help"], ["bäke→"], ["list", "--→"]])
def test_help_and_usage_fit_into_ascii(words: List[str], monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Screen("ascii"), Screen("ascii")
    err.reconfigure(errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert run(words) == (0 if words and words[-1] in ("--help", "--version") else 2)
    assert out.shown + err.shown


# Escape codes


@pytest.fixture
def no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_wishes")
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm", "NO_COLOR": "yes"}, False),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="the test has no console of Windows")
def test_the_user_has_the_last_word(variables: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    screen = Screen(is_terminal=True)
    assert has_color(screen) is expected
    assert styled("x", "bold", "red", stream=screen) == ("\033[1;31mx\033[0m" if expected else "x")
    assert has_color(Screen(is_terminal=False)) is False


class Kernel32:
    """The functions of a console of Windows.

    Args:
        mode: Its mode; None for what is no console.
        is_new: Whether it knows escape codes, which those before Windows 10 do not.
    """

    def __init__(self, mode: int | None, is_new: bool = True) -> None:
        self.mode, self._is_new = mode, is_new
        self.handles: List[Any] = []

    def GetConsoleMode(self, handle: Any, mode: Any) -> int:
        self.handles.append(handle.value)
        if self.mode is None:
            return 0
        mode._obj.value = self.mode
        return 1

    def SetConsoleMode(self, handle: Any, mode: Any) -> int:
        self.handles.append(handle.value)
        if not self._is_new:
            return 0
        self.mode = mode.value
        return 1


def use_windows(monkeypatch: pytest.MonkeyPatch, kernel32: Kernel32, handle: int = 2**40 + 5) -> None:
    """Replace the words of the platform."""
    msvcrt = ModuleType("msvcrt")
    vars(msvcrt)["get_osfhandle"] = lambda number: handle + number
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: {"kernel32": kernel32}[name], raising=False)


@pytest.mark.usefixtures("no_wishes")
def test_a_console_of_windows_is_told_to_take_escape_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel32 = Kernel32(mode=3)
    use_windows(monkeypatch, kernel32)
    assert has_color(Screen(is_terminal=True))
    assert kernel32.mode == 3 | 4
    assert kernel32.handles == [2**40 + 12] * 2, "a handle may be longer than 32 bits"
    assert has_color(Screen(is_terminal=True)), "it is told again"


@pytest.mark.usefixtures("no_wishes")
@pytest.mark.parametrize("kernel32", [Kernel32(3, is_new=False), Kernel32(None)], ids=["old", "no console"])
def test_a_console_that_takes_none_gets_plain_text(kernel32: Kernel32, monkeypatch: pytest.MonkeyPatch) -> None:
    use_windows(monkeypatch, kernel32)
    screen = Screen(is_terminal=True)
    monkeypatch.setattr(sys, "stdout", screen)
    echo(styled("x", "bold"))
    echo_table(("NAME",), [("y",)])
    assert screen.shown == "x\nNAME\ny\n"


def test_a_console_is_not_touched_without_need(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel32 = Kernel32(mode=3)
    use_windows(monkeypatch, kernel32)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_color(Screen(is_terminal=True))
    assert not has_color(Screen(is_terminal=False))
    assert (kernel32.mode, kernel32.handles) == (3, [])


def test_a_stream_without_a_number_takes_no_escape_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    use_windows(monkeypatch, Kernel32(mode=3))
    assert enable_escape_codes(io.StringIO()) is False


# Readers who went away


class Gone(Screen):
    """A stream that nobody reads.

    Args:
        error: What writing raises.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error
        self.tries = 0

    def write(self, text: str) -> int:
        self.tries += 1
        raise self.error

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


CLOSED = [BrokenPipeError(errno.EPIPE, "Broken pipe"), OSError(errno.EINVAL, "Invalid argument")]
"""On POSIX and on Windows."""


@pytest.mark.parametrize("error", CLOSED, ids=repr)
def test_a_reader_who_went_away_is_no_failure_that_is_told(
    error: OSError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Gone(error))
    with pytest.raises(BrokenPipeError):
        echo("x")
    assert run(["--version"]) == 1
    assert run(["--help"]) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", CLOSED, ids=repr)
def test_messages_that_nobody_reads_change_nothing(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Gone(error)
    monkeypatch.setattr(sys, "stderr", gone)
    echo_err("x")
    assert fail("list", "y", 4) == 4
    assert gone.tries == 2
    monkeypatch.setattr(sys, "stdout", Gone(error))
    assert fail("list", "y", 4) == 4
    with pytest.raises(BrokenPipeError):
        echo_err("x")  # what follows on stdout would be lost as well


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_other_problems_of_writing_are_told(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Gone(OSError(number, "no")))
    with pytest.raises(OSError, match="no") as caught:
        flush()
    assert not isinstance(caught.value, BrokenPipeError)


def test_a_name_that_the_system_does_not_take_is_no_closed_pipe() -> None:
    assert not terminal.is_closed_pipe(OSError(errno.EINVAL, "Invalid argument", "a?b"))
