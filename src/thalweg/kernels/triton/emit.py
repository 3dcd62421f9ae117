"""Writes the kernel of a plan's pass as Python text that Triton compiles for any GPU, or interprets.

A program of the kernel works off one chunk, a stretch of one tensor, block by block. Whole blocks at addresses that are
multiples of 16 are read and written 16 bytes at a time; what is left, or lies otherwise, element by element.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from thalweg.errors import BackendError
from thalweg.kernels.triton.language import DOUBLE, LARGEST, POWER, SINGLE
from thalweg.kernels.walk import print_graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.kernels.plan import Pass, Plan, Reduction

STORAGE = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}
"""The dtypes that a kernel can read and write, by torch's names, with their bytes."""
THREADS = 128
"""How many threads run a program."""
CHUNK = 4096
"""The most elements that a chunk has."""

_TEMPLATE = '''\
"""{title}"""

import triton.language as tl


{functions}{access}@jit
def update({arguments}, first, count, WHOLE: tl.constexpr):
    j = first + tl.arange(0, {block})
    {body}


@jit
def kernel({parameters}):
    chunk = tl.program_id(0)
    tensor = tl.load(chunks + 3 * chunk)
    start = tl.load(chunks + 3 * chunk + 1).to(tl.int64) * {chunk_bytes}
    count = tl.load(chunks + 3 * chunk + 2)
    {before}
    for first in range(0, whole, {block}):
        {keep}update({arguments}, first, count, True)
    for first in range(whole, count, {block}):
        {keep}update({arguments}, first, count, False)
'''
_ACCESS = """\
@jit
def load{name}(at, j, count, WHOLE: tl.constexpr):
    to = at.to(tl.pointer_type(tl.{dtype}))
    if WHOLE:
        values = tl.load(tl.multiple_of(to, 16) + j)
    else:
        values = tl.load(to + j, mask=j < count, other=0.0)
    return values.to(tl.{number})


@jit
def store{name}(at, j, values, count, WHOLE: tl.constexpr):
    to = at.to(tl.pointer_type(tl.{dtype}))
    if WHOLE:
        tl.store(tl.multiple_of(to, 16) + j, values.to(tl.{dtype}))
    else:
        tl.store(to + j, values.to(tl.{dtype}), mask=j < count)


"""
_WITH = {"total": "{0} + {1}", "largest": "tl.maximum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)"}
"""One block more in what is gathered, as vectors of float64."""
_NOTHING = {"total": "0.0", "largest": 'float("-inf")'}
"""What changes nothing when it is gathered."""
_VALUE = {"total": "tl.reduce({0}, 0, tl.standard._sum_combine)", "largest": "largest({0})"}
"""The number that a vector of gathered ones stands for."""


def block_size(dtype: str) -> int:
    """How many elements are stepped at once: 16 bytes of each array for each thread."""
    return THREADS * 16 // STORAGE[dtype]


