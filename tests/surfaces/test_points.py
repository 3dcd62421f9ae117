"""What follows from the eigenvalues at a point."""

from __future__ import annotations

from math import inf

import pytest

from thalweg.surfaces import Curvature


@pytest.mark.parametrize(
    ("eigenvalues", "kind", "condition_number", "largest_stable_rate"),
    [
        ((2.0, 18.0), "minimum", 9, 1 / 9),
        ((-27.75, 27.75), "saddle", 1, 2 / 27.75),
        ((-8.0, -2.0), "maximum", 4, inf),
        ((0.0, 4.0), "degenerate", inf, 0.5),
        ((1e-17, 4.0), "degenerate", 4e17, 0.5),
        ((0.0, 0.0), "degenerate", inf, inf),
    ],
)
def test_kind_condition_and_rate_follow_from_the_eigenvalues(
    eigenvalues: tuple[float, ...], kind: str, condition_number: float, largest_stable_rate: float
) -> None:
    curvature = Curvature(eigenvalues)
    assert curvature.kind == kind
    assert curvature.condition_number == pytest.approx(condition_number)
    assert curvature.largest_stable_rate == pytest.approx(largest_stable_rate)
