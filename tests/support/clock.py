"""A clock that tests move by hand: the one that users get."""

from sekha.testing import FakeClock
from sekha.testing import use_clock as give_clock

__all__ = ["FakeClock", "give_clock"]
