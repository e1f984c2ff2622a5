"""What was observed, and the rules by which it is judged: the same for every client."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from scoring.clients import Client
from scoring.data import ID, KEY
from scoring.server import Request

COMPLAINT = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception|RuntimeWarning))(?::|$)", re.MULTILINE)
"""An error or a warning on the error channel."""


@dataclass
class Observation:
    """One client and one fault.

    Attributes:
        requests: What the server saw, without what the client asks for by itself.
        elsewhere: What a second server saw, to which the first may point.
        outcomes: What the child process reported of its calls.
        imported, noted: What it reported of the import, and of connections and files.
        ended: Whether it came to its end in time.
    """

    client: Client
    requests: list[Request] = field(default_factory=list)
    elsewhere: list[Request] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    imported: dict[str, Any] = field(default_factory=dict)
    noted: dict[str, list[str]] = field(default_factory=dict)
    version: str = ""
    stderr: str = ""
    returned: int = 0
    ended: bool = True

    @property
    def last(self) -> dict[str, Any]:
        """The outcome of the last call."""
        return self.outcomes[-1] if self.outcomes else {"what": "none"}

    @property
    def elapsed(self) -> Optional[float]:
        """What the slowest of its calls took."""
        return max((each["elapsed"] for each in self.outcomes if "elapsed" in each), default=None)

    @property
    def summary(self) -> str:
        """The last outcome in a word."""
        if not self.ended:
            return "no end within a minute"
        last = self.last
        if last["what"] == "error":
            return str(last["type"])
        if "text" in last or isinstance(last.get("value"), str):
            return f"`{ascii(last.get('text', last.get('value')))[:40]}`"
        if last["what"] == "none":
            return f"did not play: {', '.join(COMPLAINT.findall(self.stderr)[-1:])}"
        return "an answer" if last["what"] == "value" else str(last["what"])


@dataclass(frozen=True)
class Verdict:
    """Was the promise kept (None: it does not apply), and what was seen."""

    kept: Optional[bool]
    seen: str


Rule = Callable[[Observation], Verdict]


def says(kept: bool, seen: Observation, more: str = "") -> Verdict:
    """A verdict that names the last outcome."""
    return Verdict(kept and seen.ended, seen.summary + (f", {more}" if more else ""))


def _raised(seen: Observation) -> bool:
    return bool(seen.last["what"] == "error")


def raised(seen: Observation) -> Verdict:
    """The last call raised, after it had sent a request."""
    return says(_raised(seen) and bool(seen.requests), seen)


def raised_with_nothing_after(seen: Observation) -> Verdict:
    """It raised at the error in the stream, and gave nothing that came behind it."""
    text = str(seen.last.get("text", ""))
    return says(bool(raised(seen).kept) and "after" not in text, seen, "and went on" if "after" in text else "")


def own_error(status: int | None = None) -> Rule:
    """It raised an error of the library, which says the status."""

    def rule(seen: Observation) -> Verdict:
        last = seen.last
        told = status is None or last.get("status") == status
        more = "" if not _raised(seen) or last["own"] else "not the library's own"
        return says(bool(raised(seen).kept) and last["own"] and told, seen, more if told else "without the status")

    return rule


def gives(value: str) -> Rule:
    """The text is this."""
    return lambda seen: says(seen.last.get("value") == value, seen)


def parsed(seen: Observation) -> Verdict:
    """What the client does not know yet has arrived unchanged."""
    value = seen.last.get("value")
    whole = isinstance(value, dict) and value.get("x_new") == {"a": 1} and value.get(seen.client.enum) == "brand-new"
    return says(whole, seen, "" if whole or _raised(seen) else "not whole")


def refused_unsent(seen: Observation) -> Verdict:
    """It raised, and nothing was on the wire."""
    more = "sent all the same" if seen.requests else ""
    return says(_raised(seen) and not seen.requests, seen, more)


def once(seen: Observation) -> Verdict:
    """It raised after one request; or all have the same idempotency key, so that the server can tell."""
    names = {each.headers.get("idempotency-key") for each in seen.requests}
    marked = len(names) == 1 and None not in names
    return says(
        _raised(seen) and (len(seen.requests) == 1 or marked), seen, "with an idempotency key" if marked else ""
    )


def tried_again(seen: Observation) -> Verdict:
    """A refused connection was tried more than once."""
    tries = len(seen.noted.get("connects", []))
    return says(_raised(seen) and tries > 1, seen, f"{tries} {'attempt' if tries == 1 else 'attempts'}")


def waited(seconds: float) -> Rule:
    """The second request came as late as the server had asked, and was answered."""

    def rule(seen: Observation) -> Verdict:
        if len(seen.requests) != 2:
            return says(False, seen, "not tried again" if len(seen.requests) == 1 else "")
        gap = seen.requests[1].at - seen.requests[0].at
        return says(gap >= seconds and not _raised(seen), seen, f"after {gap:.1f} s")

    return rule


def gave_up_at_once(seen: Observation) -> Verdict:
    """It raised after one request, within two seconds."""
    return says(_raised(seen) and len(seen.requests) == 1 and (seen.elapsed or 0) < 2.0, seen)


def within(seconds: float) -> Rule:
    """It raised in time."""
    return lambda seen: says(_raised(seen) and (seen.elapsed or 0) <= seconds, seen)


def all_answered(number: int) -> Rule:
    """This many calls, and each was answered."""

    def rule(seen: Observation) -> Verdict:
        good = sum(each.get("times", 1) for each in seen.outcomes if each["what"] == "value")
        bad = sorted({each["type"] for each in seen.outcomes if each["what"] == "error"})
        return Verdict(seen.ended and good == number, f"{good} of {number} answered" + "".join(f", {n}" for n in bad))

    return rule


def let_go(seen: Observation) -> Verdict:
    """The stream's connection was given up, and the next call answered."""
    left = bool(seen.requests) and seen.requests[0].left
    return says(left and not _raised(seen), seen, "" if left else "the stream went on")


