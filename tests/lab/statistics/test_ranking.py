from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.lab.statistics import rank, ranking

inf = math.inf


@pytest.fixture
def _only_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the scores' own intervals, which no place depends on and which take most of the time."""
    monkeypatch.setattr(ranking, "interval", lambda _: None)


only_places = pytest.mark.usefixtures("_only_places")


def places(scores: dict[str, list[float]]) -> dict[str, int]:
    return {standing.name: standing.place for standing in rank(scores)}


def test_what_differs_clearly_is_ranked() -> None:
    scores = {"c": [9.0, 9.1, 8.9, 9.0, 9.1], "a": [1.0, 1.1, 0.9, 1.0, 1.0], "b": [4.0, 4.2, 4.1, 3.9, 4.1]}
    assert places(scores) == {"a": 1, "b": 2, "c": 3}


def test_what_differs_by_chance_only_ties() -> None:
    generator = np.random.default_rng(1)
    scores = {name: generator.normal(1.0, 0.3, 5).tolist() for name in "abcdef"}
    standings = rank(scores)
    assert {standing.place for standing in standings} == {1}
    assert all(standing.tied for standing in standings)


def test_by_ratios_the_erratic_do_not_tie_with_the_best() -> None:
    scores = {"best": [0.20, 0.18, 0.19, 0.20, 0.21], "erratic": [3.3, 2.5, 10.8, 6.8, 3.9]}
    first, last = rank(scores, by="ratios")
    assert (first.name, last.name, last.place) == ("best", "erratic", 2)
    ratios = np.array(scores["erratic"]) / np.array(scores["best"])
    assert last.behind.value == pytest.approx(np.exp(np.log(ratios).mean()) - 1)


def test_ratios_do_not_depend_on_the_unit_of_the_loss() -> None:
    scores = {"a": [1.0, 1.2, 1.1], "b": [1.5, 1.9, 1.6], "c": [1.1, 1.0, 1.2]}
    thousandfold = {name: [1000 * value for value in sample] for name, sample in scores.items()}
    for ours, theirs in zip(rank(scores, by="ratios"), rank(thousandfold, by="ratios"), strict=True):
        assert (ours.name, ours.place) == (theirs.name, theirs.place)
        assert ours.behind.value == pytest.approx(theirs.behind.value)


def test_what_is_not_positive_has_no_ratio_and_is_ranked_by_differences() -> None:
    scores = {"a": [-1.0, -1.1, -0.9], "b": [2.0, 2.1, 1.9]}
    assert rank(scores, by="ratios") == rank(scores)


def test_after_a_tie_of_two_comes_the_third_place() -> None:
    scores = {"a": [1.0, 1.2, 1.1, 1.0, 1.1], "b": [1.1, 1.0, 1.2, 1.1, 1.0], "c": [7.0, 7.1, 7.2, 7.0, 7.1]}
    standings = rank(scores)
    assert [(standing.name, standing.place, standing.tied) for standing in standings] == [
        ("a", 1, True),
        ("b", 1, True),
        ("c", 3, False),
    ]


def test_seeds_that_are_hard_for_all_do_not_hide_a_steady_lead() -> None:
    hard = np.array([1.0, 50.0, 3.0, 20.0, 9.0])
    scores = {"ahead": hard.tolist(), "behind": (hard + np.array([1.0, 1.01, 0.99, 1.0, 1.02])).tolist()}
    assert places(scores) == {"ahead": 1, "behind": 2}


def test_who_diverged_ranks_behind_whoever_did_not_and_ties_with_who_did_too() -> None:
    scores = {"sound": [5.0, 9.0, 7.0], "once": [1.0, 1.0, inf], "always": [inf, inf, inf], "too": [inf, inf, inf]}
    assert places(scores) == {"sound": 1, "once": 2, "always": 3, "too": 3}


def test_one_seed_tells_nobody_apart() -> None:
    assert places({"a": [1.0], "b": [1000.0]}) == {"a": 1, "b": 1}


def test_nobody_is_ranked_among_nobody() -> None:
    assert rank({}) == ()


@only_places
@pytest.mark.parametrize("draw", ["normal", "lognormal"])
@pytest.mark.parametrize("seeds", [5, 10])
def test_the_truly_best_is_set_behind_in_one_race_of_twenty_at_most(draw: str, seeds: int) -> None:
    # Eleven equals: each is as truly the best as the others, so that every one of them counts.
    generator = np.random.default_rng(3)
    behind, contenders = 0, 0
    for _ in range(60):
        table = getattr(generator, draw)(size=(11, seeds))
        found = places({str(i): row for i, row in enumerate(table.tolist())})
        behind += sum(place > 1 for place in found.values())
        contenders += len(found)
    assert behind / contenders <= 0.05


@only_places
def test_ten_seeds_show_what_is_worse_by_two_deviations_and_a_half() -> None:
    generator = np.random.default_rng(4)
    shown = 0
    for _ in range(40):
        table = generator.normal(size=(11, 10))
        table[3] += 2.5
        shown += places({str(i): row for i, row in enumerate(table.tolist())})["3"] > 1
    assert shown >= 38


tables = st.lists(st.lists(st.floats(0, 100), min_size=4, max_size=4), min_size=1, max_size=6)


@given(tables, st.randoms())
def test_the_order_in_which_contenders_are_named_does_not_matter(table: list[list[float]], random: object) -> None:
    scores = {f"m{i}": row for i, row in enumerate(table)}
    shuffled = list(scores.items())
    random.shuffle(shuffled)
    assert places(scores) == places(dict(shuffled))


@given(tables)
def test_places_count_all_who_are_ahead(table: list[list[float]]) -> None:
    standings = rank({f"m{i}": row for i, row in enumerate(table)})
    for standing in standings:
        assert standing.place == 1 + sum(other.place < standing.place for other in standings)
