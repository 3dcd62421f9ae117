"""What guides and searches remember from one step to the next, as plain values that can be saved and put back."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping


class Remembering(ABC):  # noqa: B024  # what it remembers is all that varies
    """Says what it remembers: with it put back into a new one of its kind, the descent goes on to the bit.

    What is remembered is made of tensors, numbers, `None`, tuples, lists and dictionaries, so that a checkpoint of
    torch's takes it.
    """

    remembers: ClassVar[tuple[str, ...]] = ()
    """The attributes that hold it; one that is itself `Remembering` says its own."""

    def state(self) -> dict[str, Any]:
        """What it remembers, by name, apart from what it goes on to learn."""
        found = {name.lstrip("_"): getattr(self, name) for name in self.remembers}
        return {name: value.state() if isinstance(value, Remembering) else value for name, value in found.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` gave. Raises `KeyError` if it lacks something."""
        for name in self.remembers:
            own = getattr(self, name)
            if isinstance(own, Remembering):
                own.restore(state[name.lstrip("_")])
            else:
                setattr(self, name, state[name.lstrip("_")])
