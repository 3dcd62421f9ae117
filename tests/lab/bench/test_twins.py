"""A twin is the same formula: ours and theirs are stepped side by side in float64."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg import rules
from thalweg.lab.bench.measure import chain_of
from thalweg.lab.bench.model import Model
from thalweg.lab.bench.settings import Size
from thalweg.lab.bench.torch_side import fuses, ours, torchs
from thalweg.lab.bench.twins import twin_of
from tolerances import TORCH, deviation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thalweg.lab.bench.turns import Contender

STEPS = 40
RATE = 0.1
TWINS = {name: twin_of(name, None if rule.learning_rate is None else RATE) for name, rule in rules.catalogue().items()}
IN_TORCH = [name for name, twin in TWINS.items() if twin.torch is not None]
IN_OPTAX = [name for name, twin in TWINS.items() if twin.optax is not None]


@pytest.fixture
def double_precision() -> Iterator[None]:
    """Torch's NAdam and ASGD keep a tensor's own numbers in the default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def parameters(contender: Contender) -> list[torch.Tensor]:
    return contender.step.__self__.param_groups[0]["params"]  # pyright: ignore[reportFunctionMemberAccess]


def test_a_rule_is_measured_in_the_dialect_that_both_libraries_speak() -> None:
    found = twin_of("heavy_ball", 0.1)
    assert found.settings == {"form": "torch"}
    assert found.torch == ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.0})
    assert found.optax == ("sgd", {"learning_rate": 0.1, "momentum": 0.9})


def test_a_rule_without_a_learning_rate_has_a_twin_too() -> None:
    assert twin_of("rprop", None).torch == ("Rprop", {"lr": 0.1, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0)})


def test_every_rule_can_be_measured_with_or_without_a_twin() -> None:
    for name, rule in rules.catalogue().items():
        typed = chain_of(name, rule.learning_rate)
        assert [stage.rule for stage in typed.stages] == [rule]
        assert (typed.step is None) == (rule.learning_rate is None)


def test_a_rule_without_a_twin_has_its_defaults() -> None:
    assert TWINS["qhm"].torch is TWINS["qhm"].optax is None
    assert chain_of("qhm", 0.1) == tw.chain(tw.qhm(), tw.step(0.1))


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("shape", [(5,), (3, 4)], ids=str)
@pytest.mark.parametrize("name", IN_TORCH)
def test_torchs_twin_takes_our_steps(name: str, shape: tuple[int, ...]) -> None:
    model = Model(Size(2, shape), dtype="float64", device="cpu")
    rate = rules.get(name).learning_rate
    mine = ours(chain_of(name, rate), model)
    call = twin_of(name, rate).torch
    assert call is not None
    twins = torchs(call, model)
    assert twins[-1].name == "torch default"
    random = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        for gradient in model.gradients:  # all contenders share them
            gradient.copy_(torch.randn(gradient.shape, generator=random))
        for contender in (mine, *twins):
            contender.step()
    for twin in twins:
        assert deviation(parameters(mine), parameters(twin)) < TORCH[torch.float64], twin.call


@pytest.mark.parametrize("name", IN_OPTAX)
def test_optaxs_twin_takes_our_steps(name: str) -> None:
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    rate = rules.get(name).learning_rate
    call = twin_of(name, rate).optax
    assert call is not None
    model = Model(Size(2, (3, 4)), dtype="float64", device="cpu")
    mine = ours(chain_of(name, rate), model)
    with jax.enable_x64(True):
        transformation: Any = attrgetter(call[0])(optax)(**call[1])
        theirs: Any = [jax.numpy.array(value.numpy()) for value in model.values]
        state = transformation.init(theirs)
        random = torch.Generator().manual_seed(1)
        for _ in range(STEPS):
            for gradient in model.gradients:
                gradient.copy_(torch.randn(gradient.shape, generator=random))
            mine.step()
            gradients = [jax.numpy.array(gradient.numpy()) for gradient in model.gradients]
            moves, state = transformation.update(gradients, state, theirs)
            theirs = optax.apply_updates(theirs, moves)
        found = [torch.from_numpy(np.array(tensor)) for tensor in theirs]
    assert deviation(parameters(mine), found) < TORCH[torch.float64]


def test_torch_is_fused_where_torch_says_so() -> None:
    assert fuses(torch.optim.Adam, torch.float32, "cpu")
    assert not fuses(torch.optim.RMSprop, torch.float32, "cpu")


def test_a_fused_kernel_that_torch_refuses_is_none() -> None:
    class Refusing(torch.optim.Adam):
        def __init__(self, *_: object, fused: bool, **_settings: object) -> None:
            assert fused
            raise RuntimeError("`fused=True` requires something else")

    assert not fuses(Refusing, torch.float32, "cpu")


def test_an_optimizer_that_this_torch_does_not_have_is_left_out() -> None:
    model = Model(Size(1, (2,)), dtype="float32", device="cpu")
    assert torchs(("NoSuchOptimizer", {"lr": 0.1}), model) == []


def test_every_call_is_written_as_it_can_be_typed() -> None:
    model = Model(Size(1, (3,)), dtype="float32", device="cpu")
    for name in IN_TORCH:
        call = TWINS[name].torch
        assert call is not None
        for contender in torchs(call, model):
            typed = contender.call.replace("(", "(parameters, ", 1)
            made = eval(typed, {"torch": torch, "parameters": model.parameters()})  # noqa: S307  # our own text
            assert isinstance(made, torch.optim.Optimizer)
