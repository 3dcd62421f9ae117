"""Minima, eigenvalues, condition numbers and stability limits against numbers found outside this project."""

from __future__ import annotations

from decimal import Decimal

import pytest
import torch
from scipy.optimize import rosen, rosen_der, rosen_hess

from thalweg import surfaces

Pair = tuple[str, str]

# By symbolic differentiation of the published formulas. As printed: each number is right to its last digit.
#   surface, a minimum, f there, Hessian eigenvalues, condition number, 2/λmax
TABLE = [
    ("rosenbrock", ("1", "1"), "0", (".399361", "1001.6"), "2508.01", ".0019968"),
    ("beale", ("3", ".5"), "0", (".301464", "48.9798"), "162.473", ".0408332"),
    ("booth", ("1", "3"), "0", ("2", "18"), "9", ".111111"),
    ("matyas", ("0", "0"), "0", (".04", "1"), "25", "2"),
    ("himmelblau", ("3", "2"), "0", ("25.7157", "82.2843"), "3.1998", ".024306"),
    ("three_hump_camel", ("0", "0"), "0", ("1.58579", "4.41421"), "2.7836", ".453082"),
    ("six_hump_camel", (".089842", "-.712656"), "-1.0316285", ("7.68225", "16.4932"), "2.1469", ".121262"),
    ("styblinski_tang", ("-2.903534", "-2.903534"), "-78.3323314", ("34.5831", "34.5831"), "1", ".057832"),
    ("rastrigin", ("0", "0"), "0", ("396.784", "396.784"), "1", ".0050405"),
    ("goldstein_price", ("0", "-1"), "3", ("402.831", "965.169"), "2.3960", ".0020722"),
    ("mccormick", ("-.54720", "-1.54720"), "-1.913223", ("1.73205", "4"), "2.3094", ".5"),
    ("levy13", ("1", "1"), "0", ("2", "179.653"), "89.83", ".011133"),
    ("easom", ("3.141593", "3.141593"), "-1", ("3", "3"), "1", ".666667"),
]
OTHER_GLOBAL_MINIMA = [
    ("himmelblau", ("3.5844283", "-1.8481265"), "0"),
    ("himmelblau", ("-2.805118", "3.131313"), "0"),
    ("himmelblau", ("-3.779310", "-3.283186"), "0"),
    ("six_hump_camel", ("-.089842", ".712656"), "-1.0316285"),
    ("two_basins", ("1.45595", ".97064"), "-1.68473"),
]


def agree(number: float, printed: str) -> bool:
    """Whether the number is the printed one, give or take half a unit of its last digit and rounding."""
    exact = Decimal(printed)
    half_a_unit = Decimal(1).scaleb(int(exact.as_tuple().exponent)) / 2 if "." in printed else Decimal(0)
    return abs(number - float(exact)) <= float(half_a_unit) + 1e-9 * max(1, abs(number))


@pytest.mark.parametrize(("name", "x", "value", "eigenvalues", "condition", "rate"), TABLE)
def test_the_curvature_at_the_minimum_is_the_published_one(
    name: str, x: Pair, value: str, eigenvalues: Pair, condition: str, rate: str
) -> None:
    surface = surfaces.get(name)
    minimum = surface.minima[0]
    curvature = surface.curvature_at(minimum.x)
    assert minimum.is_global
    assert all(map(agree, minimum.x, x))
    assert agree(minimum.value, value)
    assert agree(surface(minimum.x).item(), value)
    assert all(map(agree, curvature.eigenvalues, eigenvalues))
    assert agree(curvature.condition_number, condition)
    assert agree(curvature.largest_stable_rate, rate)


@pytest.mark.parametrize(("name", "x", "value"), OTHER_GLOBAL_MINIMA)
def test_the_other_global_minima_are_listed(name: str, x: Pair, value: str) -> None:
    found = [minimum for minimum in surfaces.get(name).minima if all(map(agree, minimum.x, x))]
    assert len(found) == 1
    assert found[0].is_global
    assert agree(found[0].value, value)


def test_beale_has_a_saddle_at_0_1_that_curves_as_much_up_as_down() -> None:
    beale = surfaces.get("beale")
    saddle = next(saddle for saddle in beale.saddles if saddle.x == (0, 1))
    assert saddle.value == beale(saddle.x).item() == 14.203125
    assert beale.curvature_at(saddle.x).eigenvalues == pytest.approx((-27.75, 27.75), rel=1e-14)


def test_two_basins_has_a_shallow_local_minimum() -> None:
    _, local = surfaces.get("two_basins").minima
    assert not local.is_global
    assert agree(local.x[0], "-1.08944")
    assert agree(local.x[1], "-.72629")
    assert agree(local.value, "-1.01104")


def test_rosenbrock_is_the_one_of_scipy() -> None:
    points = torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    surface = surfaces.rosenbrock()
    for point in points:
        x = point.numpy()
        assert surface(point).item() == pytest.approx(rosen(x), rel=1e-12)
        assert surface.gradient(point).numpy() == pytest.approx(rosen_der(x), rel=1e-12)
        assert surface.hessian(point).numpy() == pytest.approx(rosen_hess(x), rel=1e-12)


@pytest.mark.parametrize("condition", [4, 100, 1e4])
def test_gradient_descent_contracts_on_the_quadratic_as_theory_says(condition: float) -> None:
    surface = surfaces.quadratic(condition)
    x = torch.tensor(surface.starts[0], dtype=torch.float64)
    best_rate = 2 / (1 + condition)
    for _ in range(20):
        moved = x - best_rate * surface.gradient(x)
        contraction = (moved.norm() / x.norm()).item()
        assert contraction == pytest.approx((condition - 1) / (condition + 1), rel=1e-9)
        x = moved
