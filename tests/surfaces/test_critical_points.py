"""The listed critical points are critical, of the kind they are listed as, complete, and in the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from thalweg import surfaces

if TYPE_CHECKING:
    from thalweg.surfaces import Surface

DISTANCE = 1e-12  # that Newton's step from a listed point may have, relative to the window
VALUE = 1e-12  # error of a listed value, relative to the values in play

CATALOGUE = list(surfaces.catalogue().values())
VARIANTS = [
    *CATALOGUE,
    surfaces.quadratic(1),
    surfaces.quadratic(1e4),
    surfaces.rosenbrock(a=3),
    surfaces.rosenbrock(a=-2, b=7),
    surfaces.rastrigin(5),
    surfaces.styblinski_tang(3),
]
# Their remarks say which of the points are listed.
INCOMPLETE = {"rastrigin", "levy13", "easom"}


@pytest.fixture(params=VARIANTS, ids=lambda surface: surface.name)
def surface(request: pytest.FixtureRequest) -> Surface:
    return request.param


def test_the_gradient_vanishes_at_each(surface: Surface) -> None:
    extent = max(high - low for low, high in surface.window)
    for point in surface.critical_points:
        x = torch.tensor(point.x, dtype=torch.float64)
        newton_step = torch.linalg.solve(surface.hessian(x), surface.gradient(x))
        assert newton_step.norm() <= DISTANCE * extent


def test_the_value_at_each_is_the_listed_one(surface: Surface) -> None:
    scale = max(1.0, *(abs(point.value) for point in surface.critical_points))
    for point in surface.critical_points:
        assert surface(point.x).item() == pytest.approx(point.value, rel=0, abs=VALUE * scale)


def test_each_is_of_the_kind_it_is_listed_as(surface: Surface) -> None:
    kinds = [surface.curvature_at(point.x).kind for point in surface.critical_points]
    assert kinds.count("minimum") == len(surface.minima)
    assert kinds.count("saddle") == len(surface.saddles)
    assert kinds == sorted(kinds, key=["minimum", "saddle", "maximum"].index)


def test_the_global_minima_are_the_lowest_points_and_stand_first(surface: Surface) -> None:
    lowest = min(minimum.value for minimum in surface.minima)
    are_global = [minimum.is_global for minimum in surface.minima]
    assert are_global == [minimum.value == lowest for minimum in surface.minima]
    assert are_global == sorted(are_global, reverse=True)
    assert not any(point.is_global for point in surface.saddles + surface.maxima)


def test_no_point_is_listed_twice(surface: Surface) -> None:
    places = torch.tensor([point.x for point in surface.critical_points], dtype=torch.float64)
    distances = torch.cdist(places, places) + torch.eye(len(places)) * 1e9
    assert distances.min() > 1e-3


def test_the_window_shows_starts_and_critical_points(surface: Surface) -> None:
    places = [point.x for point in surface.critical_points] + list(surface.starts)
    for place in places:
        assert len(place) == surface.dimension
        for coordinate, (low, high) in zip(place, surface.window, strict=True):
            margin = 0.02 * (high - low)
            assert low + margin <= coordinate <= high - margin


@pytest.mark.parametrize("bounded", [s for s in VARIANTS if s.name != "mccormick"], ids=lambda s: s.name)
def test_nothing_in_the_window_is_lower_than_a_global_minimum(bounded: Surface) -> None:
    generator = torch.Generator().manual_seed(0)
    low, high = torch.tensor(bounded.window, dtype=torch.float64).T
    share = torch.rand(50_000, bounded.dimension, dtype=torch.float64, generator=generator)
    assert bounded(low + (high - low) * share).min() >= bounded.minima[0].value


def test_mccormick_is_lowest_at_its_minimum_inside_its_customary_domain() -> None:
    mccormick = surfaces.get("mccormick")
    x, y = torch.linspace(-1.5, 4, 500, dtype=torch.float64), torch.linspace(-3, 4, 500, dtype=torch.float64)
    assert mccormick(torch.cartesian_prod(x, y)).min() >= mccormick.minima[0].value
    one_period_down = torch.tensor(mccormick.minima[0].x, dtype=torch.float64) - torch.pi
    fall = mccormick.minima[0].value - mccormick(one_period_down).item()
    assert fall == pytest.approx(torch.pi, rel=1e-12)


@pytest.mark.parametrize("complete", [s for s in CATALOGUE if s.name not in INCOMPLETE], ids=lambda s: s.name)
def test_newton_from_everywhere_in_the_window_finds_exactly_the_listed_ones(complete: Surface) -> None:
    low, high = torch.tensor(complete.window, dtype=torch.float64).T
    steps = torch.linspace(0, 1, 41, dtype=torch.float64)
    x = low + (high - low) * torch.cartesian_prod(steps, steps)
    steepest = complete.gradient(x).norm(dim=-1).max()
    longest = 0.05 * (high - low).min()
    for _ in range(100):
        gradient = complete.gradient(x)
        step = torch.linalg.solve_ex(complete.hessian(x), gradient.unsqueeze(-1)).result[..., 0]
        step = torch.where(step.isfinite().all(-1, keepdim=True), step, gradient)  # where the Hessian has no inverse
        x = x - step * (longest / step.norm(dim=-1, keepdim=True).clamp(min=longest))
    arrived = x[((x >= low) & (x <= high)).all(-1) & (complete.gradient(x).norm(dim=-1) < 1e-9 * steepest)]
    listed = torch.tensor([point.x for point in complete.critical_points], dtype=torch.float64)
    distances = torch.cdist(arrived, listed)
    assert distances.min(dim=1).values.max() < 1e-5  # each one found is listed
    assert distances.min(dim=0).values.max() < 1e-5  # each one listed is found
