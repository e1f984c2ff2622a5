"""Streamed chat completions."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Optional

from typing_extensions import Self

from sekha._api.chat_stream import ChatStreamDecoder, chunk_text
from sekha._api.error_response import keep_headers
from sekha._api.prompts import with_memories
from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import async_move_on_after
from sekha._concurrency.process_bound import ProcessBound
from sekha._http.error_mapping import is_timeout, name_proxy, network_errors
from sekha._http.models import AsyncHTTPResponse, DeadlinePassed, UntilDeadline, shorter_timeout
from sekha._transport.options import CallOptions, deadline_message
from sekha._utils.public import exported_from_sekha
from sekha._utils.redaction import Secret, redact
from sekha.errors import SekhaClosedError, SekhaDecodeError, SekhaError, SekhaTimeoutError
from sekha.types import ChatCompletion, ChatCompletionChunk, MemoryCompletion, MemoryItem

from .body import close_quietly, iter_decoded

_DRAIN_TIMEOUT = 0.05
"""Seconds to wait for the end of a response after ``[DONE]``; opening a new connection takes about as long."""
_USAGE_TIMEOUT = 2.0
"""Seconds to wait for ``[DONE]`` or the end after the finish reason; the usage may arrive in between."""


@exported_from_sekha
class AsyncStream(ProcessBound):
    """Stream of the chunks of a chat completion, from `AsyncBridgeClient.stream_complete`; can be iterated once.

    Use it as a context manager if you may stop before its end, so that the connection is released immediately.

    Raises:
        SekhaStreamError: While iterating: the stream ended early. As in all these errors, ``text`` is what had arrived.
        SekhaServerError: While iterating: the stream contained an error.
        SekhaDecodeError: While iterating: an event is not a chunk.
        SekhaTimeoutError: While iterating: nothing arrived for longer than the timeout, or the deadline passed.

    Example:
        ```python title="python -m asyncio"
        async with client.bridge.stream_complete(
            [{"role": "user", "content": "Tell me a story"}]
        ) as stream:
            async for text in stream.text_stream():
                print(text, end="", flush=True)
        ```
    """

    def __init__(
        self,
        response: AsyncHTTPResponse,
        decoder: ChatStreamDecoder,
        options: CallOptions,
        clock: Clock,
        secrets: Iterable[Secret],
        read_timeout: Optional[float],
        proxy: Optional[str] = None,
    ) -> None:
        self._response = response
        self._decoder = decoder
        self._options = options
        self._clock = clock
        self._secrets = tuple(secrets)
        self._read_timeout = read_timeout
        self._ends_at: float | None = None  # when to stop waiting, because the content is complete
        self._interrupted = False
        self._interrupted_by: type[BaseException] | None = None  # the error that ended the last read
        self._operation = options.operation
        self._proxy = proxy
        self._body = iter_decoded(response)
        self._decoded: Iterable[ChatCompletionChunk] = iter(())  # chunks that have arrived but were not returned yet
        self._error: SekhaError | None = None
        self._complete = False
        self._closed = False
        self._pid = os.getpid()
        self._released = False

    def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        return self

    async def __anext__(self) -> ChatCompletionChunk:
        if self._error is not None:
            raise self._error.with_traceback(None)
        outer_exception = sys.exc_info()[1]
        try:
            while not self._complete:
                if self._closed:
                    raise SekhaClosedError("the stream was closed before its end")
                if self._pid != os.getpid():
                    raise self._foreign_error()
                for chunk in self._decoded:
                    if self._operation is not None:
                        self._operation.first_chunk()
                    return chunk
                if self._decoder.done:
                    self._complete = True
                else:
                    await self._read_more()
        except SekhaError as error:
            error.text = self._decoder.accumulator.text
            if isinstance(error, SekhaDecodeError):  # also for a body that cannot be decompressed
                vars(error).update(self._decoder.call_details)
            keep_headers(error, self._response.headers)
            name_proxy(error, self._proxy)
            self._error = redact(error, self._secrets, outer_exception)
            self._end_operation(type(error))
            await self.aclose()
            raise self._error from error.__cause__
        try:
            await self._drain()
        finally:
            await self.aclose()
        raise StopAsyncIteration

    async def _drain(self) -> None:
        """Read the rest of the response after the content, so that the connection can be reused."""
        if not self._closed and self._response.limit_read_until(self._clock.now() + _DRAIN_TIMEOUT):
            with suppress(*network_errors(), SekhaError):  # the content is complete, regardless of errors after it
                async for _ in self._body:
                    pass

    async def _read_more(self) -> None:
        """Read and decode the next bytes.

        The body may end in six ways:

        1. It ends: the decoder determines whether it is complete.
        2. The connection breaks, or nothing arrives any more, after the content was complete: that is a normal end.
        3. The connection breaks earlier, or the deadline passes: that is an error.
        4. Nothing arrives for longer than the timeout: that is an error.
        5. Another task or thread closes the stream: that is an error, but not one of the server.
        6. A read was cancelled, and httpx cannot resume it: the same.
        """
        seconds = self._seconds_to_wait()
        try:
            if not self._interrupted and (seconds is None or seconds > 0):
                with async_move_on_after(seconds):
                    data = await self._body.__anext__()
                    self._interrupted_by = None
                    self._decoded = self._decoder.feed(data)
                    return
        except StopAsyncIteration:
            self._decoded = self._decoder.finish()
            return
        except network_errors() as error:
            if self._closed:
                raise SekhaClosedError("the stream was closed before its end") from error
            if not self._decoder.is_complete and not self._is_deadline(error):
                raise self._failure(error) from error
        except SekhaError:
            raise
        except BaseException as error:
            self._interrupted = not self._response.resumable
            self._interrupted_by = type(error)
            raise
        if self._decoder.is_complete:
            self._decoded = self._decoder.finish()
        elif self._interrupted:
            raise self._decoder.truncated_error("a read was cancelled; with httpx, the stream cannot be resumed")
        else:
            raise SekhaTimeoutError(deadline_message(self._options), sent=True, **self._decoder.call_details)

    def _foreign_error(self) -> SekhaError:
        """Return the error for a forked child of the process with the stream: only one of them receives each byte."""
        message = f"the stream belongs to process {self._pid}; a forked process cannot read it"
        return SekhaClosedError(message, sent=True, **self._decoder.call_details)

    def _is_deadline(self, error: BaseException) -> bool:
        """Return whether the deadline has passed, by the clock or because it ended a wait."""
        left = self._time_left()
        waited_for_it = is_timeout(error) and isinstance(self._read_timeout, UntilDeadline)
        return isinstance(error, DeadlinePassed) or waited_for_it or (left is not None and left <= 0)

    def _failure(self, error: BaseException) -> SekhaError:
        """Return the error for a connection that broke, or on which nothing arrived."""
        if is_timeout(error) and self._read_timeout is not None:
            size = len(self._decoder.accumulator.text)
            problem = f"nothing arrived for {self._read_timeout:g} s, the timeout (after {size} characters)"
            return SekhaTimeoutError(f"the stream stalled: {problem}", sent=True, **self._decoder.call_details)
        return self._decoder.truncated_error(f"the connection broke: {str(error) or type(error).__name__}")

    def _seconds_to_wait(self) -> float | None:
        """Return the seconds until the deadline, or until a stream that is complete need not be waited for."""
        left = self._time_left()
        if not self._decoder.is_complete:
            return left
        now = self._clock.now()
        if self._ends_at is None:
            self._ends_at = now + _USAGE_TIMEOUT
            self._response.limit_read_until(self._ends_at)
        return shorter_timeout(self._ends_at - now, left)

    def _time_left(self) -> float | None:
        return self._options.time_left(self._clock.now())

    def text_stream(self) -> AsyncTextStream:
        """The text of the stream, piece by piece; iterating over it reads the stream.

        Example:
            ```python title="python -m asyncio"
            stream = await client.bridge.stream_complete(
                [{"role": "user", "content": "Tell me a story"}]
            )
            async for text in stream.text_stream():
                print(text, end="")
            ```
        """
        return AsyncTextStream(self)

    async def get_final_completion(self) -> ChatCompletion:
        """Read the rest of the stream and return the completion, as from `AsyncBridgeClient.complete`.

        Raises:
            SekhaError: The same errors as while iterating.

        Example:
            ```python title="python -m asyncio"
            stream = await client.bridge.stream_complete(
                [{"role": "user", "content": "Tell me a story"}]
            )
            completion = await stream.get_final_completion()
            print(completion["choices"][0]["message"]["content"])
            ```
        """
        async for _ in self:
            del _  # a traceback shows no text
        return self._decoder.accumulator.completion()

    async def get_final_text(self) -> str:
        """Read the rest of the stream and return the whole text.

        Raises:
            SekhaError: The same errors as while iterating.

        Example:
            ```python title="python -m asyncio"
            stream = await client.bridge.stream_complete(
                [{"role": "user", "content": "Tell me a story"}]
            )
            print(await stream.get_final_text())
            ```
        """
        async for _ in self:
            del _  # a traceback shows no text
        return self._decoder.accumulator.text

    async def aclose(self) -> None:
        """Stop reading and release the connection; further calls do nothing."""
        self._closed = True
        self._end_operation(self._interrupted_by)
        if not self._released:
            await close_quietly(self._response)
            self._released = True  # not before: closing may be interrupted, and called again

    def _end_operation(self, error: type[BaseException] | None) -> None:
        """End the span with what has arrived; leaving the stream before its end is not an error."""
        operation, self._operation = self._operation, None
        if operation is not None:
            operation.end(self._decoder.accumulator.completion, None if self._decoder.is_complete else error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: Optional[type[BaseException]] = None,
        exc: Optional[BaseException] = None,
        traceback: Optional[TracebackType] = None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if not getattr(self, "_released", True) and self._pid == os.getpid():
            self._end_operation(self._interrupted_by)
            if not self._closed:
                warnings.warn(f"{self!r} was neither read to its end nor closed", ResourceWarning, stacklevel=2)
            self._response.abandon()


@exported_from_sekha
class AsyncMemoryStream(AsyncStream):
    """Stream of an answer with memories, from `AsyncSekhaClient.stream_with_context` or `stream_with_memory`.

    Example:
        ```python title="python -m asyncio"
        async with client.stream_with_context("How do we deploy?") as stream:
            for memory in stream.memories:
                print(memory["label"], memory["timestamp"])
            async for text in stream.text_stream():
                print(text, end="", flush=True)
        ```
    """

    def __init__(self, stream: AsyncStream, memories: list[MemoryItem], memory_error: Optional[str] = None) -> None:
        vars(self).update(vars(stream))  # with its connection, which this stream now owns
        stream._closed = stream._released = True
        stream._operation = None
        self._memories = memories
        self._memory_error = memory_error

    @property
    def memories(self) -> list[MemoryItem]:
        """The memories in the prompt, in order; available before the first chunk."""
        return self._memories

    @property
    def memory_error(self) -> Optional[str]:
        """Why there are no memories, if the search failed and ``on_memory_error`` is ``"ignore"``; else None."""
        return self._memory_error

    async def get_final_completion(self) -> MemoryCompletion:
        """Read the rest of the stream and return the completion, as from `AsyncSekhaClient.complete_with_context`.

        Raises:
            SekhaError: The same errors as while iterating.

        Example:
            ```python title="python -m asyncio"
            stream = await client.stream_with_context("How do we deploy?")
            completion = await stream.get_final_completion()
            print(len(completion["memories"]) == len(stream.memories))  # True
            ```
        """
        return with_memories(await super().get_final_completion(), self.memories, self.memory_error)


class AsyncTextStream(ProcessBound):
    """Iterator over the text of a stream, piece by piece.

    Args:
        stream: The stream to read.
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
        """Stop reading and release the connection."""
        await self._stream.aclose()
