"""A race refuses an optimizer that a problem has nothing for, before it begins."""

from __future__ import annotations

import pytest

from thalweg.errors import ChainError, RaceError
from thalweg.lab import contenders, problems
from thalweg.lab.entries import resolve
from thalweg.lab.fit import check_fit, evaluates_apart
from thalweg.lab.program import compile_race
from thalweg.lab.race import Race
from thalweg.optimizer import Optimizer

MUON = "chain(muon(only='matrix'), adam(skip='matrix'), step(lr))"
ROUTE = "route({'matrix': chain(muon(), step(lr)), '*': chain(adam(), step(3e-4))})"


@pytest.mark.parametrize(
    ("optimizer", "problem"),
    [
        ("adam", "booth"),
        ("full_matrix_adagrad", "booth"),
        (MUON, "mnist_mlp"),
        (ROUTE, "mnist_mlp"),
        ("chain(adam(), decay(0.1, skip='bias'), step(lr))", "mnist_softmax"),
        ("chain(lars(only='matrix'), adam(skip='matrix'), step(lr))", "mnist_mlp"),
    ],
)
def test_what_fits_may_race(optimizer: str, problem: str) -> None:
    (reference,) = resolve([problem])
    check_fit(contenders.get(optimizer), reference)


@pytest.mark.parametrize(
    ("optimizer", "problem", "why"),
    [
        ("muon", "booth", "one vector to step, and muon takes tensors of two dimensions or more"),
        (MUON, "booth", "one vector to step, without role or name; race it on a training problem, as mnist_mlp"),
        (ROUTE, "booth", "one vector to step, without role or name"),
        ("chain(adam(), decay(0.1, skip='bias'), step(lr))", "booth", "without role or name"),
        ("full_matrix_adagrad", "mnist_softmax", r"a tensor of 7840 elements needs a matrix of 7840 × 7840"),
        ("muon", "mnist_mlp", r"cannot step `1.bias` \(a bias\): muon takes a hidden weight, .* Send it to another"),
        (MUON, "mnist_softmax", r"muon\(only='matrix'\) has nothing to step there: .* roles are head, bias"),
        (ROUTE, "quadratic_deep", r"muon\(\) has nothing to step there: the parameters' roles are vector"),
        ("route({'head': chain(adam(), step(lr))})", "mnist_mlp", "has no chain for `1.weight`"),
        ("chain(adam(only='layers.*'), adamw(skip='layers.*'), step(lr))", "mnist_mlp", r"`layers.\*` matches no"),
    ],
)
def test_what_does_not_fit_is_told_why(optimizer: str, problem: str, why: str) -> None:
    (reference,) = resolve([problem])
    with pytest.raises(RaceError, match=rf"cannot race on `{problem}`: .*{why}"):
        check_fit(contenders.get(optimizer), reference)


@pytest.mark.parametrize(
    ("typed", "apart"),
    [
        ("chain(adam(), step(0.1))", False),
        ("chain(adam(), step(0.1), ema(0.9))", True),
        ("chain(lars(only='matrix'), adam(skip='matrix'), step(0.1))", False),
        ("route({'matrix': chain(muon(), step(0.1)), '*': chain(schedule_free_adamw(), step(0.1))})", True),
        ("chain(adam(), step(0.1), ema(0.9, only='matrix'))", True),
    ],
)
def test_where_a_model_is_evaluated_is_asked_of_what_steps_it(typed: str, apart: bool) -> None:
    optimizer = Optimizer(problems.get("mnist_mlp").build_model(0), contenders.get(typed).build(1.0))
    assert evaluates_apart(optimizer) is apart


def test_a_race_asks_before_it_begins() -> None:
    with pytest.raises(RaceError, match="`muon` cannot race on `booth`"):
        compile_race(Race(problems=("booth",), optimizers=("adam", "muon")))
    with pytest.raises(ChainError, match="no step follows"):
        compile_race(Race(problems=("booth",), optimizers=("route({'*': chain(adam())})",)))
