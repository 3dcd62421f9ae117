"""Every rule in every dialect takes the steps of its oracle, on both backends and in both full precisions."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import usual_chain
from dialects import DIALECTS, Dialect
from given_dialects import GIVEN_DIALECTS
from model_dialects import MODEL_DIALECTS
from oracles.gradients import START, gradients
from tolerances import ORACLE, ORACLE_OF_POSITIONS, deviation

if TYPE_CHECKING:
    from thalweg.formula import Stage
    from thalweg.optimizer.layout import Backend


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_rule_takes_the_steps_of_its_oracle(dialect: Dialect, backend: Backend, dtype: torch.dtype) -> None:
    parameter = torch.from_numpy(START.copy()).to(dtype).requires_grad_()
    optimizer = tw.Optimizer([parameter], usual_chain(dialect.stage, dialect.schedule), backend=backend)
    rate = dialect.rate if dialect.rule == "rprop" else dialect.schedule
    oracle = dialect.oracle(parameter.detach().double().numpy(), rate, **dialect.oracle_settings)
    path, expected = [], []
    for g in gradients(zeros=not dialect.needs_gradients):
        parameter.grad = torch.from_numpy(g).to(dtype)
        optimizer.step()
        path.append(parameter.detach().clone())
        expected.append(torch.from_numpy(oracle.step(parameter.grad.double().numpy())))
    assert deviation(path, expected) <= (ORACLE_OF_POSITIONS if dialect.keeps_positions else ORACLE)[dtype]


def test_every_choice_of_options_has_an_oracle() -> None:
    covered = {_choice(d.stage) for d in DIALECTS}
    chains = [dialect.chain(lambda _: 0.1) for dialect in (*MODEL_DIALECTS, *GIVEN_DIALECTS)]
    covered |= {_choice(stage) for chain in chains for stage in chain.rules}
    others = (tw.clip, tw.cautious, tw.mars, tw.ema, tw.polyak, tw.swa, tw.lookahead)
    for rule in (*tw.rules.catalogue().values(), *others):
        choices = [[(h.name, c) for c in h.choices] for h in rule.hyperparameters.values() if h.is_option]
        assert {(rule.name, *choice) for choice in itertools.product(*choices)} <= covered


def _choice(stage: Stage) -> tuple[object, ...]:
    options = [h.name for h in stage.rule.hyperparameters.values() if h.is_option]
    return stage.rule.name, *((name, stage.values[name]) for name in options)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_adamax_divides_by_its_memory_and_eps_where_eps_stands_in_the_division(dtype: torch.dtype) -> None:
    parameter = torch.tensor([1.0, 2.0, 3.0], dtype=dtype, requires_grad=True)
    optimizer = tw.Optimizer([parameter], tw.chain(tw.adamax(eps=0.5, epsilon="division"), tw.step(0.1)))
    parameter.grad = torch.tensor([0.0, 0.5, -1.5], dtype=dtype)
    optimizer.step()
    expected = torch.tensor([1.0, 2.0 - 0.1 * 0.5 / 1.0, 3.0 + 0.1 * 1.5 / 2.0], dtype=torch.float64)
    assert deviation([parameter], [expected]) <= ORACLE[dtype]
