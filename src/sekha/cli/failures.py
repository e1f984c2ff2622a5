"""How a command reports that it failed: in one line for people, as JSON for programs."""

from __future__ import annotations

from typing import Any

from sekha.cli.exits import FAILED, USAGE, CommandError, describe_error
from sekha.cli.terminal import echo_err, echo_failure, strip_controls, to_json
from sekha.errors import SekhaError

KNOWN_ERRORS = (SekhaError, CommandError, OSError, UnicodeError, ModuleNotFoundError)
"""What is reported in one line; anything else is a bug, and has a traceback."""

_DETAILS = ("field", "status_code", "retry_after", "sent", "may_have_been_applied")


def fail(command: str, reason: object, code: int = FAILED, *, as_json: bool = False) -> int:
    """Print in one line to stderr why a command failed, and return its exit code.

    Args:
        command: Name of the command.
        reason: An error, or a text.
        code: The exit code.
        as_json: Whether the line is JSON.
    """
    text = describe_error(reason) if isinstance(reason, SekhaError) else str(reason)
    message = strip_controls(" ".join(text.split()))
    if as_json:
        echo_failure(to_json({"error": error_as_json(reason, message, code)}, "ascii", indent=None))
    else:
        echo_failure(f"sekha {command}: {message}")
    return code


def error_as_json(reason: object, message: str, code: int) -> dict[str, Any]:
    """Return what programs get of an error: its class, its message, the exit code, and what the library knows of it."""
    kind = type(reason).__name__ if isinstance(reason, Exception) else "CommandError"
    details = {name: getattr(reason, name) for name in _DETAILS if getattr(reason, name, None) is not None}
    return {"type": kind, "message": message, "exit_code": code, **details}


def fail_usage(error: Any, *, as_json: bool) -> int:
    """Print an error of usage with the usage of its command, and return its exit code.

    Args:
        error: The error of typer.
        as_json: Whether it is printed as JSON, without the usage.
    """
    error.message = _plain_words(error)
    if as_json:
        message = " ".join(error.format_message().split())
        echo_failure(to_json({"error": {"type": "UsageError", "message": message, "exit_code": USAGE}}, indent=None))
    else:
        echo_err(end="")
        error.show()
    return USAGE


def _plain_words(error: Any) -> str:
    """Return the message of an error of usage; newer versions of typer let pydantic word some of them."""
    find = getattr(error.__cause__, "errors", None)
    if find is None:
        return str(error.message)
    problem: dict[str, Any] = find()[0]
    kind, value, bounds = problem["type"], problem["input"], problem.get("ctx", {})
    if kind.startswith("int_"):
        return f"{value!r} is not a whole number"
    if kind.startswith("float_") or kind == "finite_number":
        return f"{value!r} is not a number"
    if kind == "greater_than_equal":
        return f"{value} is less than {bounds['ge']:g}"
    if kind == "less_than_equal":
        return f"{value} is more than {bounds['le']:g}"
    return str(bounds.get("error", error.message))
