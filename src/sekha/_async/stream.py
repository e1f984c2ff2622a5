"""A streamed chat completion, read as it comes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from types import TracebackType

from typing_extensions import Self

from sekha._api.chat_stream import ChunkReader, chunk_text
from sekha._api.model import CallOptions
from sekha._concurrency.clock import Clock
from sekha._concurrency.misuse import AsyncIterationGuard
from sekha._concurrency.primitives import async_move_on_after
from sekha._http.decompression import Inflater, is_compressed
from sekha._http.models import AsyncHTTPAnswer, network_errors
from sekha._utils.redaction import Secret, redact
from sekha.errors import SekhaClosedError, SekhaError, SekhaTimeoutError
from sekha.types import ChatCompletion, ChatCompletionChunk

_PATIENCE = 0.05
"""Seconds to wait for the end of an answer behind ``[DONE]``; a new connection would cost about as much."""


async def end(answer: AsyncHTTPAnswer) -> None:
    """Close an answer, read or not; that the connection breaks meanwhile is no matter any more."""
    try:
        await answer.aclose()
    except network_errors():  # these are looked up where there is an error, and not in each call
        pass


def pieces_of(answer: AsyncHTTPAnswer) -> AsyncIterator[bytes]:
    """The content of an answer, in pieces; of a compressed one each piece is small."""
    encoding = answer.headers.get("content-encoding", "")
    pieces = answer.pieces()
    return AsyncInflated(pieces, Inflater(encoding, answer.status)) if is_compressed(encoding) else pieces


class AsyncInflated(AsyncIterator[bytes]):
    """Compressed pieces, opened. It is no generator: an event loop complains of one that is left in its middle.

    Args:
        pieces: The compressed pieces.
        inflater: What opens them.
    """

    def __init__(self, pieces: AsyncIterator[bytes], inflater: Inflater) -> None:
        self._pieces = pieces
        self._inflater = inflater
        self._open: Iterable[bytes] = iter(())

    async def __anext__(self) -> bytes:
        while True:
            for piece in self._open:
                return piece
            self._open = self._inflater.feed(await self._pieces.__anext__())


class AsyncStream(AsyncIterationGuard):
    """The chunks of a chat completion; can be iterated once. `AsyncBridgeClient.stream_complete` makes it.

    Use it as a context manager where you may stop before its end, so that the connection is free at once.

    Raises:
        SekhaStreamError: While iterating: the stream was cut; what had arrived is in its ``text``.
        SekhaServerError: While iterating: the stream carried an error.
        SekhaDecodeError: While iterating: an event is no chunk.
        SekhaTimeoutError: While iterating: the deadline passed.

    Example:
        ```python
        async with await client.bridge.stream_complete([{"role": "user", "content": "Tell me a story"}]) as stream:
            async for chunk in stream:
                print(chunk["choices"][0]["delta"].get("content") or "", end="")
        ```
    """

    def __init__(
        self,
        answer: AsyncHTTPAnswer,
        reader: ChunkReader,
        options: CallOptions,
        clock: Clock,
        secrets: Iterable[Secret],
    ) -> None:
        self._answer = answer
        self._reader = reader
        self._options = options
        self._clock = clock
        self._secrets = tuple(secrets)
        self._pieces = pieces_of(answer)
        self._chunks: Iterable[ChatCompletionChunk] = iter(())  # of the last piece, not asked for yet
        self._error: SekhaError | None = None
        self._complete = False
        self._closed = False

    def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        return self

    async def __anext__(self) -> ChatCompletionChunk:
        if self._error is not None:
            raise self._error.with_traceback(None)
        handled = sys.exc_info()[1]
        try:
            while not self._complete:
                if self._closed:
                    raise SekhaClosedError("the stream was closed before its end")
                for chunk in self._chunks:
                    return chunk
                if self._reader.done:
                    self._complete = True
                else:
                    await self._read_on()
        except SekhaError as error:
            self._error = redact(error, self._secrets, handled)
            await self.aclose()
            raise self._error from error.__cause__
        try:
            await self._read_out()
        finally:
            await self.aclose()
        raise StopAsyncIteration

    async def _read_out(self) -> None:
        """Nothing more will be said: what is left of the answer is its end, and the connection can be used again."""
        if not self._closed and self._answer.hurry(self._clock.now() + _PATIENCE):
            with suppress(*network_errors(), SekhaError):  # whatever is wrong with it, the answer is there
                async for _ in self._pieces:
                    pass

    async def _read_on(self) -> None:
        """Take in the next piece of the answer, or its end."""
        left = self._time_left()
        try:
            if left is None or left > 0:
                with async_move_on_after(left):
                    piece = await self._pieces.__anext__()
                    self._chunks = self._reader.feed(piece)
                    return
        except StopAsyncIteration:
            self._chunks = self._reader.finish()
            return
        except network_errors() as error:
            if self._closed:  # by another task or thread
                raise SekhaClosedError("the stream was closed before its end") from error
            left = self._time_left()
            if left is None or left > 0:
                if not self._reader.has_said_its_end:
                    raise self._reader.cut(f"the connection broke: {str(error) or type(error).__name__}") from error
                self._chunks = self._reader.finish()
                return
        raise SekhaTimeoutError(
            f"the deadline of {self._options.deadline:g} s passed", sent=True, **self._reader.call_details
        )

    def _time_left(self) -> float | None:
        return self._options.time_left(self._clock.now())

    def text_stream(self) -> AsyncTextStream:
        """Just the text, piece by piece; the stream is read through it.

        Example:
            ```python
            stream = await client.bridge.stream_complete([{"role": "user", "content": "Tell me a story"}])
            async for text in stream.text_stream():
                print(text, end="")
            ```
        """
        return AsyncTextStream(self)

    async def get_final_completion(self) -> ChatCompletion:
        """Read the rest, and give the whole answer in the shape of `AsyncBridgeClient.complete`.

        Raises:
            SekhaError: What iterating would raise.

        Example:
            ```python
            stream = await client.bridge.stream_complete([{"role": "user", "content": "Tell me a story"}])
            completion = await stream.get_final_completion()
            print(completion["choices"][0]["message"]["content"])
            ```
        """
        async for _ in self:
            del _  # a traceback shows no text
        return self._reader.collected.completion()

    async def get_final_text(self) -> str:
        """Read the rest, and give the whole text.

        Raises:
            SekhaError: What iterating would raise.

        Example:
            ```python
            stream = await client.bridge.stream_complete([{"role": "user", "content": "Tell me a story"}])
            print(await stream.get_final_text())
            ```
        """
        async for _ in self:
            del _  # a traceback shows no text
        return self._reader.collected.text

    async def aclose(self) -> None:
        """Stop reading and free the connection; calling it again does nothing."""
        if not self._closed:
            self._closed = True
            await end(self._answer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn(f"{self!r} was neither read to its end nor closed", ResourceWarning, stacklevel=2)
            self._answer.forget()


class AsyncTextStream(AsyncIterationGuard):
    """The text of a stream, piece by piece.

    Args:
        stream: What is read.
    """

    def __init__(self, stream: AsyncStream) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        while True:
            text = chunk_text(await self._stream.__anext__())
            if text:
                return text

    async def aclose(self) -> None:
        """Stop reading and free the connection."""
        await self._stream.aclose()
