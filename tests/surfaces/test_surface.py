"""What can be asked of a surface: batches, dtypes, derivatives, and clear errors."""

from __future__ import annotations

import dataclasses
import pickle
from typing import TYPE_CHECKING

import pytest
import torch

from thalweg import surfaces
from thalweg.errors import HyperparameterError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.surfaces import Surface

# Both relative to the largest value in play.
SAME = 1e-14  # batched against single: a vectorised sine may differ in the last bit
SINGLE_PRECISION = 2e-6  # float32 against float64


@pytest.fixture(params=[*surfaces.catalogue().values(), surfaces.rastrigin(3)], ids=lambda s: s.name)
def surface(request: pytest.FixtureRequest) -> Surface:
    return request.param


def points_in_the_window(surface: Surface, *shape: int) -> torch.Tensor:
    low, high = torch.tensor(surface.window, dtype=torch.float64).T
    generator = torch.Generator().manual_seed(0)
    share = torch.rand(*shape, surface.dimension, dtype=torch.float64, generator=generator)
    return low + (high - low) * share


@pytest.mark.parametrize("question", ["__call__", "gradient", "hessian"])
def test_a_batch_gives_what_its_points_give_one_by_one(surface: Surface, question: str) -> None:
    ask = getattr(surface, question)
    points = points_in_the_window(surface, 3, 4)
    batched = ask(points)
    single = torch.stack([torch.stack([ask(point) for point in row]) for row in points])
    assert batched.shape == single.shape
    assert (batched - single).abs().max() <= SAME * single.abs().max()


@pytest.mark.parametrize("question", ["__call__", "gradient", "hessian"])
def test_float32_stays_float32_and_differs_by_rounding_alone(surface: Surface, question: str) -> None:
    ask = getattr(surface, question)
    points = points_in_the_window(surface, 200).float()
    double, single = ask(points.double()), ask(points)
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    assert (single - double).abs().max() <= SINGLE_PRECISION * double.abs().max()


def test_the_hessian_is_symmetric(surface: Surface) -> None:
    hessian = surface.hessian(points_in_the_window(surface, 50))
    assert torch.allclose(hessian, hessian.mT, rtol=1e-12, atol=1e-12)


def test_no_points_give_no_values(surface: Surface) -> None:
    nowhere = torch.empty(0, surface.dimension)
    assert surface(nowhere).shape == (0,)
    assert surface.gradient(nowhere).shape == (0, surface.dimension)
    assert surface.hessian(nowhere).shape == (0, surface.dimension, surface.dimension)


def test_backpropagation_gives_the_gradient(surface: Surface) -> None:
    parameters = points_in_the_window(surface, 7).requires_grad_()
    surface.function(parameters).sum().backward()
    assert torch.equal(parameters.grad, surface.gradient(parameters.detach()))


def test_the_gradient_is_there_where_autograd_is_off() -> None:
    beale = surfaces.get("beale")
    with torch.no_grad():
        assert beale.gradient((2.0, -2.0)).norm() > 1
        assert beale.hessian((2.0, -2.0)).norm() > 1


def test_plain_numbers_are_taken_in_float64(surface: Surface) -> None:
    start = surface.starts[0]
    assert surface(start).dtype == torch.float64
    assert surface.gradient(start).dtype == torch.float64


def test_it_can_be_sent_to_another_process(surface: Surface) -> None:
    copy = pickle.loads(pickle.dumps(surface))  # noqa: S301 (our own bytes)
    points = points_in_the_window(surface, 5)
    assert torch.equal(copy(points), surface(points))


def test_it_cannot_be_changed_by_mistake() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        surfaces.get("beale").name = "other"  # pyright: ignore[reportAttributeAccessIssue]


def test_a_point_of_another_dimension_is_refused() -> None:
    with pytest.raises(ParameterError) as refused:
        surfaces.get("beale")(torch.zeros(5, 3))
    assert str(refused.value) == (
        "surface `beale` has 2 coordinates, but the points have shape (5, 3); give them the shape (..., 2)"
    )


def test_a_bare_number_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"the points have shape \(\)"):
        surfaces.get("beale").gradient(torch.tensor(1.0))


def test_whole_numbers_are_refused_rather_than_rounded() -> None:
    with pytest.raises(ParameterError) as refused:
        surfaces.get("beale").hessian(torch.tensor([3, 0]))
    assert str(refused.value) == (
        "surface `beale` cannot be evaluated at points of dtype torch.int64; convert them with `.to(torch.float64)`"
    )


def test_the_curvature_of_several_points_at_once_is_refused() -> None:
    with pytest.raises(ParameterError) as refused:
        surfaces.get("beale").curvature_at(torch.zeros(4, 2))
    assert str(refused.value) == (
        "surface `beale`: the curvature is that of one point, but the points have shape (4, 2); "
        "give one of them, or use `hessian` for all"
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: surfaces.quadratic(0.5),
            "surface `quadratic`: a condition number is a finite number of at least 1, not 0.5",
        ),
        (
            lambda: surfaces.quadratic(float("nan")),
            "surface `quadratic`: a condition number is a finite number of at least 1, not nan",
        ),
        (
            lambda: surfaces.rosenbrock(a=float("inf")),
            "surface `rosenbrock`: `a` is the x of the minimum, a finite number, not inf",
        ),
        (
            lambda: surfaces.rosenbrock(b=0),
            "surface `rosenbrock`: `b` is the steepness, a finite number above 0, not 0",
        ),
        (lambda: surfaces.rastrigin(1), "surface `rastrigin`: it takes at least 2 dimensions, not 1"),
        (
            lambda: surfaces.styblinski_tang(0),
            "surface `styblinski_tang`: it takes at least 2 dimensions, not 0",
        ),
    ],
)
def test_a_setting_outside_its_range_is_refused(build: Callable[[], Surface], message: str) -> None:
    with pytest.raises(HyperparameterError) as refused:
        build()
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("surface", "name"),
    [
        (surfaces.quadratic(), "quadratic"),
        (surfaces.quadratic(condition=10), "quadratic(condition=10)"),
        (surfaces.quadratic(condition=10.0), "quadratic(condition=10)"),
        (surfaces.rosenbrock(b=2.5), "rosenbrock(b=2.5)"),
        (surfaces.rosenbrock(2, 5), "rosenbrock(a=2, b=5)"),
        (surfaces.rastrigin(dimensions=6), "rastrigin(dimensions=6)"),
        (surfaces.styblinski_tang(2), "styblinski_tang"),
    ],
)
def test_a_variant_is_named_as_it_is_typed(surface: Surface, name: str) -> None:
    assert surface.name == name
