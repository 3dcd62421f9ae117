"""Which states are never negative is read off their formulas."""

from __future__ import annotations

import pytest

import thalweg as tw
from descents import usual_chain
from thalweg.formula import Direction, NonNegative, Range, Update, Zeros, maximum, rule, where
from thalweg.formula.bounds import never_negative

NEVER_NEGATIVE = {
    **dict.fromkeys(("adam", "adamw", "nadam", "radam", "qhadam", "ademamix", "adopt", "lamb", "prodigy"), "v"),
    **dict.fromkeys(("adagrad", "rmsprop", "rmsprop_momentum"), "r"),
    "adadelta": "q r",
    "adamax": "u",
    "adabelief": "s",
    "adan": "n",
    "rprop": "delta",
    "delta_bar_delta": "gain",
    "d_adapt_adam": "v",
    "esgd": "squares",
    "schedule_free_adamw": "v",
}


def found(chain: tw.Chain) -> list[str]:
    traced = chain.trace()
    ranges = {
        name: chain.rules[at].rule.hyperparameters[own].range for name, (at, own) in traced.hyperparameters.items()
    }
    return sorted(never_negative(traced, ranges | {"lr": Range(0)}))


@pytest.mark.parametrize("name", tw.rules.catalogue())
def test_the_catalogues_second_moments_are_found(name: str) -> None:
    assert found(usual_chain(name)) == NEVER_NEGATIVE.get(name, "").split()


def test_a_state_depends_on_its_start_its_numbers_and_the_states_beside_it() -> None:
    def made(g: Direction, a: Zeros, b: Zeros, c: Zeros, d: Zeros, *, k: float = 1, n: NonNegative = 1) -> Update:
        a = a + n * abs(g)
        b = b + k * abs(g)
        c = where(g > 0, maximum(g, a), c / 2)
        d = d + c - a
        return g, a, b, c, d

    stage = rule(title="Four states", source="a test")(made)
    assert found(tw.chain(stage(), tw.step(0.1))) == ["a", "c"]
    assert found(tw.chain(tw.accumulate(2), tw.adam(), tw.step(0.1))) == ["v"]
