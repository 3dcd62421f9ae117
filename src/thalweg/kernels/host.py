"""Computes what is constant during a step, once, in float64."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from thalweg.errors import HyperparameterError
from thalweg.kernels.walk import Printer, print_graph, print_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.formula.scalar import Scalar

Constants: TypeAlias = "Callable[..., tuple[float, ...]]"

_PYTHON = Printer(
    number=print_number,
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
        "floor": "float(math.floor({0}))",
        "stored": "{0}",
        "sign": "float(({0} > 0) - ({0} < 0))",
        "maximum": "{0} if {0} > {1} or {0} != {0} else {1}",
        "minimum": "{0} if {0} < {1} or {0} != {0} else {1}",
        "less": "{0} < {1}",
        "less_equal": "{0} <= {1}",
        "equal": "{0} == {1}",
        "both": "{0} and {1}",
        "either": "{0} or {1}",
        "where": "{1} if {0} else {2}",
    },
)
_IEEE = replace(
    _PYTHON,
    operations={
        **_PYTHON.operations,
        "divide": "np.divide({0}, {1})",
        "power": "np.power(float({0}), {1})",
        "sqrt": "np.sqrt({0})",
        "exp": "np.exp({0})",
        "log": "np.log({0})",
        "floor": "np.floor({0})",
    },
)
"""Slower, and never fails: what cannot be computed is NaN, as in the branch of a `where` that is not taken."""


def compile_constants(constants: tuple[Scalar, ...], inputs: tuple[str, ...]) -> Constants:
    """A function of the inputs' values that gives the constants' values.

    Calling it raises `HyperparameterError` where a constant is not a finite number.
    """
    quick, safe = (_compile(printer, constants, inputs) for printer in (_PYTHON, _IEEE))

    def compute(*values: float) -> tuple[float, ...]:
        try:
            results = quick(*values)
            if all(map(math.isfinite, results)):
                return results
        except (ArithmeticError, ValueError, TypeError):
            pass
        with np.errstate(all="ignore"):
            results = tuple(map(float, safe(*values)))
        if all(map(math.isfinite, results)):
            return results
        given = ", ".join(f"{name}={value:g}" for name, value in zip(inputs, values, strict=True))
        message = f"the step's constants are no finite numbers at {given}"
        raise HyperparameterError(message)

    return compute


def _compile(printer: Printer, constants: tuple[Scalar, ...], inputs: tuple[str, ...]) -> Constants:
    arguments = {name: f"a{place}" for place, name in enumerate(inputs)}
    lines, results = print_graph(list(constants), printer, arguments)
    returned = "".join(f"{result}, " for result in results)
    body = [f"def constants({', '.join(arguments.values())}):", *lines, f"return ({returned})"]
    scope: dict[str, Constants] = {"math": math, "np": np}  # pyright: ignore[reportAssignmentType]
    exec("\n    ".join(body), scope)  # noqa: S102  # the source is printed above from a traced formula
    return scope["constants"]
