"""Whether a step by a gradient of zero changes anything: if not, elements without a gradient need not be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thalweg.formula.scalar import Scalar, constant, descend

if TYPE_CHECKING:
    from thalweg.formula.traced import Trace

_ZERO = constant(0)


def leaves_idle_elements_alone(traced: Trace) -> bool:
    """Whether an element whose gradient is zero keeps its value and its states, whatever they are, as is."""
    done: dict[int, Scalar] = {}
    for node in descend(traced.parameter, *(kept.after for kept in traced.states)):
        done[id(node)] = _without_gradient(node, tuple(done[id(operand)] for operand in node.operands))
    parameter = done[id(traced.parameter)]
    stays = parameter.operation == "input" and parameter.name == "p"
    return stays and all(done[id(kept.after)] is kept.before for kept in traced.states)


def _without_gradient(node: Scalar, operands: tuple[Scalar, ...]) -> Scalar:
    """A node of operands without the gradient: zero, one of its operands, or what it was."""
    zeros = [_is_zero(operand) for operand in operands]
    match node.operation:
        case "input" if node.name == "g":
            found = _ZERO
        case "add" if any(zeros):
            found = operands[1] if zeros[0] else operands[0]
        case "subtract" if zeros[1]:
            found = operands[0]
        case "multiply" if any(zeros):
            found = _ZERO
        case "power" if zeros[0] and operands[1].operation == "constant" and operands[1].value > 0:
            found = _ZERO
        case "divide" | "negative" | "absolute" | "sqrt" | "sign" | "floor" | "stored" if zeros[0]:
            found = _ZERO
        case _ if all(new is old for new, old in zip(operands, node.operands, strict=True)):
            found = node
        case _:
            found = Scalar(node.operation, operands, node.level, name=node.name)
    return found


def _is_zero(node: Scalar) -> bool:
    return node.operation == "constant" and node.value == 0
