"""What belongs to one process, such as a client: it can be neither pickled nor copied."""

from __future__ import annotations

from typing import NoReturn, TypeVar

T = TypeVar("T", bound="ProcessBound")


class ProcessBound:
    """Base of what holds connections: pickling or copying it raises a `TypeError`, whatever has been done with it.

    A copy would share the connections, and what is sent to another process cannot have them at all.
    """

    def __reduce__(self) -> NoReturn:
        """Raise the error. `pickle`, cloudpickle and `copy` all call this; a subclass may know a better answer."""
        raise TypeError(
            f"{type(self).__name__} cannot be pickled or copied, since its connections belong to this process; pass a "
            "SekhaConfig and create a client in each process"
        )


def make_view(original: T) -> T:
    """Return an object with the attributes of another, for a view that is changed afterwards."""
    view = object.__new__(type(original))
    vars(view).update(vars(original))
    return view
