"""Writes the values between two passes as Python text that numba compiles: a loop over tensors, in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from thalweg.formula.scalar import Level, descend
from thalweg.kernels.numba.language import NUMBA
from thalweg.kernels.walk import print_graph

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from thalweg.formula import Scalar

_HEAD = '''\
"""{title}"""

import math

from numpy import float64 as number, {precision} as stored

from thalweg.kernels.numba.intrinsics import (
    {imports},
)


def kernel(block):
    count = word(block, {count})
    rows = word(block, {rows})
    constants = word(block, {constants})
    inputs = word(block, {inputs})
    outputs = word(block, {outputs})
    for i in range(count):
'''
WORDS = {"count": 0, "rows": 1, "constants": 2, "inputs": 3, "outputs": 4}
"""The block's words: how many tensors there are, and the addresses of the tables."""
_LANGUAGE = replace(NUMBA, operations={**NUMBA.operations, "stored": "{0}"})
_INPUTS, _CONSTANTS, _OUTPUTS = range(3)
"""Arrays that do not overlap, by number."""


def inputs_of(values: Sequence[Scalar]) -> list[str]:
    """What coarse values are computed from besides constants: states, reductions, sizes, the loss."""
    nodes = (node for node in descend(*values) if node.operation == "input" and node.level is not Level.STEP)
    return list(dict.fromkeys(node.name for node in nodes))


def emit_coarse(
    title: str,
    values: Sequence[tuple[int, Scalar]],
    inputs: Mapping[str, int],
    *,
    conditions: Collection[str],
    width: int,
    stride: int,
    precision: str = "float64",
) -> str:
    """The text of a kernel that computes some values for each tensor.

    Each value comes with its place in a row of `outputs`, which has `stride` of them for each tensor and is of a
    `precision`. A row of the table of `inputs` has them in these places; rows of constants are `width` long, and
    those of them that are `conditions` are true or false.
    """
    nodes = [node for node in descend(*(value for _, value in values)) if node.operation == "input"]
    names: dict[str, str] = {}
    body: list[str] = []
    for node in nodes:
        if node.level is Level.STEP:
            constant = f"load_float64(constants, {width} * word(rows, i) + {node.name[1:]}, {_CONSTANTS})"
            body.append(f"{node.name} = {constant}{' != 0' if node.name in conditions else ''}")
            names[node.name] = node.name
        else:
            name = names[node.name] = f"v{inputs[node.name]}"
            body.append(
                f"{name} = load_float64(inputs, {len(inputs)} * i + {inputs[node.name]}, {_INPUTS})  # {node.name}"
            )
    lines, results = print_graph([value for _, value in values], _LANGUAGE, names)
    body += lines
    for (place, _), result in zip(values, results, strict=True):
        body.append(f"store_{precision}(outputs, {stride} * i + {place}, stored({result}), {_OUTPUTS})")
    used = ",\n    ".join(sorted({"load_float64", f"store_{precision}", "word"}))
    return _HEAD.format(title=title, imports=used, precision=precision, **WORDS) + "".join(
        f"        {line}\n" for line in body
    )
