"""Error reports of commands: one line of text, or JSON with `--json`."""

from __future__ import annotations

from typing import Any

from sekha.cli.exits import FAILED, USAGE, CommandError, describe_error
from sekha.cli.terminal import echo_err, echo_failure, strip_controls, to_json
from sekha.errors import SekhaError

KNOWN_ERRORS = (SekhaError, CommandError, OSError, UnicodeError, ModuleNotFoundError)
"""Errors that are reported in one line; any other is a bug and gets a traceback."""

_DETAILS = ("field", "status_code", "retry_after", "sent", "may_have_been_applied")


def fail(command: str, reason: object, code: int = FAILED, *, as_json: bool = False) -> int:
    """Print the reason of a failure in one line to stderr, and return the exit code.

    Args:
        command: Name of the command.
        reason: An error, or a text.
        code: The exit code.
        as_json: Whether to print JSON.

    Returns:
        The exit code.
    """
    text = describe_error(reason) if isinstance(reason, SekhaError) else str(reason)
    message = strip_controls(" ".join(text.split()))
    if as_json:
        echo_failure(to_json({"error": error_as_json(reason, message, code)}, "ascii", indent=None))
    else:
        echo_failure(f"sekha {command}: {message}")
    return code


def error_as_json(reason: object, message: str, code: int) -> dict[str, Any]:
    """Return an error as a JSON object: class, message, exit code, and details such as the status code."""
    kind = type(reason).__name__ if isinstance(reason, Exception) else "CommandError"
    details = {name: getattr(reason, name) for name in _DETAILS if getattr(reason, name, None) is not None}
    return {"type": kind, "message": message, "exit_code": code, **details}


def fail_usage(error: Any, *, as_json: bool) -> int:
    """Print a usage error with the usage of its command, and return the exit code.

    Args:
        error: The error of typer.
        as_json: Whether to print JSON, without the usage.

    Returns:
        The exit code.
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
    """Return the message of a usage error; in newer versions of typer, some have a message of pydantic."""
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
