"""Every operation of the language can be said in every language that it is printed in."""

from __future__ import annotations

from typing import get_args

import pytest

from thalweg.formula.scalar import REDUCTIONS, Operation
from thalweg.kernels import host, notation, operations
from thalweg.kernels.numba.language import NUMBA
from thalweg.kernels.triton import language

WANTED = set(get_args(Operation)) - REDUCTIONS - {"constant", "input"}
OF_EMITTER = {"stored", "dithered", "uniform"}
"""What an emitter writes by itself, since it depends on a dtype."""


@pytest.mark.parametrize(
    "known",
    [
        host._PYTHON.operations,
        host._IEEE.operations,
        operations.OPERATIONS,
        notation._PLAIN,
        NUMBA.operations,
        language.DOUBLE.operations,
        language.SINGLE.operations,
    ],
    ids=["host", "host, safely", "torch", "notation", "numba", "Triton, double", "Triton, single"],
)
def test_nothing_is_missing(known: dict[str, object]) -> None:
    assert WANTED - set(known) <= OF_EMITTER
