"""A rule that contains another gives it at the right setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import descend, parameters, usual_chain
from tolerances import FORMULAS, deviation

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.chain import Chain
    from thalweg.formula import Stage

RATE = tw.step(0.05)
PAIRS = {
    "heavy ball without memory is gradient descent": (tw.heavy_ball(0), tw.gradient_descent()),
    "torch's heavy ball without memory is gradient descent": (tw.heavy_ball(0, form="torch"), tw.gradient_descent()),
    "the averaged heavy ball without memory is gradient descent": (
        tw.heavy_ball(0, form="averaged"),
        tw.gradient_descent(),
    ),
    "Nesterov without memory is gradient descent": (tw.nesterov(0), tw.gradient_descent()),
    "torch's Nesterov without memory is gradient descent": (tw.nesterov(0, form="torch"), tw.gradient_descent()),
    "at a constant rate, torch's heavy ball is the classical one": (tw.heavy_ball(form="torch"), tw.heavy_ball()),
    "at a constant rate, torch's Nesterov is the shifted one": (tw.nesterov(form="torch"), tw.nesterov()),
    "RMSProp with momentum, without it, is RMSProp": (tw.rmsprop_momentum(0), tw.rmsprop()),
    "AdamW without decay is Adam": (tw.adamw(weight_decay=0), tw.adam()),
    "Adam without momentum and correction is RMSProp": (
        tw.adam(0, beta2=0.9, bias_correction=False),
        tw.rmsprop(0.9),
    ),
    "Signum without memory is sign descent": (tw.signum(0), tw.sign_descent()),
    "Lion with one memory is Signum": (tw.lion(0.8, beta2=0.8), tw.signum(0.8)),
    "QHM without its average is gradient descent": (tw.qhm(0), tw.gradient_descent()),
    "QHM with nothing but its average is the averaged heavy ball": (
        tw.qhm(1, beta=0.9),
        tw.heavy_ball(0.9, form="averaged"),
    ),
    "QHAdam with nothing but its averages is Adam": (tw.qhadam(1, nu2=1, beta1=0.9), tw.adam()),
    "AdEMAMix without its slow average is Adam": (tw.ademamix(alpha_slow=0), tw.adam()),
    "AdEMAMix warmed up within one step is AdEMAMix": (
        tw.ademamix(alpha_warmup=1, beta3_warmup=1),
        tw.ademamix(),
    ),
    "Adan without a look ahead is Adam with its memories": (tw.adan(beta2=0), tw.adam(0.98, beta2=0.99)),
    "Adan that decays by nothing is Adan": (tw.adan(weight_decay=0), tw.adan()),
    "NAdam without momentum is Adam without it": (tw.nadam(0), tw.adam(0)),
    "AdaDelta's two memories are one by default": (tw.adadelta(0.9, rho_update=0.9), tw.adadelta(0.9)),
}


@pytest.mark.parametrize(("wide", "narrow"), PAIRS.values(), ids=PAIRS)
def test_at_the_right_setting(wide: Stage, narrow: Stage) -> None:
    assert deviation(path(usual_chain(wide)), path(usual_chain(narrow))) <= FORMULAS[torch.float64]


CHAINS = {
    "Adam then decay is AdamW": (tw.chain(tw.adam(), tw.decay(0.1), RATE), tw.chain(tw.adamw(weight_decay=0.1), RATE)),
    "RMSProp then torch's heavy ball is RMSProp with torch's momentum": (
        tw.chain(tw.rmsprop(), tw.heavy_ball(form="torch"), RATE),
        tw.chain(tw.rmsprop_momentum(form="torch"), RATE),
    ),
    "RMSProp then a heavy ball is RMSProp with momentum": (
        tw.chain(tw.rmsprop(), tw.heavy_ball(), RATE),
        tw.chain(tw.rmsprop_momentum(), RATE),
    ),
    "QHM with nu = beta is Nesterov momentum at a rate divided by 1 - beta": (
        tw.chain(tw.qhm(0.75, beta=0.75), tw.step(0.2)),
        tw.chain(tw.nesterov(0.75, form="torch"), RATE),
    ),
    "decay before and after gradient descent is the same": (
        tw.chain(tw.decay(0.1), tw.gradient_descent(), RATE),
        tw.chain(tw.gradient_descent(), tw.decay(0.1), RATE),
    ),
    "the averaged heavy ball at a rate divided by 1 - beta is the classical one": (
        tw.chain(tw.heavy_ball(0.75, form="averaged"), tw.step(0.2)),
        tw.chain(tw.heavy_ball(0.75), RATE),
    ),
    "gradient descent in a chain changes nothing": (
        tw.chain(tw.gradient_descent(), tw.adam(), tw.gradient_descent(), RATE),
        tw.chain(tw.adam(), RATE),
    ),
    "sign descent is Rprop whose steps neither grow nor shrink": (
        tw.chain(tw.sign_descent(), RATE),
        tw.chain(tw.rprop(0.05, delta_min=0.05, delta_max=0.05)),
    ),
    "RAdam that trusts no scale, without memory, is gradient descent": (
        tw.chain(tw.radam(0, beta2=0.5), RATE),
        tw.chain(tw.gradient_descent(), RATE),
    ),
    "ASGD without decay is gradient descent": (
        tw.chain(tw.asgd(lambd=0), RATE),
        tw.chain(tw.gradient_descent(), RATE),
    ),
    "two sequences that only damp are the heavy ball": (
        tw.chain(
            tw.heavy_ball_two_sequences(tw.exponential(1.0, factor=0.9)), tw.step(tw.exponential(0.05, factor=1 / 0.9))
        ),
        tw.chain(tw.heavy_ball(0.9), RATE),
    ),
    "two decays add": (
        tw.chain(tw.adam(), tw.decay(0.1), tw.decay(0.2), RATE),
        tw.chain(tw.adam(), tw.decay(0.3), RATE),
    ),
}


@pytest.mark.parametrize(("one", "other"), CHAINS.values(), ids=CHAINS)
def test_two_chains_are_one(one: Chain, other: Chain) -> None:
    assert deviation(path(one), path(other)) <= FORMULAS[torch.float64]


def test_decay_before_adam_is_not_decay_after_it() -> None:
    before, after = tw.chain(tw.decay(0.1), tw.adam(), RATE), tw.chain(tw.adam(), tw.decay(0.1), RATE)
    assert deviation(path(before), path(after)) > 1e-3


def test_amsgrad_is_adam_while_gradients_grow() -> None:
    assert torch.equal(rising(tw.chain(tw.adam(amsgrad=True), RATE)), rising(tw.chain(tw.adam(), RATE)))


def test_the_rprops_are_one_while_no_sign_changes() -> None:
    forms = [rising(tw.chain(tw.rprop(form=form))) for form in ("rprop-", "rprop+", "irprop-")]
    assert torch.equal(forms[0], forms[1])
    assert torch.equal(forms[0], forms[2])


@pytest.mark.parametrize(
    "stage",
    [tw.adam(eps=0), tw.adam(eps=0, amsgrad=True), tw.adamax(eps=0), tw.rmsprop(eps=0), tw.adagrad(eps=0), tw.rprop()],
    ids=repr,
)
def test_an_adaptive_rule_without_eps_ignores_the_scale_of_the_gradient(stage: Stage) -> None:
    small, large = (
        descend(tw.Optimizer(parameters(), usual_chain(stage, 0.05)), scale=scale) for scale in (1.0, 2.0**20)
    )
    assert all(torch.equal(a, b) for a, b in zip(small, large, strict=True))


def path(chain: Chain) -> list[Tensor]:
    return descend(tw.Optimizer(parameters(), chain), 20)


def rising(chain: Chain) -> Tensor:
    """Where gradients of one sign lead, each larger than the one before."""
    parameter = torch.linspace(-1, 1, 5, dtype=torch.float64).requires_grad_()
    optimizer = tw.Optimizer([parameter], chain)
    for step in range(10):
        parameter.grad = torch.tensor([1.0, -2.0, 0.5, 3.0, -0.1], dtype=torch.float64) * (step + 1)
        optimizer.step()
    return parameter.detach()
