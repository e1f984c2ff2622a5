"""Decompression of responses that a server compressed although it was asked not to, in chunks of a bounded size."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

from sekha.errors import SekhaDecodeError

MAX_CHUNK: Final = 64 * 1024
"""Bytes that are decompressed at a time: the reader counts them, and stops at its limit."""

_WINDOW_BITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_UNSUPPORTED: Final = frozenset({"br", "compress", "dcb", "dcz", "x-compress", "zstd"})
_NEVER_IN_TEXT: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def _codings(content_encoding: str) -> list[str]:
    names = (name.strip().lower() for name in content_encoding.split(","))
    return [name for name in names if name not in ("", "identity")]


def is_compressed(content_encoding: str) -> bool:
    """Return whether a ``Content-Encoding`` header says more than that the body is as it is."""
    return bool(content_encoding) and bool(_codings(content_encoding))


class Decompressor:
    """Decompresses a body, a bounded number of bytes at a time.

    Names that are no compression, such as ``none`` or ``utf-8``, change nothing as long as the body is text.

    Args:
        content_encoding: The ``Content-Encoding`` header.
        status: HTTP status of the response, for errors.
    """

    def __init__(self, content_encoding: str, status: int) -> None:
        codings = _codings(content_encoding)
        compressions = [name for name in codings if name in _WINDOW_BITS or name in _UNSUPPORTED]
        self._is_plain = not compressions
        self._coding = ", ".join(compressions or codings)
        self._status = status
        self._first_bytes = b""
        self._stream = zlib.decompressobj(_WINDOW_BITS.get(self._coding, zlib.MAX_WBITS))

    @property
    def is_whole(self) -> bool:
        """Whether the compressed data so far has come to its end."""
        return self._is_plain or self._stream.eof or not self._first_bytes

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the content in chunks of up to 64 KiB; each is decompressed when it is asked for.

        Raises:
            SekhaDecodeError: The coding is unknown, or the data does not follow it.
        """
        if self._is_plain and not _NEVER_IN_TEXT.search(data):
            yield data
            return
        if self._coding not in _WINDOW_BITS:
            raise self._decode_error(f"compressed with {self._coding[:40]}, which was not requested")
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
            raise self._decode_error(f"not encoded as its header says: {self._coding}") from None

    def _decode_error(self, problem: str) -> SekhaDecodeError:
        return SekhaDecodeError(f"the response is {problem}", status_code=self._status)


def decompress_readable(content_encoding: str, data: bytes, limit: int) -> tuple[bytes, str]:
    """Return what can be read of a body, at most ``limit`` bytes, and what is wrong with the rest.

    Args:
        content_encoding: The ``Content-Encoding`` header; proxies replace a compressed body and keep it.
        data: The body as it arrived, perhaps without its end.
        limit: Bytes of the result.
    """
    if not is_compressed(content_encoding):
        return data, ""
    decompressor, content = Decompressor(content_encoding, 0), bytearray()
    try:
        for chunk in decompressor.feed(data):
            content += chunk
            if len(content) > limit:
                return bytes(content[:limit]), f"the response is longer than {limit} bytes"
    except SekhaDecodeError as error:
        return (data, "") if not content and _is_text(data) else (bytes(content), error.message)
    return bytes(content), "" if decompressor.is_whole else "the compressed response ended early"


def _is_text(data: bytes) -> bool:
    if _NEVER_IN_TEXT.search(data):
        return False
    return data.lstrip()[:1] in (b"<", b"{", b"[") or "\ufffd" not in data[:-3].decode("utf-8", "replace")
