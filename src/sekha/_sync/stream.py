# Generated from src/sekha/_async/stream.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""A streamed chat completion, read as it arrives."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Iterable
from contextlib import suppress
from types import TracebackType

from typing_extensions import Self

from sekha._api.chat_stream import ChatStreamDecoder, chunk_text
from sekha._concurrency.clock import Clock
from sekha._concurrency.misuse import IterationGuard
from sekha._concurrency.primitives import move_on_after
from sekha._http.decompression import Decompressor, is_compressed
from sekha._http.error_mapping import network_errors
from sekha._http.models import HTTPResponse
from sekha._transport.options import TIMER_TOLERANCE, CallOptions, deadline_message
from sekha._utils.public import exported_from_sekha
from sekha._utils.redaction import Secret, redact
from sekha.errors import SekhaClosedError, SekhaError, SekhaTimeoutError
from sekha.types import ChatCompletion, ChatCompletionChunk

_DRAIN_TIMEOUT = 0.05
"""Seconds to wait for the end of a response after ``[DONE]``; a new connection would take about as long."""


def close_quietly(response: HTTPResponse) -> None:
    """Close a response, read or not; an error of its connection no longer matters."""
    try:
        response.close()
    except network_errors():  # evaluated only where there is an error, and not in each call
        pass


def iter_decoded(response: HTTPResponse) -> Iterator[bytes]:
    """Iterate over the content of a response; if it was compressed, in chunks of a bounded size."""
    encoding = response.headers.get("content-encoding", "")
    chunks = response.iter_raw()
    return Decompressed(chunks, Decompressor(encoding, response.status)) if is_compressed(encoding) else chunks


class Decompressed(Iterator[bytes]):
    """Decompressed chunks. It is not a generator: event loops warn of one that is left in its middle.

    Args:
        chunks: The compressed chunks.
        decompressor: What decompresses them.
    """

    def __init__(self, chunks: Iterator[bytes], decompressor: Decompressor) -> None:
        self._chunks = chunks
        self._decompressor = decompressor
        self._decompressed: Iterable[bytes] = iter(())

    def __next__(self) -> bytes:
        while True:
            for chunk in self._decompressed:
                return chunk
            self._decompressed = self._decompressor.feed(self._chunks.__next__())


@exported_from_sekha
class Stream(IterationGuard):
    """The chunks of a chat completion; can be iterated once. `BridgeClient.stream_complete` makes it.

    Use it as a context manager where you may stop before its end, so that the connection is free at once.

    Raises:
        SekhaStreamError: While iterating: the stream was cut; what had arrived is in its ``text``.
        SekhaServerError: While iterating: the stream carried an error.
        SekhaDecodeError: While iterating: an event is no chunk.
        SekhaTimeoutError: While iterating: the deadline passed.

    Example:
        ```python
        with client.bridge.stream_complete([{"role": "user", "content": "Tell me a story"}]) as stream:
            for chunk in stream:
                print(chunk["choices"][0]["delta"].get("content") or "", end="")
        ```
    """

    def __init__(
        self,
        response: HTTPResponse,
        decoder: ChatStreamDecoder,
        options: CallOptions,
        clock: Clock,
        secrets: Iterable[Secret],
    ) -> None:
        self._response = response
        self._decoder = decoder
        self._options = options
        self._clock = clock
        self._secrets = tuple(secrets)
        self._body = iter_decoded(response)
        self._decoded: Iterable[ChatCompletionChunk] = iter(())  # chunks that have arrived and were not returned yet
        self._error: SekhaError | None = None
        self._complete = False
        self._closed = False

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        return self

    def __next__(self) -> ChatCompletionChunk:
        if self._error is not None:
            raise self._error.with_traceback(None)
        outer_exception = sys.exc_info()[1]
        try:
            while not self._complete:
                if self._closed:
                    raise SekhaClosedError("the stream was closed before its end")
                for chunk in self._decoded:
                    return chunk
                if self._decoder.done:
                    self._complete = True
                else:
                    self._read_more()
        except SekhaError as error:
            self._error = redact(error, self._secrets, outer_exception)
            self.close()
            raise self._error from error.__cause__
        try:
            self._drain()
        finally:
            self.close()
        raise StopIteration

    def _drain(self) -> None:
        """Read what follows the content, which is the end of the response, so that the connection can be reused."""
        if not self._closed and self._response.limit_read_until(self._clock.now() + _DRAIN_TIMEOUT):
            with suppress(*network_errors(), SekhaError):  # the content is complete, whatever follows
                for _ in self._body:
                    pass

    def _read_more(self) -> None:
        """Read and decode the next bytes.

        The body may end in four ways:

        1. It ends: the decoder knows whether it is complete.
        2. The connection breaks after the content was complete: that is a normal end.
        3. The connection breaks earlier, or the deadline passes: that is an error.
        4. Another task or thread closes the stream: that is an error too, and not one of the server.
        """
        left = self._time_left()
        try:
            if left is None or left > 0:
                with move_on_after(left):
                    data = self._body.__next__()
                    self._decoded = self._decoder.feed(data)
                    return
        except StopIteration:
            self._decoded = self._decoder.finish()
            return
        except network_errors() as error:
            if self._closed:
                raise SekhaClosedError("the stream was closed before its end") from error
            left = self._time_left()
            if left is None or left > TIMER_TOLERANCE:
                if not self._decoder.is_complete:
                    problem = f"the connection broke: {str(error) or type(error).__name__}"
                    raise self._decoder.truncated_error(problem) from error
                self._decoded = self._decoder.finish()
                return
        raise SekhaTimeoutError(deadline_message(self._options), sent=True, **self._decoder.call_details)

    def _time_left(self) -> float | None:
        return self._options.time_left(self._clock.now())

    def text_stream(self) -> TextStream:
        """Just the text, piece by piece; the stream is read through it.

        Example:
            ```python
            stream = client.bridge.stream_complete([{"role": "user", "content": "Tell me a story"}])
            for text in stream.text_stream():
                print(text, end="")
            ```
        """
        return TextStream(self)

    def get_final_completion(self) -> ChatCompletion:
        """Read the rest, and give the whole answer in the shape of `BridgeClient.complete`.

        Raises:
            SekhaError: What iterating would raise.

        Example:
            ```python
            stream = client.bridge.stream_complete([{"role": "user", "content": "Tell me a story"}])
            completion = stream.get_final_completion()
            print(completion["choices"][0]["message"]["content"])
            ```
        """
        for _ in self:
            del _  # a traceback shows no text
        return self._decoder.accumulator.completion()

    def get_final_text(self) -> str:
        """Read the rest, and give the whole text.

        Raises:
            SekhaError: What iterating would raise.

        Example:
            ```python
            stream = client.bridge.stream_complete([{"role": "user", "content": "Tell me a story"}])
            print(stream.get_final_text())
            ```
        """
        for _ in self:
            del _  # a traceback shows no text
        return self._decoder.accumulator.text

    def close(self) -> None:
        """Stop reading and free the connection; calling it again does nothing."""
        if not self._closed:
            self._closed = True
            close_quietly(self._response)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn(f"{self!r} was neither read to its end nor closed", ResourceWarning, stacklevel=2)
            self._response.abandon()


class TextStream(IterationGuard):
    """The text of a stream, piece by piece.

    Args:
        stream: What is read.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while True:
            text = chunk_text(self._stream.__next__())
            if text:
                return text

    def close(self) -> None:
        """Stop reading and free the connection."""
        self._stream.close()
