"""Answers that a server compressed although it was asked not to, opened piece by piece so that none can explode."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from sekha.errors import SekhaDecodeError

PIECE: Final = 64 * 1024
"""Bytes that are opened at a time; whoever reads them counts and stops."""

_WINDOWS: Final = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def is_compressed(content_encoding: str) -> bool:
    """Whether the bytes of an answer are not its content."""
    return content_encoding.strip().lower() not in ("", "identity")


class Inflater:
    """Compressed bytes become plain ones, a bounded number at a time.

    Args:
        content_encoding: How they are compressed, as the header says.
        status: Status of the answer, for the error.
    """

    def __init__(self, content_encoding: str, status: int) -> None:
        self._coding = content_encoding.strip().lower()
        self._status = status
        self._begun = b""  # the first bytes
        self._stream = zlib.decompressobj(_WINDOWS.get(self._coding, zlib.MAX_WBITS))

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The plain bytes, in pieces of up to 64 KiB; each is opened when it is asked for.

        Raises:
            SekhaDecodeError: They are compressed in another way.
        """
        if self._coding not in _WINDOWS:
            raise self._misfit(f"compressed with {self._coding[:40]}, which was not asked for")
        there_is_more = False
        while data or there_is_more:
            if self._stream.eof:  # a file of gzip may follow another, or zeros that fill up a block
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._stream = zlib.decompressobj(_WINDOWS[self._coding])
            piece = self._open(data)
            if piece:
                yield piece
            there_is_more = len(piece) == PIECE and not self._stream.eof  # all is read, but not all given out
            data = self._stream.unconsumed_tail or self._stream.unused_data

    def _open(self, data: bytes) -> bytes:
        begun, self._begun = self._begun, (self._begun + data)[:2]
        try:
            return self._stream.decompress(data, PIECE)
        except zlib.error:
            if self._coding == "deflate" and len(begun) < 2:  # some send it without its header, which has two bytes
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
                return self._open(begun + data)
            raise self._misfit(f"not what its header says: {self._coding}") from None

    def _misfit(self, problem: str) -> SekhaDecodeError:
        return SekhaDecodeError(f"the answer is {problem}", status_code=self._status)
