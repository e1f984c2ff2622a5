"""Response bodies: decompressed as they arrive, or read as a whole."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Iterable

from sekha._api.model import Response
from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import async_move_on_after
from sekha._http.decompression import Decompressor, decompress_readable, is_compressed
from sekha._http.error_mapping import is_timeout, network_errors
from sekha._http.models import AsyncHTTPResponse
from sekha._transport.options import CallOptions, deadline_error
from sekha.errors import SekhaDecodeError

_MAX_ERROR_BODY = 256 * 1024
"""Maximum number of bytes read from the body of an error, which only explains the status."""
_ERROR_BODY_TIMEOUT = 5.0
"""Maximum seconds for reading such a body; it usually arrives together with the headers."""


async def close_quietly(response: AsyncHTTPResponse) -> None:
    """Close a response, read or not; an error of its connection no longer matters."""
    try:
        await response.aclose()
    except network_errors():  # evaluated only for an error, not in each call
        pass


def iter_decoded(response: AsyncHTTPResponse) -> AsyncIterator[bytes]:
    """Iterate over the content of a response; if it was compressed, in chunks of a bounded size."""
    encoding = response.headers.get("content-encoding", "")
    chunks = response.iter_raw()
    return AsyncDecompressed(chunks, Decompressor(encoding, response.status)) if is_compressed(encoding) else chunks


class AsyncDecompressed(AsyncIterator[bytes]):
    """Iterator over decompressed chunks; not a generator, since event loops warn about unfinished generators.

    Args:
        chunks: The compressed chunks.
        decompressor: The decompressor.
    """

    def __init__(self, chunks: AsyncIterator[bytes], decompressor: Decompressor) -> None:
        self._chunks = chunks
        self.decompressor = decompressor
        self._decompressed: Iterable[bytes] = iter(())

    async def __anext__(self) -> bytes:
        while True:
            for chunk in self._decompressed:
                return chunk
            self._decompressed = self.decompressor.feed(await self._chunks.__anext__())


async def read_whole(http_response: AsyncHTTPResponse, limit: int, options: CallOptions, clock: Clock) -> Response:
    """Read a response, bounded in size and time; the connection is released afterwards.

    Raises:
        SekhaDecodeError: The response is too long, or cannot be decompressed.
        SekhaTimeoutError: The deadline passed.
    """
    chunks: list[bytes] = []
    size = 0
    body = iter_decoded(http_response)
    try:
        async for chunk in body:
            size += len(chunk)
            if size > limit:
                raise SekhaDecodeError(
                    f"the response is longer than max_response_bytes={limit}",
                    status_code=http_response.status,
                    is_too_long=True,
                )
            chunks.append(chunk)
            left = options.time_left(clock.now())
            if left is not None and left <= 0:
                raise deadline_error(options, sent=True)
    finally:
        await close_quietly(http_response)
    is_cut = isinstance(body, AsyncDecompressed) and not body.decompressor.is_whole
    problem = "the compressed response ended early" if is_cut else ""
    return Response(http_response.status, http_response.headers, b"".join(chunks).removeprefix(BOM_UTF8), problem)


async def read_error_body(http_response: AsyncHTTPResponse, limit: int, options: CallOptions, clock: Clock) -> Response:
    """Read as much as possible of a response with an error status, whatever is wrong with its body.

    A failure to read the body does not hide the status: ``problem`` of the response is the reason why the body is
    incomplete. The connection is released afterwards.
    """
    chunks: list[bytes] = []
    size, limit, problem = 0, min(limit, _MAX_ERROR_BODY), "the rest of the response did not arrive in time"
    left = options.time_left(clock.now())
    seconds = _ERROR_BODY_TIMEOUT if left is None else max(0.0, min(_ERROR_BODY_TIMEOUT, left / 2))
    ends_at = clock.now() + seconds
    http_response.limit_read_until(ends_at)
    try:
        with async_move_on_after(seconds):
            async for chunk in http_response.iter_raw():
                chunks.append(chunk)
                size += len(chunk)
                if size > limit:
                    problem = f"the response is longer than {limit} bytes"
                    break
                if left is not None and clock.now() >= ends_at:
                    break
            else:
                problem = ""
    except network_errors() as error:
        if not is_timeout(error):
            problem = "the connection broke before the end of the response"
    finally:
        await close_quietly(http_response)
    encoding = http_response.headers.get("content-encoding", "")
    content, other_problem = decompress_readable(encoding, b"".join(chunks)[:limit], limit)
    return Response(
        http_response.status, http_response.headers, content.removeprefix(BOM_UTF8), problem or other_problem
    )
