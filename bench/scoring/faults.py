"""The faults: what the server does, what the client is asked to do, and by which rule it is judged."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from scoring import judging
from scoring.clients import Client, Event
from scoring.judging import Rule
from scoring.server import DROP, HANG, Reply, Request, Script, answer, body, stream

HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
SECONDS = 0.5


@dataclass(frozen=True, eq=False)
class Fault:
    """A row of the table.

    Attributes:
        id: The requirement.
        words: What happens.
        promise: What must be observed then.
        play: What the child process does: a function of `scoring.plays`.
        script: What the server does with the n-th request of this client.
        rule: The judge.
        needs: What a client must have for this to apply.
        wishes: Options for the client.
        flags: Options for the child's Python.
        loud: Whether telemetry stays as it is.
        cold: Whether the library has made no call before.
    """

    id: str
    words: str
    promise: str
    play: str
    script: Callable[[Client], Script]
    rule: Rule
    needs: str = ""
    wishes: Mapping[str, Any] = field(default_factory=dict)
    flags: Sequence[str] = ()
    loud: bool = False
    cold: bool = False

    def applies_to(self, client: Client) -> bool:
        """Whether the client has what this is about."""
        return not self.needs or self.needs in client.has


def good(client: Client) -> Script:
    """Reads and writes are answered well."""

    def script(request: Request, number: int) -> Reply:
        return answer(client.found if request.method == "GET" else client.stored)

    return script


def always(reply: Callable[[Client], Reply]) -> Callable[[Client], Script]:
    """Every request gets the same."""
    return lambda client: lambda request, number: reply(client)


def first(reply: Reply) -> Callable[[Client], Script]:
    """The first request gets this, later ones a good answer."""
    return lambda client: lambda request, number: reply if number == 1 else good(client)(request, number)


def late(seconds: float) -> Callable[[Client], Script]:
    """Good answers, after some time."""
    return lambda client: lambda request, number: Reply((seconds, *good(client)(request, number).steps))


def encoded(events: Sequence[Event], newline: str = "\n") -> list[bytes]:
    """The bytes of each event."""
    return ["".join(line + newline for line in [*event, ""]).encode() for event in events]


def streamed(*texts: str, newline: str = "\n", between: Sequence[Event] = (), whole: bool = True) -> Any:
    """A stream of texts."""

    def reply(client: Client) -> Reply:
        events: list[Event] = [*between]
        for text in texts:
            events += [client.event(text), *between]
        return stream(encoded([*events, *(client.end if whole else ())], newline))

    return always(reply)


def reset(client: Client) -> Reply:
    """Two pieces, and then the connection breaks."""
    return stream(encoded([client.event("Hel"), client.event("lo")]), "reset")


def inside_a_character(client: Client) -> Reply:
    """The stream ends after the first of two bytes."""
    data = encoded([client.event("Hel"), client.event("\u00e9")])
    return stream([data[0], data[1][: data[1].index("\u00e9".encode()) + 1]])


def failing(client: Client) -> Reply:
    """An error comes in a stream with status 200."""
    return stream(encoded([client.event("Hel"), client.failure, client.event("after"), *client.end]))


def odd(client: Client) -> Reply:
    """Chunks as model servers send them."""
    return stream(encoded(client.odd_chunks()))


def newer(client: Client) -> Reply:
    """An answer of a newer server."""
    data = {**client.found, client.enum: "brand-new", "x_new": {"a": 1}}
    data.pop(client.optional, None)
    return answer(data)


def dripping(client: Client) -> Reply:
    """One byte each 50 ms, for five seconds."""

    def steps() -> Iterator[bytes | float]:
        yield b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
        for _ in range(100):
            yield 0.05
            yield b" "

    return Reply(steps())


def endless(client: Client) -> Script:
    """A stream for half a minute; reads are answered."""

    def pieces() -> Iterator[bytes]:
        for _ in range(3000):
            yield encoded([client.event("more ")])[0]

    return lambda request, number: stream(pieces()) if number == 1 else good(client)(request, number)


def closing(client: Client) -> Script:
    """Answers that promise to keep the connection, which is then closed."""
    return lambda request, number: Reply((*good(client)(request, number).steps, 0.05), "close")


def bomb(client: Client) -> Script:
    """50 MB of spaces, compressed."""
    data = gzip.compress(b'{"x": "' + b" " * 50_000_000 + b'"}')
    large = body(data, content_encoding="gzip")
    return lambda request, number: good(client)(request, number) if number == 1 else large


def echo(client: Client) -> Script:
    """A refusal that repeats the credentials, in the shape of errors that this client knows."""

    def script(request: Request, number: int) -> Reply:
        told = request.headers.get("authorization") or request.headers.get("x-api-key")
        return answer(client.refusal(f"not authorized: {told}"), 401)

    return script


def redirect(client: Client) -> Script:
    """To the other server, with method and body."""
    return always(lambda _: body(b"", 307, location="{elsewhere}/other"))(client)


def no_server(client: Client) -> Script:
    """Never called: connections are refused."""
    raise NotImplementedError


R1 = "sent once, and an error"
FAULTS = (
    Fault("C1", "stream ends cleanly, without its end mark", "an error", "stream",
          streamed("Hel", "lo", whole=False), judging.raised, "stream"),
    Fault("C1", "connection reset within a stream", "an error", "stream", always(reset), judging.raised, "stream"),
    Fault("C1", "stream ends inside a UTF-8 character", "an error", "stream",
          always(inside_a_character), judging.raised, "stream"),
    Fault("C2", "U+2028, U+0085 and U+001C inside the data", "the same text", "stream",
          streamed("a\u2028b\u0085c\u001cd"), judging.gives("a\u2028b\u0085c\u001cd"), "stream"),
    Fault("C2", "lines end with a lone CR", "the same text", "stream",
          streamed("Hel", "lo", newline="\r"), judging.gives("Hello"), "stream"),
    Fault("C3", "comments, ids, retries and pings between events", "the same text", "stream",
          streamed("Hel", "lo", between=([": hi"], ["event: ping", "data:"], ["id: 7", "retry: 3000"])),
          judging.gives("Hello"), "stream"),
    Fault("C5", "error event in a stream with status 200", "an error, and nothing after it", "stream",
          always(failing), judging.raised_with_nothing_after, "stream"),
    Fault("C6", "unknown key, unknown enum value, missing optional", "all of it arrives", "read",
          always(newer), judging.parsed),
    Fault("C7", "502 with a page of HTML", "own error, with the status", "read",
          always(lambda _: body(HTML, 502, "text/html")), judging.own_error(502)),
    Fault("C7", "200 with JSON cut short", "own error", "read",
          always(lambda _: body(b'{"id": "f8bde2b0-8bdb-40')), judging.own_error()),
    Fault("C7", "200 with bytes that are no UTF-8", "own error", "read",
          always(lambda _: body(b'{"id": "\xff\xfe"}')), judging.own_error()),
    Fault("C8", "chunks with empty or null choices, null delta, usage only", "the text", "text",
          always(odd), judging.gives("Hello"), "chunks"),
    Fault("C10", "base URL with a path, with and without a slash behind", "prefix and path once", "prefixes",
          good, judging.prefixed),
    Fault("C11", "NaN in what is sent", "refused before a byte is sent", "nan", good, judging.refused_unsent),
    Fault("R1", "create: stored, then the connection is dropped", R1, "write", always(lambda _: DROP), judging.once),
    Fault("R1", "create: stored, no answer in time", R1, "write", always(lambda _: HANG), judging.once,
          wishes={"timeout": SECONDS}),
    Fault("R1", "create: 500", R1, "write", always(lambda _: answer({"error": "x"}, 500)), judging.once),
    Fault("R1", "create: 503 without Retry-After", R1, "write",
          always(lambda _: answer({"error": "x"}, 503)), judging.once),
    Fault("R1", "completion: begun, then the connection is dropped", R1, "complete",
          always(lambda _: DROP), judging.once, "completion"),
    Fault("R2", "create: connection refused", "tried again, then an error", "write", no_server, judging.tried_again),
    Fault("R3", "read: 429 with Retry-After: 2, then an answer", "tried again, not before", "read",
          first(answer({"error": "slow down"}, 429, retry_after="2")), judging.waited(2.0)),
    Fault("R3", "read: 429 with Retry-After: 86400", "an error at once", "read",
          always(lambda _: answer({"error": "slow down"}, 429, retry_after="86400")), judging.gave_up_at_once),
    Fault("R4", "an answer drips; the call may take 0.5 s", "an error within 1 s", "read",
          always(dripping), judging.within(1.0), "deadline", {"deadline": SECONDS}),
    Fault("R5", "200 tasks cancelled at random, on 10 connections where that is an option",
          "the next 20 calls are answered", "cancelled",
          late(0.05), judging.all_answered(20), wishes={"connections": 10}),
    Fault("R6", "breaking out of a stream, with one connection", "it is let go; the next call works", "broken_off",
          endless, judging.let_go, "stream", {"connections": 1}),
    Fault("R8", "500 callers at once, on 100 connections where that is an option",
          "all answered", "crowd", late(0.02), judging.all_answered(500),
          wishes={"connections": 100}),
    Fault("R9", "one async client in three asyncio.run", "all answered", "loops", good, judging.all_answered(3)),
    Fault("R11", "kept connections are closed between calls", "a write goes out once and succeeds", "stale",
          closing, judging.written_once),
    Fault("R13", "clients forgotten, under -X dev", "at most a ResourceWarning", "forgotten", good, judging.quiet,
          flags=("-X", "dev", "-W", "error::ResourceWarning"), cold=True),
    Fault("R14", "making a client", "no connection, no thread", "construct", good, judging.sent_nothing, cold=True),
    Fault("S1", "401 that repeats the key; traceback, repr, log at DEBUG", "the key is not shown", "secrets",
          echo, judging.key_hidden),
    Fault("S2", "a line break in the key", "refused, and the key not shown", "bad_key", good, judging.bad_key_hidden),
    Fault("S3", "create: 307 to another origin", "neither key nor body go there", "write", redirect, judging.stayed),
    Fault("S4", "an id of ../../x", "refused, or one segment", "ids", good, judging.in_its_segment),
    Fault("S5", "50 MB in 50 kB of gzip; limit 1 MB where there is one", "refused, less than 10 MB more memory", "bomb",
          bomb, judging.bounded, wishes={"limit": 1_000_000}),
    Fault("S6", "a read and a write, telemetry as installed", "no other destination", "contacts",
          good, judging.nobody_else, loud=True),
    Fault("E1", "pickle of an error (404)", "the same comes back", "pickled",
          always(lambda _: answer({"error": "not here"}, 404)), judging.same_again),
    Fault("E4", "the blocking client where a loop is running", "works, with no thread more", "in_a_loop",
          good, judging.blocking_works),
    Fault("E6", "import", "no environment, file, thread or connection", "nothing", good, judging.no_side_effects,
          loud=True, cold=True),
    Fault("E7", "the first call", "imports nothing", "first_call", good, judging.imports_nothing, cold=True),
)  # fmt: skip
