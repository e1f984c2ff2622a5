"""Decompression of responses that a server compressed although it was asked not to, in chunks of a bounded size."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from sekha.errors import SekhaDecodeError

MAX_CHUNK: Final = 64 * 1024
"""Bytes that are decompressed at a time: the reader counts them, and stops at its limit."""

_WINDOW_BITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def is_compressed(content_encoding: str) -> bool:
    """Return whether a ``Content-Encoding`` header says that the body is compressed."""
    return content_encoding.strip().lower() not in ("", "identity")


class Decompressor:
    """Decompresses a body, a bounded number of bytes at a time.

    Args:
        content_encoding: The ``Content-Encoding`` header.
        status: HTTP status of the response, for errors.
    """

    def __init__(self, content_encoding: str, status: int) -> None:
        self._coding = content_encoding.strip().lower()
        self._status = status
        self._first_bytes = b""
        self._stream = zlib.decompressobj(_WINDOW_BITS.get(self._coding, zlib.MAX_WBITS))

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the content in chunks of up to 64 KiB; each is decompressed when it is asked for.

        Raises:
            SekhaDecodeError: The coding is unknown, or the data does not follow it.
        """
        if self._coding not in _WINDOW_BITS:
            raise self._decode_error(f"compressed with {self._coding[:40]}, which was not asked for")
        has_more = False
        while data or has_more:
            if self._stream.eof:  # another member of gzip may follow, or zeros that fill up a block
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._stream = zlib.decompressobj(_WINDOW_BITS[self._coding])
            chunk = self._decompress(data)
            if chunk:
                yield chunk
            has_more = len(chunk) == MAX_CHUNK and not self._stream.eof  # all is read, but not all is returned
            data = self._stream.unconsumed_tail or self._stream.unused_data

    def _decompress(self, data: bytes) -> bytes:
        first_bytes, self._first_bytes = self._first_bytes, (self._first_bytes + data)[:2]
        try:
            return self._stream.decompress(data, MAX_CHUNK)
        except zlib.error:
            if self._coding == "deflate" and len(first_bytes) < 2:  # some servers omit its header of two bytes
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
                return self._decompress(first_bytes + data)
            raise self._decode_error(f"not what its header says: {self._coding}") from None

    def _decode_error(self, problem: str) -> SekhaDecodeError:
        return SekhaDecodeError(f"the answer is {problem}", status_code=self._status)
