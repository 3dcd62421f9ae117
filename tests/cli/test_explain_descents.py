"""`thalweg explain` of a descent, named or typed, and of its parts."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from thalweg import descent
from thalweg.cli.app import app
from thalweg.descent import titles
from thalweg.descent.directions.direction import Direction
from thalweg.descent.steps.step_size import StepSize
from thalweg.errors import ChainError, DescentError, UnknownNameError
from thalweg.lab.typed_chain import read_typed

if TYPE_CHECKING:
    from torch import Tensor

COMPOSED = (
    "descent(direction=lbfgs(memory=5), step_size=armijo(c1=0.1), stop=gradient_norm(1e-08, order=2) | iterations(9))"
)


def explained(what: str, width: int = 200) -> str:
    answer = CliRunner().invoke(app, ["explain", what], env={"COLUMNS": str(width)})
    assert answer.exit_code == 0, answer.output + str(answer.exception)
    return " ".join(answer.stdout.split())


DESCENTS = {name: method for name, method in descent.methods().items() if isinstance(method, descent.Descent)}
ROUTINES = {name: method for name, method in descent.methods().items() if isinstance(method, descent.Routine)}


@pytest.mark.parametrize("name", DESCENTS)
def test_explain_says_of_every_descent_what_a_user_asks(name: str) -> None:
    method = DESCENTS[name]
    printed = explained(name)
    assert repr(method) in printed
    for part in (method.direction, method.step_size, *method.stop.parts):
        assert " ".join(str(inspect.getdoc(part)).split())[:60] in printed
        numbers = [known for known in dataclasses.fields(part) if "range" in known.metadata]
        assert all(known.name in printed and known.metadata["source"] in printed for known in numbers)
    for word in (
        "Spends where it stands: the gradient",
        "Keeps of n variables: ",
        "When ",
        f"minimize(f, x0, '{name}')",
    ):
        assert word in printed
    assert method.direction.when in printed
    assert isinstance(method.step_size, StepSize)
    assert method.step_size.spends in printed


@pytest.mark.parametrize("name", ROUTINES)
def test_explain_says_of_every_routine_what_a_user_asks(name: str) -> None:
    routine = ROUTINES[name]
    printed = explained(name)
    assert f"{titles.TITLES[name]} {name} {routine!r} {' '.join(str(inspect.getdoc(routine)).split())[:60]}" in printed
    assert ("Asks for values of the function alone" in printed) == (routine.derivatives == 0)
    assert ("bounds=[…]" in printed) == (routine.bounds == "needed")
    assert all(
        f"{known.name} {type(routine).__name__}" in printed
        for known in dataclasses.fields(routine)
        if "range" in known.metadata
    )


def test_every_method_has_a_title() -> None:
    assert descent.methods().keys() == DESCENTS.keys() | ROUTINES.keys() <= titles.TITLES.keys()


def with_outputs(x: Tensor) -> tuple[Tensor, Tensor]:
    outputs = 1 * x
    return (outputs**4).sum() + (outputs.sum() - 1) ** 2, outputs


def test_what_a_descent_says_that_it_spends_is_what_it_is_counted_for() -> None:
    dense = {name for name, method in DESCENTS.items() if "n products" in method.direction.spends}
    for name, method in DESCENTS.items():
        found = descent.minimize(with_outputs, [1.0, 2.0, -1.0], name, max_iter=2)
        products = "product" in method.direction.spends + str(getattr(method.step_size, "spends", ""))
        assert (found.nhvp > 0) == products, name
        assert (found.nhvp == 3 * found.nit) or name not in dense, name


def test_every_direction_that_makes_a_matrix_says_how_large_it_is() -> None:
    directions = [part for name in descent.__all__ if isinstance(part := getattr(descent, name), type)]
    needing = {"preconditioned", "Direction"}
    directions = [part() for part in directions if issubclass(part, Direction) and part.__name__ not in needing]
    assert {part for part in directions if part.has_matrix} == {
        part for part in directions if "n² numbers" in part.keeps
    }
    assert not descent.gauss_newton(solver="cg").has_matrix


def test_a_conjugate_direction_says_what_its_beta_is_of() -> None:
    assert "d = −g + β·(the last d)" in explained("fletcher_reeves")


def test_a_typed_descent_is_read_and_explained() -> None:
    assert repr(read_typed(COMPOSED)) == COMPOSED
    printed = explained(COMPOSED)
    for words in (
        "memory lbfgs 10 5 whole",
        "c1 armijo 0.0001 0.1 (0, 1)",
        "Stops gradient_norm",
        "iterations So many",
    ):
        assert words in printed


def test_a_number_or_a_schedule_is_a_step_size_too() -> None:
    assert "known beforehand: 0.1 " in explained("descent(direction=steepest(), step_size=0.1)")
    typed = "descent(direction=steepest(), step_size=0.1 * tw.cosine(1.0, steps=9))"
    assert "known beforehand: 0.1 * cosine(1.0, steps=9)" in explained(typed)


@pytest.mark.parametrize(
    "what", ["armijo", "polak_ribiere", "gradient_norm", "preconditioned", "trust_region(radius=2.0)"]
)
def test_a_part_is_explained_by_itself(what: str) -> None:
    part = getattr(descent, what.partition("(")[0])
    assert " ".join(str(inspect.getdoc(part)).split()) in explained(what)


@pytest.mark.parametrize(
    ("typed", "error", "said"),
    [
        ("descent(direction=bfg())", UnknownNameError, "there is no `bfg`; did you mean `bfgs`"),
        ("descent(direction=bfgs)", ChainError, "`bfgs` is called with its settings: write `bfgs()`"),
        ("descent(direction=dogleg(), step_size=0.1)", DescentError, "must be told how far it may go"),
        ("descent(step_size=0.1)", ChainError, "missing 1 required keyword-only argument: 'direction'"),
        ("descent(direction=bfgs(), stop=1 | 2)", ChainError, "`1 | 2` is more than a typed chain holds"),
    ],
)
def test_what_is_no_descent_says_so(typed: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as raised:
        read_typed(typed)
    assert said in str(raised.value)


@pytest.mark.parametrize("name", descent.trainers())
def test_explain_says_of_every_trainer_what_a_user_asks(name: str) -> None:
    trainer = descent.trainers()[name]
    printed = explained(name)
    assert f"{titles.TITLES[name]} {name} {trainer!r} {' '.join(str(inspect.getdoc(trainer)).split())[:60]}" in printed
    assert f"Spends for a step: {trainer.spends} When {trainer.when}" in printed
    assert f"tw.{trainer.optimizer_name}(model, …); thalweg race mnist_mlp --optimizers {name},adam" in printed
    assert all(
        f"{known.name} {type(trainer).__name__}" in printed
        for known in dataclasses.fields(trainer)
        if "range" in known.metadata
    )


def test_a_typed_trainer_is_explained_with_what_is_set() -> None:
    typed = "by_minibatch('hessian_free', batches=2, curvature=0.5)"
    assert "batches by_minibatch 1 2 whole, [1, ∞)" in explained(typed)
    assert "damping kfac 0.01 0.5 [0, ∞)" in explained("kfac(damping=0.5)")
