"""What a plan says of a step: which arrays are read and written, and what is computed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import thalweg as tw
from descents import RULES, usual_chain
from thalweg.formula.scalar import descend
from thalweg.kernels import CHECK, plan

if TYPE_CHECKING:
    from thalweg.formula import Stage
    from thalweg.kernels.plan import Plan


def plan_of(stage: str | Stage) -> Plan:
    return plan(usual_chain(stage).trace())


@pytest.mark.parametrize(
    ("stage", "reads", "writes"),
    [
        (tw.gradient_descent(), "p g", "p"),
        (tw.heavy_ball(), "p g v", "p v"),
        (tw.adam(), "p g m v", "p m v"),
        (tw.adam(amsgrad=True), "p g m v v_max", "p m v v_max"),
        (tw.adagrad(), "p g r", "p r"),
        (tw.rmsprop(centred=True), "p g r mean", "p r mean"),
        (tw.rprop(), "p g g_prev delta", "p g_prev delta"),
        (tw.rprop(form="rprop+"), "p g g_prev delta move", "p g_prev delta move"),
    ],
    ids=repr,
)
def test_a_step_reads_and_writes_what_it_must_and_nothing_else(stage: Stage, reads: str, writes: str) -> None:
    planned = plan_of(stage)
    assert planned.loads == tuple(reads.split())
    assert tuple(slot for slot, _ in planned.stores) == tuple(writes.split())
    assert planned.bytes_per_parameter() == 4 * (len(reads.split()) + len(writes.split()))
    assert planned.bytes_per_parameter(itemsize=2) == planned.bytes_per_parameter() // 2


def test_adam_moves_28_bytes_per_parameter() -> None:
    assert plan_of("adam").bytes_per_parameter() == 28


@pytest.mark.parametrize("rule", RULES)
def test_only_rules_with_a_step_count_need_new_constants_at_every_step(rule: str) -> None:
    traced = usual_chain(rule).trace()
    asked = {node.name for node in descend(traced.parameter, *(kept.after for kept in traced.states))}
    assert plan_of(rule).depends_on_step == ("t" in asked)
    assert plan_of("adam").depends_on_step
    assert not plan_of("rprop").depends_on_step
    assert plan_of(tw.adagrad(rate_decay=0.1)).depends_on_step
    assert not plan_of(tw.adam(bias_correction=False)).depends_on_step


@pytest.mark.parametrize("rule", RULES)
def test_constants_are_computed_from_the_step_the_rate_and_the_hyperparameters(rule: str) -> None:
    planned = plan_of(rule)
    known = {"t", "lr", *tw.rules.get(rule).hyperparameters}
    assert set(planned.inputs) <= known
    chain = usual_chain(rule)
    numbers = {"t": 3, **chain.numbers(chain.trace())}
    values = planned.compute_constants(*(numbers[name] for name in planned.inputs))
    assert len(values) == len(planned.constants)


def test_the_plan_that_looks_writes_nothing() -> None:
    assert CHECK.slots == ("p", "g")
    assert CHECK.bytes_per_parameter() == 0
