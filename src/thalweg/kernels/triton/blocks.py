"""What a kernel does with blocks of 256 elements: draw random numbers, and keep states in 8 bits.

What a program works off at once is some such blocks in a row. In tiles of matrices, random numbers are drawn element by
element instead, the same ones, and there are no states in 8 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.errors import BackendError
from thalweg.formula.scalar import descend
from thalweg.kernels.columns import BLOCK, CODES, KEY, table_columns
from thalweg.kernels.eight_bits import absmax_of
from thalweg.kernels.triton import codes, drawing
from thalweg.kernels.walk import print_graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.kernels.plan import Noise, Pass, Plan
    from thalweg.kernels.walk import Printer

DITHERED = {"bfloat16": drawing.DITHERED_BFLOAT16, "float16": drawing.DITHERED_FLOAT16}
"""The dtypes that a number is rounded to up or down, with how; for others it is as it was computed."""


class Blocks:
    """The lines of a pass that concern blocks.

    `names` are the variables of slots, `elements` is how many elements are worked off at once, all in a row; none in
    tiles. Raises `BackendError` for states in 8 bits in tiles.
    """

    def __init__(
        self,
        plan: Plan,
        one: Pass,
        dtype: str,
        dtypes: Mapping[str, str],
        names: Mapping[str, str],
        *,
        elements: int | None,
    ) -> None:
        self.columns = table_columns(plan, dtypes)
        """What the table of addresses has for each tensor."""
        self._names = names
        self._dtype = dtype
        self._count = None if elements is None else elements // BLOCK
        self._noise: list[Noise] = [drawn for drawn in plan.noise if drawn.name in one.inputs]
        touched = {*plan.loads_of(one), *(slot for slot, _ in one.stores)}
        self._codes = {slot: dtypes[slot] for slot in plan.slots if dtypes[slot] in CODES and slot in touched}
        if self._count is None and self._codes:
            message = "a chain that sums over rows or columns keeps no states in 8 bits; choose torch.bfloat16 for them"
            raise BackendError(message)
        words = [word.name for drawn in self._noise for word in drawn.words if word.operation == "input"]
        self.constants = frozenset(words)
        """Those that it draws by."""
        self._dithers = dtype in DITHERED and any(n.operation == "dithered" for n in descend(*one.values))

    @property
    def arguments(self) -> list[str]:
        """The variables that hold addresses of sizes, and what is drawn by."""
        return [*(f"sizes_{self._names[slot]}" for slot in self._codes), *(["key", "begin"] * bool(self._noise))]

    def before(self, itemsize: int) -> list[str]:
        """Where the largest sizes are, what is drawn by, and the first element that the program works off."""
        lines = [
            f"sizes_{self._names[slot]} = {self._column(absmax_of(slot))} + start // {itemsize * BLOCK} * 4"
            for slot in self._codes
        ]
        return [*lines, f"key = {self._column(KEY)}", f"begin = start // {itemsize}"] if self._noise else lines

    def draw(self, printer: Printer, number: str) -> list[str]:
        """The random numbers of the elements."""
        lines: list[str] = []
        for drawn in self._noise:
            _, words = print_graph(list(drawn.words), printer, {word: word for word in self.constants})
            by = f"{', '.join(words)}, key"
            value = (
                f"uniform_at({by}, begin + j)"
                if self._count is None
                else f"uniform({by}, (begin + first) // {BLOCK}, {self._count})"
            )
            lines.append(f"{drawn.name} = {value}.to(tl.{number})")
        return lines

    def loaded(self, slot: str, code: str) -> str:
        """What is loaded from a slot, as the numbers that it stands for."""
        if slot not in self._codes:
            return code
        sizes = f"of_each(load_sizes(sizes_{self._names[slot]}, first, count, {self._count}), {self._count})"
        return f"from_{self._codes[slot]}({code}, {sizes})"

    def store(self, slot: str, value: str) -> tuple[list[str], str]:
        """Lines before a slot is written to, and what is then written for a value."""
        if slot not in self._codes:
            return [], value
        name = self._names[slot]
        lines = [
            f"new_{name} = ({value}).to(tl.float32)",
            f"new_sizes_{name} = largest_sizes(new_{name}, j < count, {self._count})",
            f"store_sizes(sizes_{name}, first, new_sizes_{name}, count, {self._count})",
        ]
        return lines, f"to_{self._codes[slot]}(new_{name}, of_each(new_sizes_{name}, {self._count}))"

    def dithered(self) -> str:
        """How rounding up or down is written."""
        return f"dithered_{self._dtype}({{0}}, {{1}})" if self._dtype in DITHERED else "{0}"

    def functions(self) -> list[str]:
        """The functions that these lines call."""
        texts: list[str] = []
        if self._noise:
            texts += [drawing.PHILOX, drawing.UNIFORM_AT if self._count is None else drawing.UNIFORM_IN_BLOCKS]
        if self._dithers:
            texts += [drawing.CUT, DITHERED[self._dtype]]
        if self._codes:
            texts += [codes.SIZES, *(codes.FUNCTIONS[one] for one in dict.fromkeys(self._codes.values()))]
        return texts

    def _column(self, name: str) -> str:
        return f"tl.load(tensors + {len(self.columns) + 1} * tensor + {self.columns.index(name)})"
