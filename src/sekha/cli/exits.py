"""Exit codes, and the mapping of library errors to them."""

from __future__ import annotations

from sekha.errors import (
    SekhaAuthError,
    SekhaConnectionError,
    SekhaError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaStreamError,
    SekhaValidationError,
)

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
REFUSED = 4
UNREACHABLE = 5
INTERRUPTED = 130

MEANINGS = {
    OK: "success",
    FAILED: "error, or declined by the user; stderr has the reason in one line",
    USAGE: "invalid usage; nothing was sent",
    NOT_FOUND: "conversation, model or route not found",
    REFUSED: "API key rejected, or without the required permission",
    UNREACHABLE: "server unreachable, timeout, or connection lost",
    INTERRUPTED: "interrupted by Ctrl-C",
}

_OPTION_NAMES = {
    "conversation_id": "ID",
    "importance_score": "--importance",
    "filters.min_importance": "--min-importance",
    "filters.label": "--label",
    "filters.folder": "--folder",
    "filters.start_date": "--since",
    "filters.end_date": "--until",
    "start_date": "--since",
    "end_date": "--until",
    "threshold_days": "--threshold-days",
    "min_score": "--min-score",
    "limit": "--limit",
    "context_budget": "--context-budget",
    "label": "--label",
    "folder": "--folder",
    "prompt": "the question",
    "query": "WORDS",
}
"""Names that fields of the library have on the command line."""


class CommandError(Exception):
    """A command cannot continue; the message has the reason and what to do.

    Args:
        message: One line.
        code: The exit code.
    """

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def exit_code(error: BaseException) -> int:
    """Return the exit code for an error."""
    if isinstance(error, CommandError):
        return error.code
    if isinstance(error, SekhaNotFoundError):
        return NOT_FOUND
    if isinstance(error, (SekhaAuthError, SekhaPermissionError)):
        return REFUSED
    if isinstance(error, SekhaConnectionError):
        return UNREACHABLE
    if isinstance(error, SekhaValidationError) and not error.sent:
        return USAGE
    return FAILED


def describe_error(error: SekhaError) -> str:
    """Describe an error of the library in one line, with advice."""
    if isinstance(error, SekhaNotFoundError) and _names_conversation(error):
        # Without the route: users pass an ID, and do not choose a route for it.
        message = " ".join(error.message.split()) if error.body else "there is no such conversation"
        return f"{message}; check the ID with `sekha list`"
    text = " ".join(str(error).split()).replace("archive_conversation()", "`sekha archive`")
    if _asks_model(error):
        text = text.replace(", it may have been applied", "")  # a model stores nothing
    if isinstance(error, SekhaValidationError) and error.field in _OPTION_NAMES:
        text = _OPTION_NAMES[error.field] + text[len(error.field) :]
    advice = _advice(error)
    if error.may_have_been_applied and not _asks_model(error):
        advice = "check with `sekha list` before you retry"
    return f"{text}; {advice}" if advice else text


def _advice(error: SekhaError) -> str:
    path = error.path or ""
    if isinstance(error, SekhaAuthError):
        if "the model's server, not Sekha" in error.message:
            return ""  # the message names the key
        return f"set {_key_variable(path)} to an API key that the server accepts"
    if isinstance(error, SekhaNotFoundError) and not _asks_model(error):
        return "check that the URL is the one of a controller, without a path; `sekha health` checks all services"
    if isinstance(error, SekhaRateLimitError):
        return "try again later"
    if isinstance(error, SekhaStreamError):
        return "retry the question"
    if isinstance(error, SekhaConnectionError) and "through the proxy" in error.message:
        return "check that the proxy reaches the server; NO_PROXY or SEKHA_PROXY=none connects directly"
    if isinstance(error, SekhaConnectionError):
        return "check that the server is running: `sekha health`; to start a local server: `sekha serve`"
    if isinstance(error, SekhaServerError) and error.path == "/api/v1/conversations/{id}" and error.method == "DELETE":
        return ""  # the message of the library has the advice
    if isinstance(error, SekhaServerError) and error.status_code in (503, 507) and error.body:
        return "check the services with `sekha health`"  # the server runs, and the message has the reason
    if isinstance(error, SekhaServerError):
        what = "the model" if _asks_model(error) else "the server"
        return f"check that {what} is running: `sekha health`"
    return ""


def _names_conversation(error: SekhaNotFoundError) -> bool:
    """Return whether a call was about one conversation."""
    path = error.path or ""
    return "{id}" in path or path in ("/mcp/tools/memory_export", "/mcp/tools/memory_get_context")


def _asks_model(error: SekhaError) -> bool:
    """Return whether the call used the bridge, which stores nothing."""
    return (error.path or "").startswith("/v1/")


def _key_variable(path: str) -> str:
    if path.startswith("/mcp/"):
        return "SEKHA_MCP_API_KEY"
    return "SEKHA_BRIDGE_API_KEY" if path.startswith("/v1/") else "SEKHA_API_KEY"
