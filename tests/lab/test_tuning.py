from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.lab import contenders
from thalweg.lab.grid import Grid
from thalweg.lab.scoring import WORST, Score
from thalweg.lab.tuning import Extension, best_trial, choose, more_trials

GRID = Grid.around(0.1, trials=5)
EXTENSION = Extension(trials=2, limit=4)
ADAM = contenders.get("adam")


def scored(*values: float, first: int = 0) -> dict[int, Score]:
    return {first + i: Score(value, 0.0) for i, value in enumerate(values)}


def test_the_smallest_score_wins() -> None:
    assert best_trial(scored(3, 1, 2, 4, math.inf)) == 1


def test_between_equals_the_second_criterion_decides() -> None:
    assert best_trial({0: Score(1.0, 5.0), 1: Score(1.0, 2.0), 2: Score(1.0, 3.0)}) == 1


def test_between_equals_in_all_the_smaller_rate_wins() -> None:
    assert best_trial(scored(2, 1, 1, 1, 2)) == 1


def test_nothing_wins_where_everything_diverged() -> None:
    assert best_trial({0: WORST, 1: WORST}) is None


@pytest.mark.parametrize(
    ("scores", "more"),
    [
        (scored(3, 2, 1, 2, 3), ()),
        (scored(1, 2, 3, 4, 5), (-2, -1)),
        (scored(5, 4, 3, 2, 1), (5, 6)),
        (scored(5, 4, 3, 2, 1, 0, 0.5), ()),
        (scored(9, 9, 9, 9, 9, 9, 8), (7, 8)),
        (scored(1, *[2] * 8, first=-4), ()),
        (scored(*[math.inf] * 5), (-2, -1)),
        (scored(1, math.inf, math.inf, math.inf, math.inf), (-2, -1)),
    ],
    ids=[
        "best inside",
        "best lowest",
        "best highest",
        "best inside the extension",
        "best still highest",
        "limit reached",
        "all diverged",
        "only the lowest survived",
    ],
)
def test_a_search_goes_on_beyond_the_edge_its_best_lies_on(scores: dict[int, Score], more: tuple[int, ...]) -> None:
    assert more_trials(scores, GRID, EXTENSION) == more


def test_an_odd_limit_is_kept() -> None:
    assert more_trials(scored(1, 2, 3, 4, 5), GRID, Extension(trials=2, limit=1)) == (-1,)


def test_what_cannot_be_tuned_is_not_extended() -> None:
    assert more_trials(scored(1), Grid.around(1.0, trials=1), EXTENSION) == ()


scores = st.one_of(st.floats(-5, 5), st.just(math.inf))


@given(st.lists(scores, min_size=30, max_size=30), st.integers(2, 8), st.integers(0, 9))
def test_every_search_ends_with_its_best_inside_or_its_limit_reached(
    landscape: list[float], trials: int, limit: int
) -> None:
    grid, extension = Grid.around(0.1, trials=trials), Extension(trials=2, limit=limit)
    known = {trial: Score(landscape[trial + 9], 0.0) for trial in range(trials)}
    while more := more_trials(known, grid, extension):
        assert not set(more) & set(known)
        known |= {trial: Score(landscape[trial + 9], 0.0) for trial in more}
    assert sorted(known) == list(range(min(known), max(known) + 1))
    best = best_trial(known)
    at_edge = best is None or best in {min(known), max(known)}
    assert len(known) == trials + limit if at_edge else len(known) <= trials + limit
    assert choose("p", ADAM, grid, known, final_score=None).on_edge == at_edge


def test_a_choice_says_why() -> None:
    choice = choose("digits", ADAM, GRID, scored(3, 1, 2, 4, math.inf), final_score=0.9)
    assert (choice.trial, choice.tuned, choice.score, choice.final_score) == (1, {"lr": 0.0316}, 1, 0.9)
    assert (choice.on_edge, choice.trials, choice.extensions) == (False, 5, 0)
    assert choice.why == "the best of 5 rates from 0.01 to 1; 1 diverged"


def test_a_choice_says_that_the_search_went_on_and_is_still_on_the_edge() -> None:
    choice = choose("digits", ADAM, GRID, scored(1, 2, 3, 4, 5, 6, 7, first=-2), final_score=None)
    assert (choice.trial, choice.on_edge, choice.trials, choice.extensions) == (-2, True, 7, 2)
    assert choice.why == (
        "the best of 7 rates from 0.001 to 1, 2 below the first grid because the best lay on its edge; "
        "still on the edge, a better one may lie beyond"
    )


def test_a_choice_among_equals_says_how_many() -> None:
    assert choose("digits", ADAM, GRID, scored(2, 1, 1, 1, 2), final_score=None).why == (
        "the best of 5 rates from 0.01 to 1; the smallest of 3 equals"
    )


def test_a_choice_among_the_diverged_is_none() -> None:
    choice = choose("digits", ADAM, GRID, scored(*[math.inf] * 5), final_score=None)
    assert (choice.trial, choice.tuned, choice.score, choice.on_edge) == (None, {}, math.inf, True)
    assert choice.why == "every one of 5 rates from 0.01 to 1 diverged"


def test_a_fixed_chain_has_nothing_to_choose() -> None:
    fixed = contenders.get("chain(adam(), step(0.001))")
    choice = choose("digits", fixed, fixed.grid(trials=5), scored(1), final_score=None)
    assert (choice.trial, choice.tuned, choice.on_edge) == (0, {}, False)
    assert choice.why == "nothing to tune: the chain is run as typed"
