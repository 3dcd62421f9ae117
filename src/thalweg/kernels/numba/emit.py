"""Writes the kernel of a plan's pass as Python text that numba compiles.

The kernel takes one address, of a block of words (see `thalweg.kernels.numba.launch.Block`), and works until no job is
left. Any number of threads may run it at once on the same block. Where a plan has values for rows or columns, a piece
is some rows of a matrix, else a stretch of a tensor.
"""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from thalweg.errors import BackendError
from thalweg.formula.scalar import Level
from thalweg.kernels.columns import BLOCK, CODES, table_columns
from thalweg.kernels.numba.blocks import HEADER, NAMES, Blocks
from thalweg.kernels.numba.language import DITHERED, NUMBA
from thalweg.kernels.numba.pieces import FLAT, MATRIX, PER_PIECE
from thalweg.kernels.walk import print_graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.kernels.plan import Coarse, Plan, Reduction

MAXIMUM_SLOTS = 32
"""How many arrays a kernel can tell apart."""
STORAGE = ("float32", "float64", "bfloat16", "float16")
"""The dtypes that a kernel can read and write, by torch's names."""

_HEAD = '''\
"""{title}"""

import math

from numpy import {precision} as number

from thalweg.kernels.numba.intrinsics import (
    {imports},
)
{further}

def kernel(block):
    table = word(block, 0)
    jobs = word(block, 1)
    pieces = word(block, 2)
    rows = word(block, 3)
    constants = word(block, 4)
    job_count = word(block, 5)
    while True:
        job = take_ticket(block, 6)
        if job >= job_count:
            break
        {turn}for piece in range(word(jobs, job), word(jobs, job + 1)):
'''
WORDS = {
    "coarse": 8,
    "partials": 9,
    "row_inputs": 10,
    "row_outputs": 11,
    "column_inputs": 12,
    "column_outputs": 13,
    "row_count": 14,
    "column_count": 15,
    "part_count": 16,
}
"""The block's words for the tables of coarse values, and for how many values there are of one kind."""


