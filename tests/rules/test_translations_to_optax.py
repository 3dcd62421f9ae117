"""What a rule says of optax is so, where jax and optax are installed: typed as translated, it takes the same steps."""

from __future__ import annotations

import inspect
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from oracles.gradients import gradients
from tolerances import TORCH, deviation
from translations import RATE, STEPS, Case, both, cases, constant, differing_defaults, our_path, start

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.formula import Rule

jax: Any = pytest.importorskip("jax", reason="jax is not installed: pip install jax optax")
optax: Any = pytest.importorskip("optax", reason="optax is not installed: pip install jax optax")
CASES = cases("optax")


def make(name: str) -> Any:  # noqa: ANN401  # a function of optax's
    return attrgetter(name.removeprefix("optax."))(optax)


def optax_path(case: Case) -> list[Tensor]:
    with jax.enable_x64(True):
        transformation = make(case.translation.name)(**case.values(0, RATE))
        theirs: Any = [jax.numpy.array(value) for value in start()]
        state = transformation.init(theirs)
        arrived: list[Tensor] = []
        for g in gradients(STEPS):
            moves, state = transformation.update([jax.numpy.array(part) for part in both(g)], state, theirs)
            theirs = optax.apply_updates(theirs, moves)
            arrived += [torch.from_numpy(np.array(tensor)) for tensor in theirs]
    return arrived


@pytest.mark.parametrize("case", CASES, ids=str)
def test_optaxs_optimizer_as_translated_takes_the_same_ten_steps(case: Case) -> None:
    assert deviation(our_path(case, constant), optax_path(case)) < TORCH[torch.float64]


@pytest.mark.parametrize("rule", list({case.rule.name: case.rule for case in CASES}.values()), ids=repr)
def test_the_defaults_that_are_not_ours_are_said(rule: Rule) -> None:
    for name in {translation.name for translation in rule.translations if translation.library == "optax"}:
        said, there = differing_defaults(rule, make(name), name=name)
        assert said == {argument: value for argument, value in there.items() if value is not inspect.Parameter.empty}
