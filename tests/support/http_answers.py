"""Answers of servers, good, odd and bad: `python tests/support/http_answers.py --minutes 10` plays them to the readers.

The readers are ours, that of h11 and that of httptools; what may differ is in the table of `http_differences.py`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2] / "src"), str(Path(__file__).parents[1])]

from support.http_differences import DIFFERENCES, check
from support.http_readers import read

_INTERIM = (
    (b"", b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"),
    (
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 \r\ncontent-length: 1\r\n\r\n",
        b"HTTP/1.0 199\r\n\r\n",
    ),
)
_VERSION = ((b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"), (b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b"ICY"))
_STATUS = (
    (b" 200", b" 200", b" 201", b" 204", b" 304", b" 404", b" 503", b" 599"),
    (b" 600", b" 099", b" 101", b" 20", b" 2000", b"  200", b"\t200", b" +20", b""),
)
_REASON = (
    (b" OK", b" OK", b" Not Found", b" ", b"", b" \xc3\xa9t\xe9 \xff", b" a\tb "),
    (b" O\x01K", b" \x00", b" \x7f", b"OK", b"\tOK", b" \r", b" \x0b"),
)
_HEADER = (
    (
        *(b"date: Sun, 29 Nov 2026 20:00:00 GMT\r\n", b"Server:uvicorn\r\n", b"X-Twice: a\r\n", b"x-twice:b \r\n"),
        *(
            b"empty:\r\n",
            b"blanks: \t a b \t\r\n",
            b"x-utf: \xc3\xa9\r\n",
            b"x-latin: \xe9\r\n",
            b"!#$%&'*+.^_`|~9: x\r\n",
        ),
        *(
            b"Connection: close\r\n",
            b"connection: Keep-Alive\r\n",
            b"Connection: x , Close\r\n",
            b"connection: closed\r\n",
        ),
        *(b"upgrade: h2c\r\n", b"keep-alive: timeout=5\r\n", b"trailer: x\r\n"),
    ),
    (
        *(b"a : b\r\n", b": b\r\n", b"a\r\n", b" a: b\r\n", b"a: b\r\n c\r\n", b"a: b\r\n\tc: d\r\n", b"a b: c\r\n"),
        *(
            b"a: b\n",
            b"a: \rb\r\n",
            b"a: b\r\r\n",
            b"a: \x00\r\n",
            b"a: \x01\r\n",
            b"a: \x7f\r\n",
            b"\xe9: a\r\n",
            b'"a": b\r\n',
        ),
        *(b"proxy-connection: close\r\n", b"connection: upgrade\r\n", b"(a): b\r\n", b"a\x00: b\r\n", b"\n", b"\r"),
    ),
)
_FRAMING = (
    (
        *(
            b"content-length: 5\r\n",
            b"Content-Length:5\r\n",
            b"content-length: \t005 \r\n",
            b"content-length: 0\r\n",
            b"",
        ),
        *(b"transfer-encoding: chunked\r\n", b"Transfer-Encoding:Chunked\r\n", b"transfer-encoding: \t CHUNKED \r\n"),
    ),
    (
        *(
            b"content-length: 5\r\ncontent-length: 5\r\n",
            b"content-length: 5\r\ncontent-length: 6\r\n",
            b"content-length: -5\r\n",
        ),
        *(
            b"content-length: 5, 5\r\n",
            b"content-length: 5,6\r\n",
            b"content-length: +5\r\n",
            b"content-length: 0x5\r\n",
        ),
        *(
            b"content-length: 5 5\r\n",
            b"content-length:\r\n",
            b"content-length: ,\r\n",
            b"content-length: \xd9\xa5\r\n",
        ),
        *(b"content-length: %d\r\n" % (10**digits) for digits in (17, 18, 19, 20)),
        *(
            b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
            b"transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        ),
        *(b"transfer-encoding: gzip\r\n", b"transfer-encoding: gzip, chunked\r\n", b"transfer-encoding: identity\r\n"),
        *(b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", b"transfer-encoding: chunked, gzip\r\n"),
        *(
            b"transfer-encoding: chunked\t\r\n",
            b"transfer-encoding:\r\n",
            b"transfer-encoding: chun\xe2\x84\xaaed\r\n",
            b"transfer-encoding: chunked;q=1\r\n",
        ),
        *(b"transfer-encoding: xchunked\r\n", b"transfer-encoding: ,chunked\r\n", b"transfer-encoding : chunked\r\n"),
    ),
)
_SIZE = (
    (b"5", b"5", b"005", b"5", b"0000000000000005"),
    (
        b"00000000000000005",
        b"0x5",
        b"-5",
        b"+5",
        b" 5",
        b"4",
        b"6",
        b"",
        b"g",
        b"fffffffffffffffff",
        b"ffffffffffffffff",
        b"5_0",
    ),
)
_EXTENSION = (
    (b"", b"", b"", b";a", b";a=b", b';a="b c"', b";a;b=c"),
    (b" ", b"\t", b" ;a", b"; a", b";", b";;", b";a=", b";a=\x01", b";\r", b";a\n", b';a="', b";\xe9", b";a=\x7f"),
)
_DATA = ((b"Hello", b"\r\n\r\n\0", b"\xff\n0\r\n"), (b"Hell", b"Hello!"))
_DATA_END = ((b"\r\n",), (b"", b"\n", b"\r", b"\r\r\n", b"XX", b" \r\n"))
_TRAILER = (
    (b"", b"", b"x-sum: 1\r\n", b"a:\r\nx:\t\r\n"),
    (
        *(
            b"content-length: 5\r\n",
            b"transfer-encoding: chunked\r\n",
            b"connection: close\r\n",
            b"a\r\n",
            b"a: b\n",
            b"\xff",
        ),
        *(
            b"a: b\r\n c\r\n",
            b"a: \x00\r\n",
            b"a: \x01\r\n",
            b" a: b\r\n",
            b"content-length: x\r\n",
            b"transfer-encoding: x\r\n",
        ),
    ),
)
_SURPLUS = ((b"", b"", b""), (b"\r\n", b"x", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"0\r\n\r\n", b"\0"))

_WORDS = (
    *(b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"\0", b"\x01", b"\x0b", b"\x7f", b"\x80", b"\xff", b" ", b"\t", b":", b";"),
    *(b",", b"=", b'"', b"\\", b"0", b"1", b"5", b"a", b"F", b"-", b"+", b"0x", b"_", b"x: y\r\n", b"\r\n x\r\n"),
    *(
        b"HTTP/1.1 100 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/",
        b"1.1",
        b"1.0",
        b"2.0",
        b"100",
        b"101",
        b"204",
        b"600",
    ),
    *(b"content-length: 5\r\n", b"Content-Length: 1", b"content-length: 5, 5\r\n", b"99999999999999999999", b"close"),
    *(
        b"transfer-encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"chunked",
        b"identity",
        b"gzip, ",
        b", chunked",
    ),
    *(
        b"connection: close\r\n",
        b"Connection: Upgrade\r\nUpgrade: x\r\n",
        b"keep-alive",
        b"\xe2\x84\xaa",
        b"5\r\nHello\r\n",
    ),
    *(b"0\r\n\r\n", b"1\r\na\r\n", b"ffffffffffffffff", b"10000000000000000", b";a=b", b';a="b"', b"\xc5\xbf"),
)


def answer(chance: random.Random) -> bytes:
    """Return an answer of some grammar, most of its parts good, perhaps changed or cut short."""
    rate = chance.choice((0.0, 0.03, 0.1))

    def one(parts: tuple[tuple[bytes, ...], tuple[bytes, ...]]) -> bytes:
        return chance.choice(parts[chance.random() < rate])

    headers = [one(_HEADER) for _ in range(chance.randrange(4))] + [one(_FRAMING)]
    chance.shuffle(headers)
    head = b"".join([one(_INTERIM), one(_VERSION), one(_STATUS), one(_REASON), b"\r\n", *headers, b"\r\n"])
    if b"ransfer-" in head:
        chunks = [
            one(part) for _ in range(chance.randrange(4)) for part in (_SIZE, _EXTENSION, _DATA_END, _DATA, _DATA_END)
        ]
        body = b"".join([*chunks, b"0", one(_EXTENSION), one(_DATA_END), one(_TRAILER), one(_DATA_END)])
    else:
        body = one(_DATA)
    data = head + body + one(_SURPLUS)
    for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 3))):
        data = _changed(chance, data)
    return data[: chance.randrange(len(data) + 1)] if chance.random() < 0.1 else data


def _changed(chance: random.Random, data: bytes) -> bytes:
    """Return an answer with one part replaced, left out or put in, very long at times."""
    at, start = chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)
    kind = chance.randrange(60)
    if kind < 10:
        new = b""
    elif kind < 20:
        new = bytes([chance.randrange(256)])
    elif kind < 30:
        new = data[start : start + chance.choice((1, 2, 5, 20))]
    else:
        new = chance.choice(_WORDS) * (1 if kind < 59 else chance.choice((21, 300, 5000, 20000)))
    return data[:at] + new + data[at + chance.choice((0, 0, 1, 1, 2, 4, 9)) :]


def cut(chance: random.Random, data: bytes, is_closed: bool) -> list[bytes]:
    """Return an answer in pieces of random sizes, and the end of the connection."""
    at = sorted({0, len(data), *(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 1, 2, 6))))})
    return [data[start:end] for start, end in zip(at, at[1:])] + [b""] * is_closed


def main() -> None:
    """Play answers for some minutes of processor time, and print the differences that must not be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    counts = dict.fromkeys((*(row.reason for row in DIFFERENCES), "(in no row)", "(complete)", "(failed)"), 0)
    tried, slowest, end = 0, 0.0, time.process_time() + 60 * options.minutes
    while time.process_time() < end and counts["(failed)"] < 20:
        data, is_closed = answer(chance), chance.random() < 0.5
        tried += 1
        try:
            rows = check(data, is_closed)
            started = time.process_time()
            ours = read("ours", cut(chance, data, is_closed))._replace(size=None)
            slowest = max(slowest, time.process_time() - started)
            assert ours == read("ours", cut(chance, data, is_closed))._replace(size=None), data
        except Exception as error:
            counts["(failed)"] += 1
            print(data, repr(error))
            continue
        counts["(complete)"] += ours.ending == "complete"
        for name in [row.reason for row in rows] or ["(in no row)"]:
            counts[name] += 1
    print(f"{tried} answers, {slowest * 1000:.1f} ms for the slowest")
    for name, count in counts.items():
        print(f"{count:9} {name}")


if __name__ == "__main__":
    main()
