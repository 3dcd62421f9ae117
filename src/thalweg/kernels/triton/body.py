"""What a kernel does with a block of elements, whatever their order: load, compute, store, gather."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from thalweg.errors import BackendError
from thalweg.formula.scalar import Level
from thalweg.kernels.columns import CODES
from thalweg.kernels.triton.blocks import Blocks
from thalweg.kernels.triton.language import DOUBLE, LARGEST, POWER, SINGLE
from thalweg.kernels.walk import print_graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.kernels.plan import Pass, Plan, Reduction

STORAGE = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}
"""The dtypes that a kernel can read and write, by torch's names, with their bytes."""
THREADS = 128
"""How many threads run a program."""
WITH = {"total": "{0} + {1}", "largest": "tl.maximum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)"}
"""One block more in what is gathered, as blocks of float64."""
NOTHING = {"total": "0.0", "largest": 'float("-inf")'}
"""What changes nothing when it is gathered."""
VALUE = {"total": "tl.reduce({0}, {1}, tl.standard._sum_combine)", "largest": "largest({0}, {1})"}
"""The numbers that a block of gathered ones stands for, along one of its axes."""
FUNCTIONS = {"power": POWER, "largest": LARGEST}
_ACCESS = """\
@jit
def load{name}(at, j, {within}, WHOLE: tl.constexpr):
    to = at.to(tl.pointer_type(tl.{dtype}))
    if WHOLE:
        values = tl.load(tl.multiple_of(to, 16) + j)
    else:
        values = tl.load(to + j, mask={condition}, other=0.0)
    return values.to(tl.{number})


@jit
def store{name}(at, j, values, {within}, WHOLE: tl.constexpr):
    to = at.to(tl.pointer_type(tl.{dtype}))
    if WHOLE:
        tl.store(tl.multiple_of(to, 16) + j, values.to(tl.{dtype}))
    else:
        tl.store(to + j, values.to(tl.{dtype}), mask={condition})


"""


