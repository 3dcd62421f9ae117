"""What a kernel does block by block, 256 elements at a time: draw random numbers, and keep states in 8 bits.

The new values of such a state wait in a scratch on the stack until their largest size is known, and with it their
codes. Where rows are stepped, random numbers are drawn element by element instead, the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.kernels import noise
from thalweg.kernels.columns import BLOCK, CODES, KEY, table_columns
from thalweg.kernels.eight_bits import absmax_of
from thalweg.kernels.numba.language import NUMBA
from thalweg.kernels.walk import print_graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.kernels.plan import Pass, Plan

HEADER = f"for j in range(first, min(first + {BLOCK}, stop)):"
"""The loop over the elements of a block."""


class Blocks:
    """The lines of a pass's kernel that concern blocks. `aliases` are free numbers for arrays, from above."""

    def __init__(
        self, plan: Plan, one: Pass, dtypes: Mapping[str, str], variables: Mapping[str, str], *, free: int
    ) -> None:
        stored = {slot for slot, _ in one.stores}
        self._columns = table_columns(plan, dtypes)
        self._variables = variables
        self._noise = {drawn.name: drawn for drawn in plan.noise if drawn.name in one.inputs}
        self._codes = {
            slot: dtypes[slot]
            for slot in plan.slots
            if dtypes[slot] in CODES and (slot in plan.loads_of(one) or slot in stored)
        }
        self._stored = [slot for slot in self._codes if slot in stored]
        self._by_row = plan.is_by_row
        names = [*self._noise, *(f"{what}_{slot}" for slot in self._codes for what in ("absmax", "new"))]
        self._aliases = {name: free - place for place, name in enumerate(names)}
        words = [word.name for drawn in self._noise.values() for word in drawn.words if word.operation == "input"]
        self.constants = frozenset(words)
        """Those that it draws by."""

    @property
    def are_there(self) -> bool:
        """Whether the loop over a piece's elements is one over blocks."""
        return bool(self._codes or self._noise) and not self._by_row

    def before_piece(self) -> list[str]:
        """Addresses."""
        lines = [f"key = {self._column(KEY)}"] if self._noise else []
        lines += [f"at_{name} = scratch()" for name in self._noise if self.are_there]
        for slot in self._codes:
            lines.append(f"at_absmax_{self._variables[slot]} = {self._column(absmax_of(slot))}")
            lines += [f"at_new_{self._variables[slot]} = scratch()"] * (slot in self._stored)
        return lines

    def before_block(self) -> list[str]:
        """Random numbers, and the largest sizes of what the codes stand for."""
        lines: list[str] = []
        for name in self._noise:
            by = f"{self._drawn_by(name)}, key, first // {BLOCK}"
            lines += [f"for lane in range({noise.LANES}):", f"    draw_uniform({by}, lane, at_{name})"]
        for slot in self._codes:
            name = self._variables[slot]
            alias = self._aliases[f"absmax_{slot}"]
            lines.append(f"absmax_{name} = load_float32(at_absmax_{name}, first // {BLOCK}, {alias})")
            lines += [f"size_{name} = no_size()"] * (slot in self._stored)
        return lines

    def element(self) -> list[str]:
        """The random numbers of an element."""
        if not self.are_there:
            return [f"{name} = uniform({self._drawn_by(name)}, key, j)" for name in self._noise]
        return [f"{name} = load_float32(at_{name}, j - first, {self._aliases[name]})" for name in self._noise]

    def load(self, slot: str, place: int) -> str | None:
        """What an element's code stands for; none if the slot holds none."""
        if slot not in self._codes:
            return None
        name = self._variables[slot]
        return f"load_{self._codes[slot]}(at_{name}, j, absmax_{name}, {place})"

    def store(self, slot: str, value: str) -> list[str] | None:
        """Lay an element's new value aside; none if the slot holds no codes."""
        if slot not in self._codes:
            return None
        name = self._variables[slot]
        return [
            f"new_{name} = {value}",
            f"size_{name} = larger_size(size_{name}, new_{name})",
            f"store_float32(at_new_{name}, j - first, new_{name}, {self._aliases[f'new_{slot}']})",
        ]

    def after_block(self, places: Mapping[str, int]) -> list[str]:
        """The new largest sizes, and the codes."""
        lines: list[str] = []
        for slot in self._stored:
            name = self._variables[slot]
            alias = self._aliases[f"absmax_{slot}"]
            new = f"load_float32(at_new_{name}, j - first, {self._aliases[f'new_{slot}']})"
            lines += [
                f"absmax_{name} = as_size(size_{name})",
                f"store_float32(at_absmax_{name}, first // {BLOCK}, absmax_{name}, {alias})",
                HEADER,
                f"    store_{self._codes[slot]}(at_{name}, j, {new}, absmax_{name}, {places[slot]})",
            ]
        return lines

    def _drawn_by(self, name: str) -> str:
        _, words = print_graph(list(self._noise[name].words), NUMBA, {word: word for word in self.constants})
        return ", ".join(words)

    def _column(self, name: str) -> str:
        return f"word(table, {len(self._columns)} * tensor + {self._columns.index(name)})"


NAMES = {
    "noise": ("uniform", "draw_uniform", "scratch", "dithered_bfloat16", "dithered_float16"),
    "eight_bits": (
        "no_size",
        "larger_size",
        "as_size",
        *(f"{verb}_{one}" for verb in ("load", "store") for one in CODES),
    ),
}
"""What a kernel may need of the modules beside `intrinsics`."""
