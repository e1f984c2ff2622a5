"""Helpers for tests of programs that use Sekha: `pip install "sekha-python-sdk[testing]"`.

The extra installs the pytest fixtures ``local_sekha``, ``sekha_client`` and ``async_sekha_client``. Their parts can be
used without pytest, too.
"""

try:
    import sekha.local as _local
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        'sekha.testing requires the extra testing: pip install "sekha-python-sdk[testing]"', name=_missing.name
    ) from _missing

from sekha._async.memory_checks import AsyncRemembers, async_check_no_feedback_loop, async_check_no_leak
from sekha._concurrency.clock import Clock
from sekha._sync.memory_checks import Remembers, check_no_feedback_loop, check_no_leak
from sekha.testing._clock import FakeClock, use_clock
from sekha.testing._exchange import Answer, Exchange
from sekha.testing._faults import (
    Fault,
    answer_with,
    cut_after_work,
    cut_before_work,
    cut_in_answer,
    delay,
    drip,
    garbage,
    hold,
    stale_keep_alive,
)
from sekha.testing._scripted import ScriptedSekha, SeenRequest

__all__ = [
    "Answer",
    "AsyncRemembers",
    "Clock",
    "Exchange",
    "FakeClock",
    "Fault",
    "Remembers",
    "ScriptedSekha",
    "SeenRequest",
    "answer_with",
    "async_check_no_feedback_loop",
    "async_check_no_leak",
    "check_no_feedback_loop",
    "check_no_leak",
    "cut_after_work",
    "cut_before_work",
    "cut_in_answer",
    "delay",
    "drip",
    "garbage",
    "hold",
    "stale_keep_alive",
    "use_clock",
]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


del _local