def written_once(seen: Observation) -> Verdict:
    """Every call succeeded, with as many requests as calls."""
    verdict = all_answered(3)(seen)
    return Verdict(bool(verdict.kept) and len(seen.requests) == 3, verdict.seen)


def quiet(seen: Observation) -> Verdict:
    """Nothing but ResourceWarnings on the error channel."""
    complaints = sorted(set(COMPLAINT.findall(seen.stderr)))
    warned = "ResourceWarning" if "ResourceWarning" in seen.stderr else "quiet"
    return Verdict(seen.ended and seen.returned == 0 and not complaints, ", ".join(complaints) or warned)


def key_hidden(seen: Observation) -> Verdict:
    """The key is in no repr, no error, no log record."""
    shown = [
        each.get("type", each["what"]) for each in seen.outcomes if each.get("key_shown") and each["what"] != "value"
    ]
    return Verdict(seen.ended and not shown, f"shown in {', '.join(shown)}" if shown else "not shown")


def bad_key_hidden(seen: Observation) -> Verdict:
    """It raised, sent nothing, and did not show the key."""
    shown = bool(seen.last.get("key_shown"))
    return says(_raised(seen) and not seen.requests and not shown, seen, "which shows the key" if shown else "")


def stayed(seen: Observation) -> Verdict:
    """No key and no body reached the other origin."""
    leaks = set()
    for each in seen.elsewhere:
        leaks |= {"key"} if any(KEY in value for value in each.headers.values()) else set()
        leaks |= {"body"} if each.body else set()
    more = f"{' and '.join(sorted(leaks))} sent elsewhere" if leaks else "followed" if seen.elsewhere else ""
    return says(not leaks, seen, more)


def in_its_segment(seen: Observation) -> Verdict:
    """The bad id was refused, or made a path with as many segments as the good one."""
    good, *bad = [each.path for each in seen.requests] or [""]
    template = re.escape(good).replace(re.escape(ID), "[^/]+")
    inside = all(re.fullmatch(template, path) for path in bad)
    return says(inside and bool(bad or _raised(seen)), seen, f"`{bad[0]}`" if bad else "")


def bounded(seen: Observation) -> Verdict:
    """A large answer was refused before it filled the memory."""
    grown = seen.last.get("grown", 0.0)
    return says(_raised(seen) and grown < 10, seen, f"{grown:.0f} MB more")


def nobody_else(seen: Observation) -> Verdict:
    """Nothing went to another machine, and nothing told who is at this one."""
    others = sorted(set(seen.noted.get("elsewhere", [])))
    host = socket.gethostname()
    told = any(host in value for each in seen.requests for value in each.headers.values())
    text = f"tried {', '.join(others)}" if others else "nobody else"
    return Verdict(seen.ended and not others and not told, text + (", host name told" if told else ""))


def same_again(seen: Observation) -> Verdict:
    """The error came back from pickle as it was."""
    again = seen.last.get("again", "no error")
    return says(_raised(seen) and again == "the same", seen, again)


def blocking_works(seen: Observation) -> Verdict:
    """The blocking call was answered, without a further thread."""
    threads = seen.last.get("threads", 0)
    return says(not _raised(seen) and threads <= 0, seen, f"{threads} more threads" if threads > 0 else "")


def sent_nothing(seen: Observation) -> Verdict:
    """Making a client opened no connection and no thread."""
    connects, threads = len(seen.noted.get("connects", [])), seen.last.get("threads", 0)
    done = [f"{connects} connections" if connects else "", f"{threads} threads" if threads > 0 else ""]
    return says(not _raised(seen) and not any(done), seen, " and ".join(filter(None, done)))


def no_side_effects(seen: Observation) -> Verdict:
    """The import changed no environment, wrote no file, read no ``.env``, started no thread, connected to nothing."""
    found = seen.imported
    done = {name: found.get(name) for name in ("environment", "opened", "threads", "connects")}
    counts = {name: len(each) if isinstance(each, list) else each for name, each in done.items() if each}
    text = f"{1000 * found.get('seconds', 0):.0f} ms"
    return Verdict(bool(found) and not counts, ", ".join([text, *(f"{name}: {n}" for name, n in counts.items())]))


def prefixed(seen: Observation) -> Verdict:
    """Prefix and path were there exactly once, with a slash at the end of the base URL and without."""
    verdict = all_answered(3)(seen)
    bare, *others = [each.target for each in seen.requests] or [""]
    right = len(others) == 2 and all(other == "/prefix" + bare for other in others)
    return Verdict(bool(verdict.kept) and right, verdict.seen if right else " ".join(f"`{each}`" for each in others))


def imports_nothing(seen: Observation) -> Verdict:
    """The first call was answered, and no module had to be imported for it."""
    imported = seen.last.get("imported", 0)
    return says(not _raised(seen) and imported == 0, seen, f"{imported} modules" if imported else "")
