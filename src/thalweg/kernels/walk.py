"""The one walk over a graph that every printer of kernels uses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thalweg.formula.scalar import Operation, Scalar, descend

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Printer:
    """How a language writes numbers and operations."""

    number: Callable[[float], str]
    operations: Mapping[Operation, str]
    """A format string for each operation, its operands `{0}`, `{1}`, `{2}`."""
    beside_numbers: Mapping[Operation, str] = field(default_factory=dict[Operation, str])
    """The same for operations whose second operand is a number as it is typed, which is never NaN."""


def print_number(value: float) -> str:
    """A number as Python writes it, the infinite ones too."""
    return repr(value) if math.isfinite(value) else f"float('{value}')"


def print_graph(roots: list[Scalar], printer: Printer, inputs: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The assignments that compute the roots, in order, and the name or number that stands for each root.

    `inputs` says how each input is written.
    """
    lines: list[str] = []
    written: dict[int, str] = {}
    for node in descend(*roots):
        match node.operation:
            case "constant":
                written[id(node)] = printer.number(node.value)
            case "input":
                written[id(node)] = inputs[node.name]
            case operation:
                operands = [written[id(operand)] for operand in node.operands]
                name = f"x{len(lines)}"
                beside = node.operands[-1].operation == "constant" and operation in printer.beside_numbers
                text = (printer.beside_numbers if beside else printer.operations)[operation]
                lines.append(f"{name} = {text.format(*operands)}")
                written[id(node)] = name
    return lines, [written[id(root)] for root in roots]