def emit(
    plan: Plan,
    dtype: str,
    *,
    guard: bool,
    place: int = -1,
    scaled: bool = False,
    dtypes: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The text of the kernel of one of a plan's passes, for parameters of one dtype.

    Their states have it too, but for those that `dtypes` names.

    With `guard`, the first pass notes in `wrong` which tensors have a gradient that is not finite; a step of a single
    pass leaves such elements as they were. A step of a single pass may be `scaled`: it then takes gradients as
    `torch.amp.GradScaler` hands them to a fused optimizer, divides them by `grad_scale` and writes them back so, and
    does nothing at all where `found_inf` is not 0. Raises `BackendError` for what no kernel can do.
    """
    for one in (dtype, *dtypes.values()):
        if one not in STORAGE:
            message = f"the triton backend takes {', '.join(STORAGE)}, and not {one}; use backend='reference'"
            raise BackendError(message)
    if plan.is_by_row:
        message = (
            "the triton backend computes no sums over matrices, rows or columns yet, which this chain needs; "
            "use backend='reference'"
        )
        raise BackendError(message)
    return _Text(plan, plan.passes[place], dtype, dtypes, guard=guard, scaled=scaled).whole()


class _Text:
    """A kernel's text in the making."""

    def __init__(
        self, plan: Plan, one: Pass, dtype: str, dtypes: Mapping[str, str], *, guard: bool, scaled: bool
    ) -> None:
        self._plan = plan
        self._pass = one
        self._dtype = dtype
        self._dtypes = {slot: dtypes.get(slot, dtype) for slot in plan.slots}
        self._looks = guard and one is plan.passes[0]
        self._leaves = self._looks and len(plan.passes) == 1
        self._scaled = scaled
        self._number = "float64" if dtype == "float64" else "float32"
        printer = DOUBLE if dtype == "float64" else SINGLE
        rounded = f"{{0}}.to(tl.{dtype}).to(tl.{'float64' if dtype == 'float64' else 'float32'})"
        self._printer = replace(printer, operations={**printer.operations, "stored": rounded})
        self._stores = [slot for slot, _ in one.stores]
        needed = {*plan.loads_of(one), *(["g"] if self._looks or scaled else ()), *(self._stores * self._leaves)}
        self._loads = [slot for slot in plan.slots if slot in needed]
        self._names = {slot: f"s{at}_{_plain(slot)}" for at, slot in enumerate(plan.slots)}
        self._touched = [slot for slot in plan.slots if slot in needed or slot in self._stores]
        self._constants = [f"k{at}" for at in range(len(plan.constants)) if f"k{at}" in one.inputs]
        self._coarse = [coarse.name for coarse in plan.coarse if coarse.name in one.inputs]

    def whole(self) -> str:
        """The text."""
        body = self._body()
        carried = self._carried()
        block = block_size(self._dtype)
        addresses = [f"at_{self._names[slot]}" for slot in self._touched]
        scaling = ["grad_scale"] if self._scaled else []
        text = _TEMPLATE.format(
            title="; ".join(self._title()) or "a look at the gradients",
            functions="".join(f"{function}\n\n" for word, function in _FUNCTIONS.items() if self._uses(word, body)),
            access="".join(map(self._access, dict.fromkeys([self._dtype, *(self._dtypes[s] for s in self._touched)]))),
            arguments=", ".join([*addresses, *self._constants, *self._coarse, *scaling, *carried]),
            block=block,
            body="\n    ".join(body),
            parameters=", ".join(self._parameters()),
            chunk_bytes=CHUNK * STORAGE[self._dtype],
            before="\n    ".join(self._before(block)),
            keep=f"{', '.join(carried)} = " if carried else "",
        )
        return text + "".join(f"    {line}\n" for line in self._after())

    def _title(self) -> list[str]:
        stored = [f"{slot} <- {value!r}" for slot, value in self._pass.stores]
        return stored + [f"{reduction.name} <- {reduction.value!r}" for reduction in self._pass.reductions]

    def _parameters(self) -> list[str]:
        """The tables, with the types of their words."""
        number = "fp64" if self._number == "float64" else "fp32"
        types = {"tensors": "i64", "chunks": "i32", "constants": number, "wrong": "i32"}
        if self._scaled:
            types |= {"grad_scale": "fp32", "found_inf": "fp32"}
        if self._plan.levels:
            types |= {"coarse": number, "partials": "fp64"}
        return [f'{name}: "*{kind}"' for name, kind in types.items()]

    def _before(self, block: int) -> list[str]:
        """Addresses, constants and coarse values of the chunk's tensor, and what sums begin with."""
        slots, constants, coarse = self._plan.slots, self._plan.constants, [one.name for one in self._plan.coarse]
        words = len(slots) + 1
        addresses = [f"at_{self._names[slot]}" for slot in self._touched]
        lines = [
            f"{name} = tl.load(tensors + {words} * tensor + {slots.index(slot)}) + {self._start(slot)}"
            for name, slot in zip(addresses, self._touched, strict=True)
        ]
        lines.append(f"row = tl.load(tensors + {words} * tensor + {len(slots)})")
        lines += [f"{k} = tl.load(constants + {len(constants)} * row + {k[1:]})" for k in self._constants]
        lines += [f"{c} = tl.load(coarse + {len(coarse)} * tensor + {coarse.index(c)})" for c in self._coarse]
        if self._scaled:
            lines.append(f"grad_scale = tl.load(grad_scale).to(tl.{self._number})")
            lines.append("count = tl.where(tl.load(found_inf) == 0, count, 0)")
        if self._looks:
            lines.append(f"bad = tl.full(({block},), 0, tl.int32)")
        lines += [
            f"{r.name} = tl.full(({block},), {_NOTHING[r.value.operation]}, tl.float64)" for r in self._pass.reductions
        ]
        return [*lines, f"whole = tl.where(({' | '.join(addresses)}) % 16 == 0, count - count % {block}, 0)"]

    def _body(self) -> list[str]:
        """Load, compute, store and gather a block."""
        conditions = {f"k{at}": constant.is_condition for at, constant in enumerate(self._plan.constants)}
        conditions |= {coarse.name: coarse.value.is_condition for coarse in self._plan.coarse}
        inputs = self._names | {name: f"({name} != 0)" if yes else name for name, yes in conditions.items()}
        gradient = self._names["g"]
        lines = [
            f"{self._names[slot]} = load{self._suffix(slot)}(at_{self._names[slot]}, j, count, WHOLE)"
            for slot in self._loads
        ]
        if self._scaled:
            lines.append(f"{gradient} = {self._printer.operations['divide'].format(gradient, 'grad_scale')}")
            lines.append(f"store(at_{gradient}, j, {gradient}, count, WHOLE)")
        computed, results = print_graph(self._pass.values, self._printer, inputs)
        lines += computed
        if self._looks:
            lines.append(f'good = tl.abs({gradient}) < float("inf")')
            lines.append("bad |= tl.where(good, 0, 1)")
        for slot, result in zip(self._stores, results, strict=False):
            name = self._names[slot]
            value = f"tl.where(good, {result}, {name})" if self._leaves else result
            lines.append(f"store{self._suffix(slot)}(at_{name}, j, {value}, count, WHOLE)")
        for reduction, result in zip(self._pass.reductions, results[len(self._stores) :], strict=True):
            lines += self._gather(reduction, result)
        carried = self._carried()
        return [*lines, f"return {', '.join(carried)}"] if carried else lines

    def _suffix(self, slot: str) -> str:
        """What the functions that read and write an array are called by: nothing for the parameter's dtype."""
        dtype = self._dtypes[slot]
        return "" if dtype == self._dtype else f"_{dtype}"

    def _start(self, slot: str) -> str:
        """Where the chunk begins in an array, in bytes; `start` counts those of the parameter."""
        own, dtype = STORAGE[self._dtype], STORAGE[self._dtypes[slot]]
        return "start" if own == dtype else f"start // {own} * {dtype}"

    def _access(self, dtype: str) -> str:
        """The functions that read and write arrays of a dtype."""
        name = "" if dtype == self._dtype else f"_{dtype}"
        return _ACCESS.format(name=name, dtype=dtype, number=self._number)

    def _gather(self, reduction: Reduction, result: str) -> list[str]:
        operation = reduction.value.operation
        condition = "(j < count) & good" if self._leaves else "j < count"
        counted = f"tl.where({condition}, {result}.to(tl.float64), {_NOTHING[operation]})"
        return [f"{reduction.name} = {_WITH[operation].format(reduction.name, counted)}"]

    def _after(self) -> list[str]:
        """What the chunk has found."""
        reductions = self._pass.reductions
        lines = [
            f"tl.store(partials + {len(reductions)} * chunk + {at}, {_VALUE[r.value.operation].format(r.name)})"
            for at, r in enumerate(reductions)
        ]
        if self._looks:
            lines += [
                "if tl.reduce(bad, 0, tl.standard._elementwise_max) != 0:",
                "    tl.store(wrong + tensor, 1)",
            ]
        return lines

    def _carried(self) -> list[str]:
        """What goes from block to block."""
        return [*(["bad"] if self._looks else []), *(reduction.name for reduction in self._pass.reductions)]

    def _uses(self, word: str, body: list[str]) -> bool:
        return any(f"{word}(" in line for line in [*body, *self._after()])


_FUNCTIONS = {"power": POWER, "largest": LARGEST}


def _plain(slot: str) -> str:
    return slot.replace(".", "_").replace("#", "n")
