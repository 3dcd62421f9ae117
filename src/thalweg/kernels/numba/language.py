"""How formulas are written in Python that numba compiles."""

from thalweg.kernels.walk import Printer, print_number

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
        "floor": "number(math.floor({0}))",
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
    # one instruction each, where two comparisons are four
    beside_numbers={"maximum": "{1} if {0} < {1} else {0}", "minimum": "{1} if {0} > {1} else {0}"},
)
DITHERED = ("bfloat16", "float16")
"""The dtypes that a number is rounded to up or down; for the others it is as it was computed."""
