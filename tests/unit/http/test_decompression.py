"""Compressed answers are opened, however their bytes arrive."""

from __future__ import annotations

import gzip
import zlib

import pytest

from sekha._http.decompression import MAX_CHUNK, Decompressor, decompress_readable, is_compressed
from sekha.errors import SekhaDecodeError

PLAIN = b'{"results": []}' * 20
CODED = {
    "zlib": ("deflate", zlib.compress(PLAIN)),
    "deflate without its header": ("deflate", zlib.compress(PLAIN)[2:-4]),
    "gzip": ("gzip", gzip.compress(PLAIN, mtime=0)),
    "two files of gzip": ("gzip", gzip.compress(PLAIN[:7], mtime=0) + gzip.compress(PLAIN[7:])),
    "gzip, filled up with zeros": ("gzip", gzip.compress(PLAIN, mtime=0) + bytes(20)),
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
    coded = {"deflate": zlib.compress(plain), "gzip": gzip.compress(plain, mtime=0)}
    for coding, data in [*coded.items(), ("deflate", coded["deflate"][2:-4])]:
        pieces = [data] if cut is None else [data[:cut], data[cut:]]
        assert opened(coding, pieces) == plain


@pytest.mark.promise("S5")
@pytest.mark.parametrize("pieces", [[b"\xff\xff\xff"], [b"\xff", b"\xff", b"\xff"], [b"x", b"\xff", b"\xff" * 9]])
def test_what_is_not_compressed_in_that_way_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(SekhaDecodeError, match="not encoded as its header says: deflate"):
        opened("deflate", pieces)


@pytest.mark.parametrize("coding", ["none", "utf-8", "UTF8", "binary", "identity, none", "x-unknown"])
def test_what_is_no_compression_changes_nothing_while_it_is_text(coding: str) -> None:
    assert opened(coding, [PLAIN[:7], PLAIN[7:]]) == PLAIN
    with pytest.raises(SekhaDecodeError, match="which was not requested"):
        opened(coding, [b"\x00\x01"])


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "br, gzip", "gzip, gzip"])
def test_what_cannot_be_decompressed_is_refused_by_its_name(coding: str) -> None:
    with pytest.raises(SekhaDecodeError, match=f"compressed with {coding}, which was not requested"):
        opened(coding, [PLAIN])


@pytest.mark.parametrize("coding", ["", " ", ",", "identity", "Identity , ,"])
def test_nothing_and_identity_need_no_look(coding: str) -> None:
    assert not is_compressed(coding)


@pytest.mark.parametrize("how", CODED)
def test_data_is_whole_at_its_end_and_not_before(how: str) -> None:
    coding, data = CODED[how]
    decompressor = Decompressor(coding, 200)
    assert decompressor.is_whole, "nothing was begun"
    list(decompressor.feed(data[:15]))
    assert not decompressor.is_whole
    list(decompressor.feed(data[15:]))
    assert decompressor.is_whole


GZIP = gzip.compress(PLAIN, mtime=0)


@pytest.mark.promise("C7", "W3")
@pytest.mark.parametrize(
    ("coding", "data", "content", "problem"),
    [
        ("", b"\x00 anything", b"\x00 anything", ""),
        ("gzip", GZIP, PLAIN, ""),
        ("gzip, utf-8", GZIP, PLAIN, ""),
        ("gzip", GZIP[:-4], PLAIN, "the compressed response ended early"),
        ("gzip", GZIP + b"tail", PLAIN, "the response is not encoded as its header says: gzip"),
        ("gzip", b"<html>", b"<html>", ""),
        ("gzip", b"busy", b"busy", ""),
        ("br", b"<html>\xe9", b"<html>\xe9", ""),
        ("br", "Größe".encode(), "Größe".encode(), ""),
        ("br", b"\xff\xfe\xfd\xfc\xfb", b"", "the response is compressed with br, which was not requested"),
        ("zstd", b"\x28\xb5\x2f\xfd\x00", b"", "the response is compressed with zstd, which was not requested"),
        ("gzip", gzip.compress(b"x" * 900, mtime=0), b"x" * 500, "the response is longer than 500 bytes"),
        ("gzip", b"", b"", ""),
        ("br", b"", b"", ""),
    ],
)
def test_what_can_be_read_is_read(coding: str, data: bytes, content: bytes, problem: str) -> None:
    assert decompress_readable(coding, data, 500) == (content, problem)
