"""Compressed answers are opened, however their bytes arrive."""

from __future__ import annotations

import gzip
import zlib

import pytest

from sekha._http.decompression import MAX_CHUNK, Decompressor
from sekha.errors import SekhaDecodeError

PLAIN = b'{"results": []}' * 20
CODED = {
    "zlib": ("deflate", zlib.compress(PLAIN)),
    "deflate without its header": ("deflate", zlib.compress(PLAIN)[2:-4]),
    "gzip": ("gzip", gzip.compress(PLAIN)),
    "two files of gzip": ("gzip", gzip.compress(PLAIN[:7]) + gzip.compress(PLAIN[7:])),
    "gzip, filled up with zeros": ("gzip", gzip.compress(PLAIN) + bytes(20)),
}


def opened(coding: str, pieces: list[bytes]) -> bytes:
    inflater = Decompressor(coding, 200)
    return b"".join(plain for piece in pieces for plain in inflater.feed(piece))


@pytest.mark.promise("S5")
@pytest.mark.parametrize("how", CODED)
def test_however_the_bytes_are_cut_they_are_opened(how: str) -> None:
    coding, data = CODED[how]
    for cut in range(len(data)):
        assert opened(coding, [data[:cut], data[cut:]]) == PLAIN
    assert opened(coding, [data[i : i + 1] for i in range(len(data))]) == PLAIN


@pytest.mark.promise("S5")
@pytest.mark.parametrize("cut", [None, -1, -2, -4, -8])
@pytest.mark.parametrize("size", [MAX_CHUNK - 1, MAX_CHUNK, MAX_CHUNK + 1, 2 * MAX_CHUNK, 3 * MAX_CHUNK + 1])
def test_nothing_is_lost_however_long_it_is(size: int, cut: int | None) -> None:
    plain = b" " * size
    coded = {"deflate": zlib.compress(plain), "gzip": gzip.compress(plain)}
    for coding, data in [*coded.items(), ("deflate", coded["deflate"][2:-4])]:
        pieces = [data] if cut is None else [data[:cut], data[cut:]]
        assert opened(coding, pieces) == plain


@pytest.mark.promise("S5")
@pytest.mark.parametrize("pieces", [[b"\xff\xff\xff"], [b"\xff", b"\xff", b"\xff"], [b"x", b"\xff", b"\xff" * 9]])
def test_what_is_not_compressed_in_that_way_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(SekhaDecodeError, match="not what its header says: deflate"):
        opened("deflate", pieces)
