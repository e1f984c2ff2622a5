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
    OK: "fine",
    FAILED: "it failed, or was not done; one line on stderr says why",
    USAGE: "wrong usage; nothing was sent",
    NOT_FOUND: "there is no such conversation, model or route",
    REFUSED: "the key was refused, or may not do this",
    UNREACHABLE: "a server cannot be reached, took too long, or broke off",
    INTERRUPTED: "ended by Ctrl-C",
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
"""Fields of the library that have another name on the command line."""


class CommandError(Exception):
    """A command cannot continue; the message says why, and what to do.

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
        # Without the route: which one a command uses for an ID is its own affair.
        message = " ".join(error.message.split()) if error.body else "there is no such conversation"
        return f"{message}; is the ID right? `sekha list` shows what there is"
    text = " ".join(str(error).split()).replace("archive_conversation()", "`sekha archive`")
    if _asks_model(error):
        text = text.replace(", it may have been applied", "")  # a model keeps nothing
    if isinstance(error, SekhaValidationError) and error.field in _OPTION_NAMES:
        text = _OPTION_NAMES[error.field] + text[len(error.field) :]
    advice = _advice(error)
    if error.may_have_been_applied and not _asks_model(error):
        advice = "look with `sekha list` before you repeat it"
    return f"{text}; {advice}" if advice else text


def _advice(error: SekhaError) -> str:
    path = error.path or ""
    if isinstance(error, SekhaAuthError):
        if "the model's server, not Sekha" in error.message:
            return ""  # the message says which key it is
        return f"set {_key_variable(path)} to a key that it accepts"
    if isinstance(error, SekhaNotFoundError) and not _asks_model(error):
        return "is this the address of a controller, without a path? `sekha health` looks at all three services"
    if isinstance(error, SekhaRateLimitError):
        return "try again later"
    if isinstance(error, SekhaStreamError):
        return "ask again"
    if isinstance(error, SekhaConnectionError) and "through the proxy" in error.message:
        return "does that proxy reach it? NO_PROXY and SEKHA_PROXY=none connect directly"
    if isinstance(error, SekhaConnectionError):
        return "is it running? `sekha health` looks at all three, and `sekha serve` starts a local one"
    if isinstance(error, SekhaServerError) and error.path == "/api/v1/conversations/{id}" and error.method == "DELETE":
        return ""  # the library says what to do
    if isinstance(error, SekhaServerError) and error.status_code in (503, 507) and error.body:
        return "`sekha health` looks at all three"  # it runs, and says what it lacks
    if isinstance(error, SekhaServerError):
        model = "is its model running? " if _asks_model(error) else "is it running? "
        return f"{model}`sekha health` looks at all three"
    return ""


def _names_conversation(error: SekhaNotFoundError) -> bool:
    """Return whether a call was about one conversation."""
    path = error.path or ""
    return "{id}" in path or path in ("/mcp/tools/memory_export", "/mcp/tools/memory_get_context")


def _asks_model(error: SekhaError) -> bool:
    """Return whether a call went to the bridge, which stores nothing."""
    return (error.path or "").startswith("/v1/")


def _key_variable(path: str) -> str:
    if path.startswith("/mcp/"):
        return "SEKHA_MCP_API_KEY"
    return "SEKHA_BRIDGE_API_KEY" if path.startswith("/v1/") else "SEKHA_API_KEY"
