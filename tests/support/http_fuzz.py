"""Play changed answers to our reader, to h11 and to httptools: `python tests/support/http_fuzz.py --minutes 10`."""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from support.http_oracles import DIFFERENCES, check, read  # noqa: E402  (the path has to be there first)

_HEADS = (
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 404 Not Found\r\ndate: Sun, 29 Nov 2026 20:00:00 GMT\r\nserver: uvicorn\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304\r\nETag: \"a\"\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nLocation: /a\r\n",
    b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\nHTTP/1.1 500 \r\nX-Twice: a\r\nX-Twice: b\r\n",
)
_BODIES = (
    b"\r\nabc",
    b"Content-Length: 5\r\n\r\nHello",
    b"content-length: 0\r\n\r\n",
    b"content-length: 12\r\ncontent-type: text/plain\r\n\r\nHello, Sekha!",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n0\r\n\r\n",
    b"transfer-encoding: Chunked\r\n\r\nA;name=value\r\n0123456789\r\n02\r\nab\r\n0\r\nTrailer: x\r\n\r\n",
    b'transfer-encoding: chunked\r\n\r\n3;a="b c"\r\nabc\r\n1;d\r\nd\r\n000\r\na: b\r\nc: \r\n\r\nHTTP/1.1 200 OK\r\n',
)
_CONNECTION = (b"", b"", b"Connection: close\r\n", b"connection: keep-alive\r\n", b"Connection: x, Close\r\n")
_WORDS = (
    *(b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"\0", b"\x01", b"\x0b", b"\x7f", b"\x80", b"\xff", b" ", b"\t", b":", b";"),
    *(b",", b"=", b'"', b"\\", b"0", b"1", b"5", b"a", b"F", b"-", b"+", b"0x", b"_", b"x: y\r\n", b"\r\n x\r\n"),
    *(b"HTTP/1.1 100 \r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/", b"1.1", b"1.0", b"2.0", b"100", b"101", b"204", b"600"),
    *(b"content-length: 5\r\n", b"Content-Length: 1", b"content-length: 5, 5\r\n", b"99999999999999999999"),
    *(b"transfer-encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"chunked", b"identity", b"gzip, ", b", chunked"),
    *(b"connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: x\r\n", b"keep-alive", b"close", b"\xe2\x84\xaa"),
    *(b"0\r\n\r\n", b"1\r\na\r\n", b"5\r\nHello\r\n", b"ffffffffffffffff", b"10000000000000000", b";a=b", b';a="b"'),
)


def answer(chance: random.Random) -> bytes:
    """Return an answer that is good or somewhat changed."""
    parts = [chance.choice(_HEADS), chance.choice(_CONNECTION), chance.choice(_BODIES)]
    data = b"".join(parts)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3, 5))):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.choice((0, 0, 1, 1, 2, 4, 9)))
        kind = chance.randrange(6)
        if kind == 0:
            new = bytes([chance.randrange(256)])
        elif kind == 1:
            new = b""
        elif kind == 2:
            start = chance.randrange(len(data) + 1)
            new = data[start : start + chance.choice((1, 2, 5, 20))]
        else:
            new = chance.choice(_WORDS)
        data = data[:at] + new + data[to:]
    return data[: chance.randrange(len(data) + 1)] if chance.random() < 0.1 else data


def cuts(chance: random.Random, data: bytes, is_closed: bool) -> list[bytes]:
    """Return an answer in pieces of random sizes."""
    at = sorted({0, len(data), *(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 1, 2, 6))))})
    return [data[start:end] for start, end in zip(at, at[1:])] + [b""] * is_closed


def main() -> None:
    """Run for some minutes of processor time, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    counts = dict.fromkeys((*(row.reason for row in DIFFERENCES), "none", "complete"), 0)
    end, tried, failed = time.process_time() + 60 * options.minutes, 0, 0
    while time.process_time() < end and failed < 20:
        data, is_closed = answer(chance), chance.random() < 0.5
        tried += 1
        try:
            rows = check(data, is_closed)
            whole = read("ours", cuts(chance, data, is_closed))._replace(size=None)
            assert whole == read("ours", cuts(chance, data, is_closed))._replace(size=None), data
        except AssertionError as error:
            failed += 1
            print(error)
            continue
        counts["complete"] += whole.ending == "complete"
        for name in [row.reason for row in rows] or ["none"]:
            counts[name] += 1
    print(f"{tried} answers, {failed} failed")
    for name, count in counts.items():
        print(f"{count:9} {name}")


if __name__ == "__main__":
    main()
