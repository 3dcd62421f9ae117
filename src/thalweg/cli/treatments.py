"""How a chain treats parameters of different roles, names and shapes: which formula each kind of them has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thalweg.chain import Chain, Kind

OTHERS = "all others"


@dataclass(frozen=True)
class Treatment:
    """One kind of parameters."""

    kind: Kind
    chosen: str = ""
    """The roles and patterns of names that the chain tells them by; nothing if it tells none apart."""
    shape: str = ""
    """`matrices` or `vectors`, where that makes a difference."""

    @property
    def heading(self) -> str:
        """What stands over their formula; nothing if there is but one."""
        elements = f"elements of {self.shape}" if self.shape else ""
        if not self.chosen:
            return elements.capitalize()
        return f"For {self.chosen}{', ' if elements else ''}{elements}"

    def only_of(self, word: str) -> str:
        """A word that is said of them alone: `State of vectors`, `State, matrix`."""
        return f"{word}{f', {self.chosen}' if self.chosen else ''}{f' of {self.shape}' if self.shape else ''}"


def treatments(chain: Chain) -> list[Treatment]:
    """Every kind of parameters that the chain has a stage for, as far as single roles and patterns tell them apart."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for name in (*chain.selects, OTHERS):
        active = chain.kind_of({name}, is_matrix=True).active
        if any(place < len(chain.stages) for place in active) or not chain.stages:
            groups.setdefault(active, []).append(name)
    shapes = ("matrices", "vectors") if chain.depends_on_shape else ("",)
    return [
        Treatment(
            chain.kind_of(names[:1], is_matrix=shape == "matrices"), ", ".join(names) if chain.selects else "", shape
        )
        for names in groups.values()
        for shape in shapes
    ]
