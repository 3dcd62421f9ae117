"""Writes the kernel of a plan as Python text that numba compiles.

The kernel takes one address, of a block of words (see `thalweg.kernels.numba.launch.Block`), and works until no job is
left. Any number of threads may run it at once on the same block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.errors import BackendError
from thalweg.kernels.walk import Printer, print_graph, print_number

if TYPE_CHECKING:
    from thalweg.kernels.plan import Plan

MAXIMUM_SLOTS = 32
"""How many arrays a kernel can tell apart."""
STORAGE = ("float32", "float64", "bfloat16", "float16")
"""The dtypes that a kernel can read and write, by torch's names."""

NUMBA = Printer(
    number=lambda value: f"number({print_number(value)})",
    operations={
        "add": "{0} + {1}",
        "subtract": "{0} - {1}",
        "multiply": "{0} * {1}",
        "divide": "{0} / {1}",
        "power": "{0} ** {1}",
        "negative": "-{0}",
        "absolute": "abs({0})",
        "sqrt": "math.sqrt({0})",
        "exp": "math.exp({0})",
        "log": "math.log({0})",
        "sign": "number(1.0) if {0} > 0 else (number(-1.0) if {0} < 0 else number(0.0))",
        "maximum": "{0} if {0} > {1} or {0} != {0} else {1}",
        "minimum": "{0} if {0} < {1} or {0} != {0} else {1}",
        "less": "{0} < {1}",
        "less_equal": "{0} <= {1}",
        "equal": "{0} == {1}",
        "both": "{0} & {1}",
        "either": "{0} | {1}",
        "where": "{1} if {0} else {2}",
    },
)

_TEMPLATE = '''\
"""{title}"""

import math

from numpy import {precision} as number

from thalweg.kernels.numba.intrinsics import (
    {imports},
)


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
        for piece in range(word(jobs, job), word(jobs, job + 1)):
            tensor = word(pieces, 3 * piece)
            start = word(pieces, 3 * piece + 1)
            stop = word(pieces, 3 * piece + 2)
            row = word(rows, tensor)
            {preamble}
            for j in range(start, stop):
                {body}{report}
'''


def emit(plan: Plan, dtype: str, *, guard: bool) -> str:
    """The text of the kernel for parameters and states of one dtype.

    With `guard`, an element whose gradient is not finite is left as it was, and the first tensor that has one is noted
    in the block's word 7. Raises `BackendError` for a dtype that no kernel takes.
    """
    if dtype not in STORAGE:
        message = f"the numba backend takes {', '.join(STORAGE)}, and not {dtype}; use backend='reference'"
        raise BackendError(message)
    if len(plan.slots) > MAXIMUM_SLOTS:
        message = f"a kernel takes {MAXIMUM_SLOTS} arrays, this chain has {len(plan.slots)}; use backend='reference'"
        raise BackendError(message)
    precision = "float64" if dtype == "float64" else "float32"
    variables = _variables(plan.slots)
    named = {f"k{place}": constant for place, constant in enumerate(plan.constants)}
    inputs = variables | {name: f"({name} != 0)" if value.is_condition else name for name, value in named.items()}
    lines, results = print_graph([value for _, value in plan.stores], NUMBA, inputs)
    loads = [slot for slot in plan.slots if slot in plan.loads or (guard and _is_kept(slot, plan))]
    places = {slot: place for place, slot in enumerate(plan.slots)}
    touched = [slot for slot in plan.slots if slot in loads or _is_written(slot, plan)]
    preamble = [f"at_{variables[slot]} = word(table, {len(plan.slots)} * tensor + {places[slot]})" for slot in touched]
    preamble += [
        f"k{place} = constant_{precision}(constants, {len(plan.constants)} * row + {place})"
        for place in range(len(plan.constants))
    ]
    body = [f"{variables[slot]} = load_{dtype}(at_{variables[slot]}, j, {places[slot]})" for slot in loads]
    body += lines
    if guard:
        preamble.append("bad = 0")
        body.append(f"good = abs({variables['g']}) < number(math.inf)")
    for (slot, _), result in zip(plan.stores, results, strict=True):
        name = variables[slot]
        value = f"{result} if good else {name}" if guard else result
        body.append(f"store_{dtype}(at_{name}, j, {value}, {places[slot]})")
    if guard:
        body.append("bad += 0 if good else 1")
    return _TEMPLATE.format(
        title="; ".join(f"{slot} <- {value!r}" for slot, value in plan.stores),
        precision=precision,
        imports=",\n    ".join(_imports(dtype, precision, guard=guard)),
        preamble="\n            ".join(preamble),
        body="\n                ".join(body),
        report="\n            if bad != 0:\n                lower_to(block, 7, tensor)" if guard else "",
    )


def _imports(dtype: str, precision: str, *, guard: bool) -> list[str]:
    names = [f"constant_{precision}", f"load_{dtype}", f"store_{dtype}", "take_ticket", "word"]
    return sorted([*names, "lower_to"] if guard else names)


def _variables(slots: tuple[str, ...]) -> dict[str, str]:
    """A name in the kernel for each array: its own, and its place where two would be alike."""
    plain = {slot: "s_" + slot.replace(".", "_").replace("#", "n") for slot in slots}
    unique = len(set(plain.values())) == len(plain)
    return plain if unique else {slot: f"{name}_{place}" for place, (slot, name) in enumerate(plain.items())}


def _is_written(slot: str, plan: Plan) -> bool:
    return any(slot == written for written, _ in plan.stores)


def _is_kept(slot: str, plan: Plan) -> bool:
    """Whether a guarded kernel needs the old value, to put it back."""
    return slot == "g" or _is_written(slot, plan)