class Body:
    """The inner lines of one pass.

    They have blocks `j` of places of elements, and `within`, which says how many or which of them are there.
    """

    def __init__(
        self,
        plan: Plan,
        one: Pass,
        dtype: str,
        dtypes: Mapping[str, str],
        *,
        guard: bool,
        scaled: bool,
        stops: bool,
        within: str,
    ) -> None:
        for used in (dtype, *dtypes.values()):
            if used not in (*STORAGE, *CODES):
                message = f"the triton backend takes {', '.join(STORAGE)}, and not {used}; use backend='reference'"
                raise BackendError(message)
        self.plan = plan
        self.one = one
        self._dtypes = {slot: dtypes.get(slot, dtype) for slot in plan.slots}
        self.names = {slot: f"s{at}_{_plain(slot)}" for at, slot in enumerate(plan.slots)}
        elements = block_size(dtype) if within == "count" else None
        self.blocks = Blocks(plan, one, dtype, self._dtypes, self.names, elements=elements)
        self.dtype = dtype
        self.looks = guard and one is plan.passes[0]
        self.leaves = self.looks and len(plan.passes) == 1
        self.scaled = scaled
        self.stops = stops
        self.number = "float64" if dtype == "float64" else "float32"
        self._within, self._condition = within, "j < count" if within == "count" else within
        printer = DOUBLE if dtype == "float64" else SINGLE
        rounded = f"{{0}}.to(tl.{dtype}).to(tl.{self.number})"
        further = {"stored": rounded, "dithered": self.blocks.dithered()}
        self._printer = replace(printer, operations={**printer.operations, **further})
        self._stores = [slot for slot, _ in one.stores]
        needed = {*plan.loads_of(one), *(["g"] if self.looks or scaled else ()), *(self._stores * self.leaves)}
        self._loads = [slot for slot in plan.slots if slot in needed]
        self.touched = [slot for slot in plan.slots if slot in needed or slot in self._stores]
        used = {*one.inputs, *self.blocks.constants}
        self.constants = [f"k{at}" for at in range(len(plan.constants)) if f"k{at}" in used]
        self.coarse = [coarse for coarse in plan.coarse if coarse.name in one.inputs]
        self.kept = [reduction for reduction in one.reductions if reduction.level is not Level.ROW]
        """What is gathered from block to block."""

    @property
    def title(self) -> str:
        """What the pass does, in one line."""
        stored = [f"{slot} <- {value!r}" for slot, value in self.one.stores]
        gathered = [f"{reduction.name} <- {reduction.value!r}" for reduction in self.one.reductions]
        return "; ".join(stored + gathered) or "a look at the gradients"

    @property
    def kind(self) -> str:
        """The type of numbers in tables, as Triton's annotations have it."""
        return "fp64" if self.number == "float64" else "fp32"

    @property
    def flags(self) -> dict[str, str]:
        """The parameters for what decides about the step while it is made, with their types."""
        names = {"grad_scale": self.scaled, "found_inf": self.stops, "stop": self._tells}
        return {name: "fp32" for name, there in names.items() if there}

    @property
    def _tells(self) -> bool:
        """Whether a gradient that is not finite stops the passes to come."""
        return self.stops and self.looks and not self.leaves

    @property
    def addresses(self) -> list[str]:
        """The variables that hold the addresses of the arrays."""
        return [f"at_{self.names[slot]}" for slot in self.touched]

    @property
    def arguments(self) -> list[str]:
        """The variables that a block is stepped by: addresses, and what belongs to blocks of 256 elements."""
        return [*self.addresses, *self.blocks.arguments]

    @property
    def carried(self) -> list[str]:
        """What goes from block to block."""
        return [*(["bad"] if self.looks else []), *(reduction.name for reduction in self.kept)]

    def before(self, block: str) -> list[str]:
        """What blocks of a shape begin with: addresses, constants, scaling, and nothing gathered yet."""
        slots, constants = self.plan.slots, self.plan.constants
        words = len(self.blocks.columns) + 1
        lines = [
            f"{name} = tl.load(tensors + {words} * tensor + {slots.index(slot)}) + {self._start(slot)}"
            for name, slot in zip(self.addresses, self.touched, strict=True)
        ]
        lines += self.blocks.before(STORAGE[self.dtype])
        lines.append(f"row = tl.load(tensors + {words} * tensor + {words - 1})")
        lines += [f"{k} = tl.load(constants + {len(constants)} * row + {k[1:]})" for k in self.constants]
        if self.scaled:
            lines.append(f"grad_scale = tl.load(grad_scale).to(tl.{self.number})")
        if self.looks:
            lines.append(f"bad = tl.full(({block}), 0, tl.int32)")
        lines += [f"{r.name} = tl.full(({block}), {NOTHING[r.value.operation]}, tl.float64)" for r in self.kept]
        return lines

    def lines(self) -> list[str]:
        """Load, compute, store and gather a block."""
        conditions = {f"k{at}": constant.is_condition for at, constant in enumerate(self.plan.constants)}
        conditions |= {coarse.name: coarse.value.is_condition for coarse in self.plan.coarse}
        inputs = self.names | {name: f"({name} != 0)" if yes else name for name, yes in conditions.items()}
        inputs |= {drawn.name: drawn.name for drawn in self.plan.noise}
        gradient = self.names["g"]
        lines = [f"{self.names[slot]} = {self._load(slot)}" for slot in self._loads]
        lines += self.blocks.draw(self._printer, self.number)
        if self.scaled:
            lines.append(f"{gradient} = {self._printer.operations['divide'].format(gradient, 'grad_scale')}")
            lines.append(f"store(at_{gradient}, j, {gradient}, {self._within}, WHOLE)")
        computed, results = print_graph(self.one.values, self._printer, inputs)
        lines += computed
        if self.looks:
            lines.append(f'good = tl.abs({gradient}) < float("inf")')
            lines.append("bad |= tl.where(good, 0, 1)")
        for slot, result in zip(self._stores, results, strict=False):
            name = self.names[slot]
            value = f"tl.where(good, {result}, {name})" if self.leaves else result
            before, value = self.blocks.store(slot, value)
            lines += before
            lines.append(f"store{self._suffix(slot)}(at_{name}, j, {value}, {self._within}, WHOLE)")
        for reduction, result in zip(self.one.reductions, results[len(self._stores) :], strict=True):
            lines.append(self._gather(reduction, result))
        return [*lines, f"return {', '.join(self.carried)}"] if self.carried else lines

    def after(self) -> list[str]:
        """What is told of the gradients at the end."""
        if not self.looks:
            return []
        bad = "bad" if self._within == "count" else "tl.reduce(bad, 1, tl.standard._elementwise_max)"
        lines = [f"if tl.reduce({bad}, 0, tl.standard._elementwise_max) != 0:", "    tl.store(wrong + tensor, 1)"]
        return [*lines, "    tl.store(stop, 1.0)"] if self._tells else lines

    def access(self) -> str:
        """The functions that read and write arrays of each dtype."""
        found = dict.fromkeys([self.dtype, *(self._dtypes[slot] for slot in self.touched)])
        return "".join(
            _ACCESS.format(
                name="" if dtype == self.dtype else f"_{dtype}",
                dtype=dtype,
                number="int32" if dtype in CODES else self.number,
                within=self._within,
                condition=self._condition,
            )
            for dtype in found
        )

    def functions(self, *texts: list[str]) -> str:
        """The functions that lines call."""
        lines = [line for text in texts for line in text]
        called = [text for word, text in FUNCTIONS.items() if any(f"{word}(" in line for line in lines)]
        return "".join(f"{text}\n\n" for text in [*called, *self.blocks.functions()])

    def _load(self, slot: str) -> str:
        loaded = f"load{self._suffix(slot)}(at_{self.names[slot]}, j, {self._within}, WHOLE)"
        numbers = self.blocks.loaded(slot, loaded)
        return loaded if numbers == loaded else f"{numbers}.to(tl.{self.number})"

    def _suffix(self, slot: str) -> str:
        """What the functions that read and write an array are called by: nothing for the parameter's dtype."""
        dtype = self._dtypes[slot]
        return "" if dtype == self.dtype else f"_{dtype}"

    def _start(self, slot: str) -> str:
        """Where what a program works off begins in an array, in bytes; `start` counts those of the parameter."""
        own, dtype = STORAGE[self.dtype], STORAGE.get(self._dtypes[slot], 1)
        return "start" if own == dtype else f"start // {own} * {dtype}"

    def _gather(self, reduction: Reduction, result: str) -> str:
        operation = reduction.value.operation
        condition = f"({self._condition}) & good" if self.leaves else self._condition
        counted = f"tl.where({condition}, {result}.to(tl.float64), {NOTHING[operation]})"
        if reduction.level is not Level.ROW:
            return f"{reduction.name} = {WITH[operation].format(reduction.name, counted)}"
        by_row = [r for r in self.one.reductions if r.level is Level.ROW]
        i = "first + tl.arange(0, ROWS)"
        at = f"row_sums + {len(by_row)} * (row_part + ({i}) * row_parts) + {by_row.index(reduction)}"
        return f"tl.store({at}, {VALUE[operation].format(counted, 1)}, mask={i} < rows)"


def block_size(dtype: str) -> int:
    """How many elements are stepped at once: 16 bytes of each array for each thread."""
    return THREADS * 16 // STORAGE[dtype]


def _plain(slot: str) -> str:
    return slot.replace(".", "_").replace("#", "n")
