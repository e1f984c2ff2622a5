# Generated from src/sekha/_async/stream.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""A streamed chat completion, read as it comes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Iterable
from contextlib import suppress
from types import TracebackType

from typing_extensions import Self

from sekha._api.chat_stream import ChunkReader, chunk_text
from sekha._api.model import CallOptions
from sekha._concurrency.clock import Clock
from sekha._concurrency.misuse import IterationGuard
from sekha._concurrency.primitives import move_on_after
from sekha._http.decompression import Inflater, is_compressed
from sekha._http.models import HTTPAnswer, network_errors
from sekha._utils.redaction import Secret, redact
from sekha.errors import SekhaClosedError, SekhaError, SekhaTimeoutError
from sekha.types import ChatCompletion, ChatCompletionChunk

_PATIENCE = 0.05
"""Seconds to wait for the end of an answer behind ``[DONE]``; a new connection would cost about as much."""


def end(answer: HTTPAnswer) -> None:
    """Close an answer, read or not; that the connection breaks meanwhile is no matter any more."""
    try:
        answer.close()
    except network_errors():  # these are looked up where there is an error, and not in each call
        pass


def pieces_of(answer: HTTPAnswer) -> Iterator[bytes]:
    """The content of an answer, in pieces; of a compressed one each piece is small."""
    encoding = answer.headers.get("content-encoding", "")
    pieces = answer.pieces()
    return Inflated(pieces, Inflater(encoding, answer.status)) if is_compressed(encoding) else pieces


class Inflated(Iterator[bytes]):
    """Compressed pieces, opened. It is no generator: an event loop complains of one that is left in its middle.

    Args:
        pieces: The compressed pieces.
        inflater: What opens them.
    """

    def __init__(self, pieces: Iterator[bytes], inflater: Inflater) -> None:
        self._pieces = pieces
        self._inflater = inflater
        self._open: Iterable[bytes] = iter(())

    def __next__(self) -> bytes:
        while True:
            for piece in self._open:
                return piece
            self._open = self._inflater.feed(self._pieces.__next__())


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
        answer: HTTPAnswer,
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

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        return self

    def __next__(self) -> ChatCompletionChunk:
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
                    self._read_on()
        except SekhaError as error:
            self._error = redact(error, self._secrets, handled)
            self.close()
            raise self._error from error.__cause__
        try:
            self._read_out()
        finally:
            self.close()
        raise StopIteration

    def _read_out(self) -> None:
        """Nothing more will be said: what is left of the answer is its end, and the connection can be used again."""
        if not self._closed and self._answer.hurry(self._clock.now() + _PATIENCE):
            with suppress(*network_errors(), SekhaError):  # whatever is wrong with it, the answer is there
                for _ in self._pieces:
                    pass

    def _read_on(self) -> None:
        """Take in the next piece of the answer, or its end."""
        left = self._time_left()
        try:
            if left is None or left > 0:
                with move_on_after(left):
                    piece = self._pieces.__next__()
                    self._chunks = self._reader.feed(piece)
                    return
        except StopIteration:
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
        return self._reader.collected.completion()

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
        return self._reader.collected.text

    def close(self) -> None:
        """Stop reading and free the connection; calling it again does nothing."""
        if not self._closed:
            self._closed = True
            end(self._answer)

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
            self._answer.forget()


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
