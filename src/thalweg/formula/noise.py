"""Random numbers in a formula, and rounding by them.

A number is a function of a seed, the step, the tensor and the element, so that a step that is made again is the same.
"""

from __future__ import annotations

from thalweg.errors import FormulaError
from thalweg.formula.scalar import Level, Scalar, apply, lift


def uniform(seed: Scalar | float, t: Scalar | float) -> Scalar:
    """A number in [0, 1) for each element, equally likely everywhere: of a seed and a step, whole numbers below 2⁴⁸."""
    operands = (lift(seed), lift(t))
    for operand in operands:
        if operand.level is not Level.STEP:
            message = f"uniform takes a seed and a step, and {operand!r} has a value for each {operand.level.value}"
            raise FormulaError(message)
    return Scalar("uniform", operands, Level.ELEMENT)


def dithered(x: Scalar, u: Scalar) -> Scalar:
    """The value as the parameter's dtype keeps it, rounded up or down.

    Of the two numbers around it, it is the one further from zero where `u` is below the share of the gap between them
    that the value has behind it: for a uniform `u` that is right on average. A value that the dtype has stays.
    """
    return apply("dithered", lift(x), lift(u))
