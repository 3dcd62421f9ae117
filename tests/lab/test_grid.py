from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.lab.grid import Grid


def test_a_grid_has_its_centre_in_the_middle() -> None:
    assert Grid.around(0.1, trials=3).rates() == (0.0316, 0.1, 0.316)


def test_of_an_even_number_of_rates_one_more_lies_below_the_centre() -> None:
    assert Grid.around(0.1, trials=2).rates() == (0.0316, 0.1)


def test_a_grid_between_two_rates_begins_and_ends_there() -> None:
    assert Grid.between(0.01, 10.0, trials=4).rates() == (0.01, 0.1, 1.0, 10.0)


@pytest.mark.parametrize(("bounds", "trials"), [((0.1, 0.1), 3), ((0.01, 1.0), 1)])
def test_where_bounds_leave_no_room_the_grid_is_around_their_middle(bounds: tuple[float, float], trials: int) -> None:
    assert Grid.between(*bounds, trials=trials) == Grid.around(0.1, trials=trials)


@given(st.floats(1e-8, 1e4), st.integers(1, 30), st.integers(-10, 40))
def test_a_grid_goes_on_beyond_its_edges_in_the_same_steps(centre: float, trials: int, trial: int) -> None:
    grid = Grid.around(centre, trials=trials)
    assert grid.rate(trial + 2) / grid.rate(trial) == pytest.approx(10, rel=0.01)


@given(st.floats(1e-8, 1e4), st.integers(1, 30))
def test_rates_are_printed_as_they_are_run(centre: float, trials: int) -> None:
    for rate in Grid.around(centre, trials=trials).rates():
        assert float(f"{rate:.3g}") == rate
