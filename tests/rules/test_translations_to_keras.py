"""What a rule says of Keras is so, where Keras is installed: typed as translated, it takes the same steps."""

from __future__ import annotations

import contextlib
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
import torch

from oracles.gradients import gradients
from tolerances import TORCH, deviation
from translations import STEPS, Case, both, cases, constant, differing_defaults, falling, our_path, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from thalweg.formula import Rule

os.environ.setdefault("KERAS_BACKEND", "jax" if find_spec("jax") else "torch")
keras = pytest.importorskip("keras", reason="Keras is not installed: pip install keras")
CASES = cases("Keras")
IN_SINGLE_PRECISION = {"keras.optimizers.Adafactor": 1e-6}
"""What Keras keeps in float32 whatever its parameters are in, and how near it comes."""
WITHOUT_TWIN = {"Ftrl", "LossScaleOptimizer", "MultiOptimizer", "Muon", "Optimizer", "OptimizerMap"}
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    keras.config.set_floatx("float64")
    wide = pytest.importorskip("jax").enable_x64(True) if keras.backend.backend() == "jax" else contextlib.nullcontext()
    with wide:
        yield


def tolerance(case: Case) -> float:
    return IN_SINGLE_PRECISION.get(case.translation.name, TORCH[torch.float64])


def keras_path(case: Case, rate: Callable[[int], float]) -> list[Tensor]:
    if case.rule.name == "schedule_free_adamw" and keras.backend.backend() == "torch":
        pytest.skip("on torch, Keras overwrites a value that it has not read yet; pip install jax")
    variables = [keras.Variable(value, dtype="float64") for value in start()]
    make = getattr(keras.optimizers, case.translation.name.removeprefix("keras.optimizers."))
    optimizer = make(**case.values(0, rate(0)))
    arrived: list[Tensor] = []
    for k, g in enumerate(gradients(STEPS)):
        for argument, value in case.values(k, rate(k)).items():
            setattr(optimizer, argument, value)
        optimizer.apply([keras.ops.convert_to_tensor(gradient, dtype="float64") for gradient in both(g)], variables)
        arrived += [torch.as_tensor(keras.ops.convert_to_numpy(variable).copy()) for variable in variables]
    return arrived


@pytest.mark.parametrize("case", CASES, ids=str)
def test_keras_optimizer_as_translated_takes_the_same_ten_steps(case: Case) -> None:
    assert deviation(our_path(case, constant), keras_path(case, constant)) < tolerance(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_also_does_so_while_the_rate_changes_unless_it_says_otherwise(case: Case) -> None:
    apart = deviation(our_path(case, falling), keras_path(case, falling))
    if case.translation.needs_constant_rate:
        assert apart > 1e-3
    else:
        assert apart < tolerance(case)


@pytest.mark.parametrize("rule", list({case.rule.name: case.rule for case in CASES}.values()), ids=repr)
def test_the_defaults_that_are_not_ours_are_said(rule: Rule) -> None:
    for name in {t.name for t in rule.translations if t.library == "Keras"}:
        make = getattr(keras.optimizers, name.removeprefix("keras.optimizers."))
        said, there = differing_defaults(rule, make, name=name)
        assert said == there


def test_every_optimizer_of_keras_that_the_catalogue_has_is_translated_to() -> None:
    theirs = {name for name, kind in vars(keras.optimizers).items() if isinstance(kind, type)}
    assert {case.translation.name.removeprefix("keras.optimizers.") for case in CASES} == theirs - WITHOUT_TWIN
