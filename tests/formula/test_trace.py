"""Tracing: which names a chain's states and numbers get, and what of the formula is kept for drawing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

import thalweg as tw
from thalweg.formula import Direction, Fraction, Level, Update, Zeros, rule, trace
from thalweg.formula.scalar import descend

if TYPE_CHECKING:
    from types import FrameType


def test_names_are_short_while_they_are_unique_and_carry_their_rule_where_they_are_not() -> None:
    alone = tw.chain(tw.adam(), tw.step(0.1)).trace()
    assert [kept.name for kept in alone.states] == ["m", "v"]
    assert list(alone.hyperparameters) == ["beta1", "beta2", "eps"]
    twice = tw.chain(tw.rmsprop(), tw.rmsprop(), tw.adam(), tw.step(0.1)).trace()
    assert [kept.name for kept in twice.states] == ["rmsprop.r", "rmsprop_#2.r", "m", "v"]
    assert {"rmsprop.rho", "rmsprop_#2.rho", "rmsprop.eps", "adam.eps", "beta1"} <= set(twice.hyperparameters)


def test_names_of_the_graphs_own_inputs_and_of_a_groups_own_entries_are_not_taken() -> None:
    @rule(title="Greedy", source="a test")
    def greedy(
        g: Direction, p: Zeros, t: Zeros, *, lr: Fraction = 0.5, params: Fraction = 0.5, chain: Fraction = 0.5
    ) -> Update:
        return lr * g + params * p + chain * t, p + g, t + g

    traced = tw.chain(greedy(), tw.step(0.1)).trace()
    assert [kept.name for kept in traced.states] == ["greedy.p", "greedy.t"]
    assert set(traced.hyperparameters) == {"greedy.lr", "greedy.params", "greedy.chain"}


def test_only_numbers_that_the_graph_asks_for_are_settings() -> None:
    assert "dampening" not in tw.chain(tw.heavy_ball(), tw.step(0.1)).trace().hyperparameters
    assert "dampening" in tw.chain(tw.heavy_ball(form="torch"), tw.step(0.1)).trace().hyperparameters
    assert "rho_update" not in tw.chain(tw.adadelta(), tw.step(1.0)).trace().hyperparameters
    assert "delta0" in tw.chain(tw.rprop()).trace().hyperparameters, "a state starts there"


def test_what_depends_on_the_step_alone_is_told_from_what_every_element_has() -> None:
    traced = tw.chain(tw.adam(), tw.step(0.1)).trace()
    levels = {node.name: node.level for node in descend(traced.parameter) if node.operation == "input"}
    assert levels == {
        "p": Level.ELEMENT, "g": Level.ELEMENT, "m": Level.ELEMENT, "v": Level.ELEMENT,
        "lr": Level.STEP, "t": Level.STEP, "beta1": Level.STEP, "beta2": Level.STEP, "eps": Level.STEP,
    }  # fmt: skip
    assert traced.uses_learning_rate


def test_the_formulas_own_names_are_kept_in_its_order() -> None:
    names = [name for name, _ in trace([tw.adam()], with_names=True).steps_of_formula]
    assert names == ["m", "v", "m_hat", "v_hat"]
    assert not trace([tw.adam()]).steps_of_formula, "only who draws a formula asks for them"


@pytest.mark.skipif(sys.gettrace() is not None, reason="something else is tracing")
def test_tracing_gives_a_profiler_back_its_place() -> None:
    def profiler(frame: FrameType, event: str, argument: object) -> None:
        """Do nothing."""

    sys.setprofile(profiler)
    try:
        trace([tw.adam()], with_names=True)
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


def test_maximize_turns_the_gradient_before_anything_else_sees_it() -> None:
    traced = tw.chain(tw.decay(0.1), tw.step(0.1)).trace(maximize=True)
    assert repr(traced.parameter) == "subtract(p, multiply(lr, add(negative(g), multiply(weight, p))))"


def test_a_chain_reads_as_its_formula() -> None:
    traced = tw.chain(tw.heavy_ball(), tw.step(0.1)).trace()
    assert repr(traced.parameter) == "add(p, subtract(multiply(beta, v), multiply(lr, g)))"
