"""Where downhill leads from the starts, by SciPy's stiff solver: what the remarks say of them is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from scipy.integrate import solve_ivp

from thalweg import surfaces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ARRIVED = 1e-4

ENDS = [
    ("beale", (2, -2), (3, 0.5)),
    ("rosenbrock", (-1.2, 1), (1, 1)),
    ("quadratic", (10, 1), (0, 0)),
    ("saddle", (-1.5, 1e-3), (0, 1)),
    ("two_basins", (-2, 2), (-1.08944, -0.72629)),
    ("two_basins", (2.5, -1.5), (1.45595, 0.97064)),
    ("booth", (-8, 2), (1, 3)),
    ("matyas", (-8, 4), (0, 0)),
    ("himmelblau", (0, 0), (3, 2)),
    ("three_hump_camel", (1.2, 2), (0, 0)),
    ("six_hump_camel", (-0.8, -1), (0.089842, -0.712656)),
    ("styblinski_tang", (4.5, -1), (2.746803, -2.903534)),
    ("goldstein_price", (1.5, -2), (0, -1)),
    ("mccormick", (3.5, -2), (-0.5472, -1.5472)),
    ("easom", (4.5, 1.8), (torch.pi, torch.pi)),
]


def follow(surface: surfaces.Surface, start: tuple[float, ...], time: float) -> torch.Tensor:
    """The path of the gradient flow x' = −∇f(x), one point a row."""

    def downhill(_: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
        point = torch.from_numpy(x.copy()).requires_grad_()
        return -torch.autograd.grad(surface(point), point)[0].numpy()

    solution = solve_ivp(
        downhill,
        (0, time),
        start,
        method="LSODA",
        jac=lambda _, x: -surface.hessian(x).numpy(),
        rtol=1e-8,
        atol=1e-10,
    )
    assert solution.success
    return torch.from_numpy(solution.y.T.copy())


@pytest.mark.parametrize(("name", "start", "end"), ENDS)
def test_the_gradient_flow_ends_in_the_minimum_that_the_remark_names(
    name: str, start: tuple[float, float], end: tuple[float, float]
) -> None:
    surface = surfaces.get(name)
    assert start in surface.starts
    reached = follow(surface, start, 1e4)[-1]
    assert reached.tolist() == pytest.approx(end, abs=ARRIVED)


def test_every_start_is_followed_or_runs_off_or_ends_close_by() -> None:
    elsewhere = [("beale", (-3, 3)), ("rastrigin", (3.4, -2.6)), ("levy13", (2.5, 2.5))]
    followed = {(name, start) for name, start, _ in ENDS} | set(elsewhere)
    assert followed == {(s.name, start) for s in surfaces.catalogue().values() for start in s.starts}


@pytest.mark.parametrize("name", ["rastrigin", "levy13"])
def test_the_gradient_flow_ends_in_a_local_minimum_close_by(name: str) -> None:
    surface = surfaces.get(name)
    end = follow(surface, surface.starts[0], 1e4)[-1]
    assert surface.curvature_at(end).kind == "minimum"
    assert (end - torch.tensor(surface.starts[0])).norm() < 1
    assert surface(end) > surface.minima[0].value + 1


def test_beale_from_minus_3_3_runs_off_along_the_valley_and_never_reaches_the_minimum() -> None:
    beale = surfaces.get("beale")
    path = follow(beale, (-3, 3), 1e6)
    minimum = torch.tensor(beale.minima[0].x, dtype=torch.float64)
    assert (path - minimum).norm(dim=-1).min() > 5
    x, y = path[-1].tolist()
    assert x < -100
    assert x * (1 - y) == pytest.approx(0.99, abs=0.01)
    # In the limit the three terms are (1.5 − c)², (2.25 − 2c)² and (2.625 − 3c)² with the best c = 13.875/14.
    limit = 14.203125 - 13.875**2 / 14
    assert limit == pytest.approx(0.452, abs=1e-4)
    assert limit < beale(path[-1]).item() < 0.47


def test_newton_goes_to_the_saddle_that_descent_leaves() -> None:
    saddle = surfaces.get("saddle")
    assert newton(saddle, saddle.starts[0]) == pytest.approx((0, 0), abs=1e-12)


def test_newton_climbs_to_the_maximum_of_himmelblau() -> None:
    himmelblau = surfaces.get("himmelblau")
    assert newton(himmelblau, (-0.5, -1.0)) == pytest.approx(himmelblau.maxima[0].x, abs=1e-12)


def newton(surface: surfaces.Surface, start: tuple[float, ...]) -> tuple[float, ...]:
    x = torch.tensor(start, dtype=torch.float64)
    for _ in range(10):
        x = x - torch.linalg.solve(surface.hessian(x), surface.gradient(x))
    return tuple(x.tolist())
