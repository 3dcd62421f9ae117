"""A chain is an inert value that prints as it is typed, and says which of its stages do not compose."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from thalweg.errors import ChainError, HyperparameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.chain import Chain

CHAINS = {
    "chain(adam(beta2=0.95), decay(0.1), step(0.001))": tw.chain(tw.adam(beta2=0.95), tw.decay(0.1), tw.step(1e-3)),
    "chain(rprop(0.01, form='irprop-'))": tw.chain(tw.rprop(0.01, form="irprop-")),
    "chain(gradient_descent(), step(warmup(5) >> cosine(0.1, steps=10)))": tw.chain(
        tw.gradient_descent(), tw.step(tw.warmup(5) >> tw.cosine(0.1, steps=10))
    ),
    "chain(decay(weight=0.1), heavy_ball(0.5, form='torch'), step(1))": tw.chain(
        tw.decay(weight=0.1), tw.heavy_ball(0.5, form="torch"), tw.step(1)
    ),
}


@pytest.mark.parametrize(("text", "chain"), CHAINS.items())
def test_a_chain_prints_as_it_is_typed(text: str, chain: Chain) -> None:
    assert repr(chain) == text
    assert str(chain) == text
    assert eval(text, vars(tw)) == chain  # noqa: S307  # what is printed can be typed again


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_a_chain_survives_copying_and_pickling_and_keeps_its_structure(chain: Chain) -> None:
    for copied in (copy.deepcopy(chain), pickle.loads(pickle.dumps(chain))):  # noqa: S301  # our own bytes
        assert copied == chain
        assert copied.structure == chain.structure
        assert hash(copied) == hash(chain)


def test_chains_that_differ_in_numbers_alone_have_one_structure_and_one_form() -> None:
    some, others = (tw.chain(tw.adam(beta), tw.step(rate)) for beta, rate in ((0.8, 0.1), (0.9, tw.constant(0.2))))
    assert some != others
    assert some.structure == others.structure
    assert some.form == others.form == "chain(adam(), step())"
    amsgrad = tw.chain(tw.adam(amsgrad=True), tw.step(0.1))
    assert amsgrad.structure != some.structure
    assert amsgrad.form == "chain(adam(amsgrad=True), step())"


def test_a_chain_gives_its_numbers_and_takes_others() -> None:
    chain = tw.chain(tw.adam(), tw.decay(0.1), tw.step(0.01))
    traced = chain.trace()
    assert chain.numbers(traced) == {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight": 0.1}
    changed = chain.replace({"lr": 0.5, "weight": 0.2, "beta1": 0.9}, traced)
    assert repr(changed) == "chain(adam(), decay(0.2), step(0.5))"
    with pytest.raises(HyperparameterError, match=r"adam: `beta2` is 1.5; it must lie in \[0, 1\)"):
        chain.replace({"beta2": 1.5}, traced)


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "nothing": (tw.chain, r"an empty chain does nothing; write for example `chain\(adam\(\), step\(1e-3\)\)`"),
    "a rule that was not called": (
        lambda: tw.chain(tw.adam, tw.step(0.1)),  # pyright: ignore[reportArgumentType]
        r"chain stage 1: <rule adam> is no stage; write `adam\(\)`",
    ),
    "a number": (lambda: tw.chain(tw.adam(), 0.1), "chain stage 2: 0.1 is no stage"),  # pyright: ignore[reportArgumentType]
    "a step in the middle": (
        lambda: tw.chain(tw.step(0.1), tw.adam()),
        r"chain stage 1, step\(0.1\): `step` moves the parameter, so it must be the last stage",
    ),
    "two steps": (lambda: tw.chain(tw.adam(), tw.step(0.1), tw.step(0.1)), r"chain stage 2, step\(0.1\)"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_chain_is_refused_when_it_is_typed(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ChainError, match=message):
        make()


MISUSED = {
    "a direction without a step": (
        tw.chain(tw.adam()),
        r"adam\(\) gives a direction and no step follows; end the chain with `step\(learning_rate\)`",
    ),
    "a rate inside, and none there": (
        tw.chain(tw.heavy_ball()),
        r"chain stage 1, heavy_ball\(\): uses the learning rate; end the chain with `step\(learning_rate\)`",
    ),
    "a rate that nothing takes": (
        tw.chain(tw.rprop(), tw.step(0.1)),
        r"step\(\): rprop\(\) gives a displacement of its own and takes no learning rate; leave `step` out",
    ),
    "a stage after the move": (
        tw.chain(tw.heavy_ball(), tw.decay(0.1), tw.step(0.1)),
        r"chain stage 2, decay\(0.1\): takes a direction, but the stage before it has already made the move",
    ),
}


@pytest.mark.parametrize(("chain", "message"), MISUSED.values(), ids=MISUSED)
def test_stages_that_do_not_compose_are_refused_when_the_optimizer_is_made(chain: Chain, message: str) -> None:
    with pytest.raises(ChainError, match=message):
        tw.Optimizer([torch.ones(2, requires_grad=True)], chain)


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (-0.1, r"step: `learning_rate` is -0.1; it must lie in \[0, ∞\)"),
        (float("nan"), r"step: `learning_rate` is nan; it must lie in \[0, ∞\)"),
        (float("inf"), r"step: `learning_rate` is inf; it must lie in \[0, ∞\)"),
        ("0.1", r"step: `learning_rate` is '0.1'; it must be a number in \[0, ∞\), or a schedule"),
        (True, r"step: `learning_rate` is True; it must be a number in \[0, ∞\), or a schedule"),
        (None, "step: `learning_rate` is None; give a number"),
    ],
)
def test_a_wrong_learning_rate_names_itself_and_its_range(rate: Any, message: str) -> None:
    with pytest.raises(HyperparameterError, match=message):
        tw.step(rate)
