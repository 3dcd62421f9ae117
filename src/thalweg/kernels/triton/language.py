"""How formulas are written in Triton's language.

Arithmetic is IEEE's: divisions and roots are rounded to the nearest, and nothing is fused. A step is bound by memory,
so that this costs nothing, and a GPU's numbers are those of the CPU's kernels. What libraries compute (exp, log,
powers) is computed in float64.
"""

from __future__ import annotations

from dataclasses import replace

from thalweg.kernels.walk import Printer, print_number

DOUBLE = Printer(
    number=lambda value: f"tl.full((), {print_number(value)}, tl.float64)",
    operations={
        "add": "{0} + {1}",
        "subtract": "{0} - {1}",
        "multiply": "{0} * {1}",
        "divide": "{0} / {1}",
        "power": "power({0}, {1})",
        "negative": "-{0}",
        "absolute": "tl.abs({0})",
        "sqrt": "tl.sqrt({0})",
        "exp": "tl.exp({0})",
        "log": "tl.log({0})",
        "floor": "tl.floor({0})",
        "stored": "{0}",  # where the dtype is coarser, the emitter writes otherwise
        "sign": "({0} > 0).to(tl.float64) - ({0} < 0).to(tl.float64)",
        "maximum": "tl.maximum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
        "minimum": "tl.minimum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
        "less": "{0} < {1}",
        "less_equal": "{0} <= {1}",
        "equal": "{0} == {1}",
        "both": "tl.where({0}, {1}, {0})",  # of a scalar and a vector the interpreter takes no `&`
        "either": "tl.where({0}, {0}, {1})",
        "where": "tl.where({0}, {1}, {2})",
    },
)
"""For float64. A bare number would be a float32, hence `tl.full`."""
SINGLE = replace(
    DOUBLE,
    number=lambda value: f"tl.full((), {print_number(value)}, tl.float32)",
    operations={
        **DOUBLE.operations,
        "divide": "tl.div_rn({0}, {1})",
        "power": "power({0}.to(tl.float64), {1}.to(tl.float64)).to(tl.float32)",
        "sqrt": "tl.sqrt_rn({0})",
        "exp": "tl.exp({0}.to(tl.float64)).to(tl.float32)",
        "log": "tl.log({0}.to(tl.float64)).to(tl.float32)",
        "sign": "({0} > 0).to(tl.float32) - ({0} < 0).to(tl.float32)",
    },
)
"""For float32, whose plain `/` and `tl.sqrt` are approximations on a GPU."""

POWER = '''\
@jit
def power(x, y):
    """x to the power of y, both float64, as C's `pow` has it."""
    size = tl.where(y == 0, 1.0, tl.exp2(y * tl.log2(tl.abs(x))))
    is_whole = tl.floor(y) == y
    is_odd = tl.floor(0.5 * y) != 0.5 * y
    signed = tl.where(is_whole, tl.where(is_odd, -size, size), float("nan"))
    return tl.where(x < 0, tl.where(y == 0, size, signed), size)
'''
"""A function for texts that take powers. Its error is some 10⁻¹⁶ times the exponent of the result."""
LARGEST = '''\
@jit
def largest(values, AXIS: tl.constexpr):
    """The largest along an axis of a block; NaN if one of them is."""
    strange = tl.reduce(tl.where(values != values, 1, 0), AXIS, tl.standard._elementwise_max)
    return tl.where(strange != 0, float("nan"), tl.reduce(values, AXIS, tl.standard._elementwise_max))
'''
"""A function for texts that look for a maximum."""
