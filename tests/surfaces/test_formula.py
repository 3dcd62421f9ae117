"""The function, its gradient and its Hessian against symbolic differentiation of the printed formula."""

from __future__ import annotations

import re

import numpy as np
import pytest
import sympy
import torch
from sympy.parsing.sympy_parser import (
    convert_xor,
    function_exponentiation,
    implicit_multiplication_application,
    parse_expr,
    standard_transformations,
)

from thalweg import surfaces

TOLERANCE = 1e-11  # of the largest number among those compared
GRAMMAR = (
    *standard_transformations,
    convert_xor,
    function_exponentiation,
    implicit_multiplication_application,
)
VARIANTS = [
    *surfaces.catalogue().values(),
    surfaces.quadratic(7.5),
    surfaces.rosenbrock(a=-2, b=3.25),
    surfaces.rastrigin(3),
    surfaces.styblinski_tang(4),
]


def read(latex: str) -> tuple[sympy.Expr, list[sympy.Symbol]]:
    """The expression that a formula in LaTeX stands for, and its variables in order."""
    summed = re.fullmatch(r"(.*)\\sum_\{i=1\}\^\{(\d+)\} (\(.*\))", latex)
    names = [f"x{i}" for i in range(1, int(summed[2]) + 1)] if summed else ["x", "y"]
    if summed:
        latex = f"{summed[1]}({' + '.join(summed[3].replace('x_i', name) for name in names)})"
    text = re.sub(r"\\tfrac\{(\d+)\}\{(\d+)\}", r"(\1/\2)", latex)
    text = text.replace(r"\left", "").replace(r"\right", "").replace("\\", "")
    variables = [sympy.Symbol(name) for name in names]
    expression = parse_expr(text, {str(v): v for v in variables}, GRAMMAR)
    assert expression.free_symbols == set(variables)
    return expression, variables


@pytest.mark.parametrize("surface", VARIANTS, ids=lambda surface: surface.name)
def test_value_gradient_and_hessian_are_those_of_the_printed_formula(surface: surfaces.Surface) -> None:
    expression, variables = read(surface.formula)
    derivatives = [sympy.diff(expression, v) for v in variables]
    value = sympy.lambdify([variables], expression)
    gradient = sympy.lambdify([variables], derivatives)
    hessian = sympy.lambdify([variables], sympy.hessian(expression, variables))

    low, high = np.array(surface.window).T
    points = np.random.default_rng(0).uniform(low, high, (100, surface.dimension))
    x = torch.from_numpy(points)
    assert_equal(surface(x), [value(p) for p in points])
    assert_equal(surface.gradient(x), [gradient(p) for p in points])
    assert_equal(surface.hessian(x), [hessian(p) for p in points])


def assert_equal(ours: torch.Tensor, theirs: list[object]) -> None:
    expected = np.array(theirs, dtype=float)
    assert ours.shape == expected.shape
    assert ours.numpy() == pytest.approx(expected, rel=0, abs=TOLERANCE * np.abs(expected).max())


def test_the_formula_is_read_as_it_is_meant() -> None:
    expression, (x, y) = read(r"\tfrac{1}{2} \sin^2(3 \pi x) + 2 x y \left(1 + y^2\right)")
    assert expression == sympy.sin(3 * sympy.pi * x) ** 2 / 2 + 2 * x * y * (1 + y**2)