def emit(
    plan: Plan, dtype: str, *, guard: bool, place: int = -1, dtypes: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The text of the kernel of one of a plan's passes, for parameters of one dtype.

    Their states have it too, but for those that `dtypes` names.

    With `guard`, the first pass notes the first tensor that has a gradient that is not finite in the block's word 7; a
    step of a single pass leaves such elements as they were. Raises `BackendError` for a dtype that no kernel takes.
    """
    for one in (dtype, *dtypes.values()):
        if one not in (*STORAGE, *CODES):
            message = f"the numba backend takes {', '.join(STORAGE)}, and not {one}; use backend='reference'"
            raise BackendError(message)
    in_codes = [slot for slot, one in dtypes.items() if one in CODES]
    if in_codes and plan.is_by_row:
        message = "a chain that sums over rows or columns keeps no states in 8 bits; choose torch.bfloat16 for them"
        raise BackendError(message)
    arrays = len(plan.slots) + len(plan.coarse) + len(plan.noise) + 2 * len(in_codes)
    if arrays + len(plan.passes[place].reductions) > MAXIMUM_SLOTS:
        message = f"a kernel takes {MAXIMUM_SLOTS} arrays, this chain has {len(plan.slots)}; use backend='reference'"
        raise BackendError(message)
    return _Text(plan, place, dtype, dtypes, guard=guard).whole()


class _Text:
    """A kernel's text in the making."""

    def __init__(self, plan: Plan, place: int, dtype: str, dtypes: Mapping[str, str], *, guard: bool) -> None:
        self._plan = plan
        self._pass = one = plan.passes[place]
        self._dtype = dtype
        self._dtypes = {slot: dtypes.get(slot, dtype) for slot in plan.slots}
        self._looks = guard and one is plan.passes[0]
        self._turns = place % len(plan.passes) % 2 == 1
        self._leaves = self._looks and len(plan.passes) == 1
        self._precision = "float64" if dtype == "float64" else "float32"
        self._kind = MATRIX if plan.is_by_row else FLAT
        self._variables = _variables(plan.slots)
        self._asked = [c for c in plan.coarse if c.name in one.inputs]
        self._aliases = {c.name: MAXIMUM_SLOTS - 1 - place for place, c in enumerate(plan.coarse)}
        used = len(plan.coarse)
        self._aliases |= {r.name: MAXIMUM_SLOTS - 1 - used - place for place, r in enumerate(one.reductions)}
        used += len(one.reductions)
        self._blocks = Blocks(plan, one, self._dtypes, self._variables, free=MAXIMUM_SLOTS - 1 - used)

    def whole(self) -> str:
        """The text."""
        piece = [f"{n} = word(pieces, {len(self._kind)} * piece + {at})" for at, n in enumerate(self._kind)]
        lines = [*piece, "row = word(rows, tensor)", *self._before_piece()]
        if self._kind is MATRIX:
            lines += ["for i in range(start, stop):"]
            lines += _indented([*self._before_row(), "for column in range(columns):"])
            lines += _indented(["j = i * columns + column", *self._element()], 2)
            lines += _indented(self._after_row())
        elif self._blocks.are_there:
            places = {slot: place for place, slot in enumerate(self._plan.slots)}
            lines += [f"for first in range(start, stop, {BLOCK}):"]
            lines += _indented([*self._blocks.before_block(), HEADER, *_indented(self._element())])
            lines += _indented(self._blocks.after_block(places))
        else:
            lines += ["for j in range(start, stop):", *_indented(self._element())]
        text = "\n".join(_indented([*lines, *self._after_piece()], 3)) + "\n"
        found = [name for name in _IMPORTABLE if f"{name}(" in text] + ["take_ticket", "word"]
        title = [f"{slot} <- {value!r}" for slot, value in self._pass.stores]
        title += [f"{reduction.name} <- {reduction.value!r}" for reduction in self._pass.reductions]
        imports = ",\n    ".join(sorted(found))
        further = ""
        for module, names in NAMES.items():
            used = ", ".join(name for name in names if re.search(rf"\b{name}\(", text))
            further += f"from thalweg.kernels.numba.{module} import {used}\n" if used else ""
        # What a pass read last is in the cache when the next one begins, so every other pass goes backwards.
        turn = "job = job_count - 1 - job\n        " if self._turns else ""
        head = _HEAD.format(
            title="; ".join(title), precision=self._precision, imports=imports, further=further, turn=turn
        )
        return head + text

    def _before_piece(self) -> list[str]:
        """Addresses, constants, the coarse values of the piece's tensor or matrix, and sums to begin with."""
        slots, constants = self._plan.slots, self._plan.constants
        columns = len(table_columns(self._plan, self._dtypes))
        lines = [
            f"at_{self._variables[slot]} = word(table, {columns} * tensor + {place})"
            for place, slot in enumerate(slots)
            if slot in self._loads() or slot in self._stores()
        ]
        lines += self._blocks.before_piece()
        lines += [
            f"{name} = constant_{self._precision}(constants, {len(constants)} * row + {name[1:]})"
            for name in self._constants()
        ]
        per_piece = [c for c in self._plan.coarse if c.value.level in PER_PIECE]
        unit = "matrix" if self._kind is MATRIX else "tensor"
        lines += [
            f"{c.name} = constant_{self._precision}({_word('coarse')}, {len(per_piece)} * {unit} + {place})"
            for place, c in enumerate(per_piece)
            if c in self._asked
        ]
        lines += [f"{r.name} = {_START[r.value.operation]}" for r in self._gathered(PER_PIECE)]
        for c in self._asked_at(Level.COLUMN):
            at = f"{_word('column_count')} * {self._index(c, Level.COLUMN)} + column_at"
            lines.append(f"at_{c.name} = {_word('column_inputs')} + {_bytes(self._precision)} * ({at})")
        for c in self._asked_at(Level.ROW):
            at = f"{_word('row_count')} * {self._index(c, Level.ROW)} + row_at - start"
            lines.append(f"at_{c.name} = {_word('row_inputs')} + {_bytes(self._precision)} * ({at})")
        for place, r in enumerate(self._gathered({Level.ROW})):
            lines.append(
                f"at_{r.name} = {_word('row_outputs')} + 8 * ({_word('row_count')} * {place} + row_at - start)"
            )
        for place, r in enumerate(self._gathered({Level.COLUMN})):
            lines.append(f"at_{r.name} = {_word('column_outputs')} + 8 * ({_word('part_count')} * {place} + part_at)")
            lines.append("for column in range(columns):")
            lines.append(
                f"    store_float64(at_{r.name}, column, {_NOTHING[r.value.operation]}, {self._aliases[r.name]})"
            )
        return [*lines, "bad = 0"] if self._looks else lines

    def _before_row(self) -> list[str]:
        lines = [
            f"{c.name} = load_{self._precision}(at_{c.name}, i, {self._aliases[c.name]})"
            for c in self._asked_at(Level.ROW)
        ]
        return lines + [f"{r.name} = {_START[r.value.operation]}" for r in self._gathered({Level.ROW})]

    def _element(self) -> list[str]:
        """Load, compute, store, gather."""
        named = {f"k{place}": constant.is_condition for place, constant in enumerate(self._plan.constants)}
        named |= {c.name: c.value.is_condition for c in self._plan.coarse}
        inputs = self._variables | {noise.name: noise.name for noise in self._plan.noise}
        inputs |= {n: f"({n} != 0)" if condition else n for n, condition in named.items()}
        operations = {
            **NUMBA.operations,
            "stored": f"stored_{self._dtype}({{0}})",
            "dithered": f"dithered_{self._dtype}({{0}}, {{1}})" if self._dtype in DITHERED else "{0}",
        }
        lines, results = print_graph(self._pass.values, replace(NUMBA, operations=operations), inputs)
        places = {slot: place for place, slot in enumerate(self._plan.slots)}
        body = [f"{self._variables[slot]} = {self._load(slot, places[slot])}" for slot in self._loads()]
        body += self._blocks.element()
        body += [
            f"{c.name} = load_{self._precision}(at_{c.name}, column, {self._aliases[c.name]})"
            for c in self._asked_at(Level.COLUMN)
        ]
        body += lines
        if self._looks:
            body.append(f"good = abs({self._variables['g']}) < number(math.inf)")
        for slot, result in zip(self._stores(), results, strict=False):
            name = self._variables[slot]
            value = f"{result} if good else {name}" if self._leaves else result
            plain = [f"store_{self._dtypes[slot]}(at_{name}, j, {value}, {places[slot]})"]
            body += self._blocks.store(slot, value) or plain
        for reduction, result in zip(self._pass.reductions, results[len(self._stores()) :], strict=True):
            nothing = f"number({_NOTHING[reduction.value.operation]})"
            body.append(self._gather(reduction, f"({result} if good else {nothing})" if self._leaves else result))
        return [*body, "bad += 0 if good else 1"] if self._looks else body

    def _load(self, slot: str, place: int) -> str:
        plain = f"load_{self._dtypes[slot]}(at_{self._variables[slot]}, j, {place})"
        value = self._blocks.load(slot, place) or plain
        narrow = self._precision == "float64" != self._dtypes[slot]
        return f"number({value})" if narrow else value

    def _gather(self, reduction: Reduction, value: str) -> str:
        name, operation = reduction.name, reduction.value.operation
        if reduction.level is not Level.COLUMN:
            return f"{name} = gather_{operation}({name}, {value})"
        alias = self._aliases[name]
        before = f"load_float64(at_{name}, column, {alias})"
        return f"store_float64(at_{name}, column, {_WITH[operation].format(before, value)}, {alias})"

    def _after_row(self) -> list[str]:
        return [
            f"store_float64(at_{r.name}, i, {_VALUE[r.value.operation].format(r.name)}, {self._aliases[r.name]})"
            for r in self._gathered({Level.ROW})
        ]

    def _after_piece(self) -> list[str]:
        gathered = self._gathered(PER_PIECE)
        lines = [
            f"store_float64({_word('partials')}, {len(gathered)} * piece + {place}, "
            f"{_VALUE[r.value.operation].format(r.name)}, {self._aliases[r.name]})"
            for place, r in enumerate(gathered)
        ]
        return [*lines, "if bad != 0:", "    lower_to(block, 7, tensor)"] if self._looks else lines

    def _loads(self) -> list[str]:
        """The arrays to read: with a guard the gradient too, and what is to be left as it was."""
        guarded = {"g"} if self._looks else set[str]()
        guarded |= set(self._stores()) if self._leaves else set()
        return [slot for slot in self._plan.slots if slot in self._plan.loads_of(self._pass) or slot in guarded]

    def _stores(self) -> list[str]:
        return [slot for slot, _ in self._pass.stores]

    def _constants(self) -> list[str]:
        """Those that the pass computes or draws with."""
        used = {*self._blocks.constants, *self._pass.inputs}
        return [f"k{place}" for place in range(len(self._plan.constants)) if f"k{place}" in used]

    def _asked_at(self, level: Level) -> list[Coarse]:
        return [c for c in self._asked if c.value.level is level]

    def _index(self, coarse: Coarse, level: Level) -> int:
        return [c for c in self._plan.coarse if c.value.level is level].index(coarse)

    def _gathered(self, levels: frozenset[Level] | set[Level]) -> list[Reduction]:
        return [reduction for reduction in self._pass.reductions if reduction.level in levels]


_START = {"total": "0.0", "largest": "nothing_larger()"}
"""What a sum in registers begins with."""
_NOTHING = {"total": "0.0", "largest": "-math.inf"}
"""What changes nothing when it is gathered."""
_VALUE = {"total": "{0}", "largest": "largest_value({0})"}
"""The number that a sum in registers stands for."""
_WITH = {"total": "{0} + {1}", "largest": "larger({0}, {1})"}
"""One number more in a sum in memory."""
_IMPORTABLE = [
    *(f"{verb}_{dtype}" for verb in ("load", "store", "stored", "constant") for dtype in STORAGE),
    *("gather_total", "gather_largest", "nothing_larger", "largest_value", "larger", "lower_to"),
]


def _indented(lines: list[str], levels: int = 1) -> list[str]:
    return [f"{'    ' * levels}{line}" for line in lines]


def _word(name: str) -> str:
    return f"word(block, {WORDS[name]})"


def _bytes(precision: str) -> int:
    return 8 if precision == "float64" else 4


def _variables(slots: tuple[str, ...]) -> dict[str, str]:
    """A name in the kernel for each array: its own, and its place where two would be alike."""
    plain = {slot: "s_" + slot.replace(".", "_").replace("#", "n") for slot in slots}
    unique = len(set(plain.values())) == len(plain)
    return plain if unique else {slot: f"{name}_{place}" for place, (slot, name) in enumerate(plain.items())}
