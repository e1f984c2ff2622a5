"""A bounded number of slots, of which no interrupted caller can lose one.

A signal handler, gevent or a soft time limit may raise in a caller between any two of its steps. So nothing is counted
and nothing is locked here: who has a slot follows from one dictionary, the first entries of which have one. A caller
has its ticket before it asks; it is entered and taken out in one step each, and both steps may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, islice
from typing import Generic, Protocol, TypeVar
from weakref import ref

_numbers = count()


class Event(Protocol):
    """What a caller waits for."""

    def set(self) -> None:
        """Wake the caller; may be repeated."""


class Ticket:
    """The turn of one caller, who keeps it as long as it waits for a slot or has one.

    Attributes:
        number: Its number, unique in this process.
        is_admitted: Whether it has a slot.
        wakeup: Set when the wait is over; None if there was none.
        ahead: How many were waiting when it came.
    """

    __slots__ = ("__weakref__", "ahead", "is_admitted", "number", "wakeup")

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.is_admitted = False
        self.wakeup: Event | None = None
        self.ahead = 0


T = TypeVar("T", bound=Ticket)


class Slots(Generic[T]):
    """A bounded number of slots; first come, first served.

    Each operation is one step of a dictionary, or follows from what is in it, so that it needs no lock. Where two
    threads meet, each first writes its own entry and then looks at the others, so one of them sees the other.

    Args:
        limit: How many there are.

    Attributes:
        limit: How many there are now.
        at_once: Callers that must not wait, by the numbers of their tickets.
        lost: How many slots were found whose callers had gone without a word: the last resort, not the rule.
    """

    def __init__(self, limit: int) -> None:
        self.limit: int = limit
        self.lost: int = 0
        # In the order in which they came: the first of them have a slot. Weak, so that a ticket that its caller has
        # lost can be found.
        self._tickets: dict[int, ref[T]] = {}
        self.at_once: dict[int, ref[T]] = {}  # they come before those that wait
        self._waiting: dict[int, T] = {}  # those that nobody has woken yet

    def enter(self, ticket: T, make_wakeup: Callable[[], Event] | None) -> None:
        """Ask for a slot. A caller that is not admitted then waits for its wakeup; in the end, each one leaves.

        Args:
            ticket: The ticket of the caller.
            make_wakeup: Makes the event, if the caller has to wait; None gives it a slot beyond the limit.
        """
        if make_wakeup is None:
            self.at_once[ticket.number] = ref(ticket)
            ticket.is_admitted = True
            return
        self._tickets[ticket.number] = ref(ticket)
        excess = len(self._tickets) + len(self.at_once) - self.limit
        if excess <= 0:
            ticket.is_admitted = True
            return
        ticket.ahead = excess - 1
        ticket.wakeup = make_wakeup()
        self._waiting[ticket.number] = ticket
        self._admit()

    def leave(self, ticket: T) -> None:
        """Give the slot back, or stop waiting for it; a caller that has left does not mind leaving again."""
        number = ticket.number
        self._tickets.pop(number, None)
        if self.at_once:
            self.at_once.pop(number, None)
        ticket.is_admitted = False
        if self._waiting:
            self._waiting.pop(number, None)
            self._admit()

    def resize(self, limit: int) -> None:
        """Change how many there are; more of them are given to those that wait."""
        if limit != self.limit:
            self.limit = limit
            self._admit()

    def free_lost(self) -> None:
        """Free slots whose callers have lost their tickets: the last resort."""
        for tickets in (self._tickets, self.at_once):
            for number in _first(tickets, self.limit if tickets is self._tickets else None):
                ticket = tickets.get(number)
                if ticket is not None and ticket() is None:
                    self.lost += 1
                    tickets.pop(number, None)
        self._admit()

    def tickets(self) -> list[T]:
        """Return the tickets of all callers, also of those that wait."""
        found = (ticket() for ticket in [*list(self._tickets.values()), *list(self.at_once.values())])
        return [ticket for ticket in found if ticket is not None]

    @property
    def has_queue(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def waiting(self) -> list[T]:
        """Return the tickets of those that wait."""
        return list(self._waiting.values())

    def taken(self) -> int:
        """Return how many slots are taken."""
        return sum(ticket.is_admitted for ticket in self.tickets())

    def _admit(self) -> None:
        """Wake the callers that have come up."""
        first = _first(self._tickets, max(0, self.limit - len(self.at_once)))
        for number in filter(self._waiting.__contains__, first):
            ticket = self._waiting.get(number)
            if ticket is not None and ticket.wakeup is not None:
                ticket.is_admitted = True
                ticket.wakeup.set()
                self._waiting.pop(number, None)


def _first(tickets: dict[int, ref[T]], size: int | None) -> set[int]:
    """Return the numbers of the first tickets; of all if there is no size."""
    try:
        return set(islice(tickets, size))
    except RuntimeError:  # another thread came or left meanwhile, which only Python without a GIL lets happen
        return set(list(tickets)[:size])
