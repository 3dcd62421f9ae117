"""What a traced graph computes, node by node as it stands: nothing is lowered, nothing compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.formula.scalar import descend

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from thalweg.formula import Scalar

MEANINGS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "power": np.power,
    "negative": np.negative,
    "absolute": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "sign": np.sign,
    "floor": np.floor,
    "stored": np.asarray,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "less": np.less,
    "less_equal": np.less_equal,
    "equal": np.equal,
    "both": np.logical_and,
    "either": np.logical_or,
    "where": np.where,
}


def value_of(root: Scalar, inputs: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """The value of a graph in float64, its inputs given by name."""
    values: dict[int, Any] = {}
    for node in descend(root):
        if node.operation == "constant":
            values[id(node)] = np.float64(node.value)
        elif node.operation == "input":
            values[id(node)] = inputs[node.name]
        else:
            values[id(node)] = MEANINGS[node.operation](*(values[id(operand)] for operand in node.operands))
    return values[id(root)]
