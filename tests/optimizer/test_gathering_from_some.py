"""What a stage gathers over the model, it gathers from the parameters that it is for, and from no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import thalweg as tw
from descents import give_gradients, parameters
from thalweg.formula import Direction, Gradient, Update, largest, mean, rms, rule, total
from tolerances import ORACLE, deviation

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.chain import Chain

SHAPES = {"a": (3, 4), "b": (5,), "c": (2, 3), "d": ()}
RATE = 0.5


@rule(title="Gathered", source="a test")
def gathered(g: Direction) -> Update:
    """A mean, a root mean square, a maximum and a count."""
    shifted = g - mean(g, per="model")
    return shifted / rms(shifted, per="model") + largest(abs(g), per="model") / total(1, per="model")


@rule(title="First", source="a test")
def first(d: Direction, g: Gradient) -> Update:
    """By a sum that `second` makes, too."""
    return d * total(g**2, per="model")


@rule(title="Second", source="a test")
def second(d: Direction, g: Gradient) -> Update:
    """By a sum that `first` makes, too."""
    return d / total(g**2, per="model")


def by_hand(gradients: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What `gathered` makes of the gradients that it is for."""
    every = np.concatenate([g.ravel() for g in gradients.values()])
    shifted = every - every.mean()
    length = np.sqrt((shifted**2).mean())
    return {n: (g - every.mean()) / length + np.abs(every).max() / every.size for n, g in gradients.items()}


def of_selected(gradients: dict[str, np.ndarray], names: str) -> dict[str, np.ndarray]:
    return gradients | by_hand({name: g for name, g in gradients.items() if name in names})


def of_sums(gradients: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What `first`, for b and c, and `second`, for all, make together."""
    some = sum((gradients[name] ** 2).sum() for name in "bc" if name in gradients)
    whole = sum((g**2).sum() for g in gradients.values())
    return {name: g * (some if name in "bc" else 1) / whole for name, g in gradients.items()}


Witness = "Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]"
CASES: dict[str, tuple[Chain, Witness]] = {
    "only": (tw.chain(gathered(only=("a", "b")), tw.gradient_descent(), tw.step(RATE)), lambda g: of_selected(g, "ab")),
    "skip": (tw.chain(gathered(skip="a"), tw.gradient_descent(), tw.step(RATE)), lambda g: of_selected(g, "bcd")),
    "two stages": (
        tw.chain(gathered(only="a"), gathered(skip="a"), tw.step(RATE)),
        lambda g: of_selected(of_selected(g, "a"), "bcd"),
    ),
    "one sum, two stages": (tw.chain(first(only=("b", "c")), second(), tw.step(RATE)), of_sums),
}
BACKENDS = ("numba", "reference", "functional")


def moved_to(chain: Chain, named: dict[str, Tensor], backend: str) -> None:
    """A step of those that have a gradient."""
    if backend == "functional":
        inner = tw.functional(chain)
        new, _ = inner.step(named, {name: p.grad for name, p in named.items()}, inner.init(named))
        with torch.no_grad():
            for name, parameter in named.items():
                parameter.copy_(new[name])
    else:
        tw.Optimizer(list(named.items()), chain, backend=backend).step()  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("without", ["", "b"])
@pytest.mark.parametrize(("chain", "witness"), CASES.values(), ids=CASES)
def test_a_stage_gathers_from_those_that_it_is_for_and_that_move(
    chain: Chain, witness: Witness, without: str, backend: str
) -> None:
    named = dict(zip(SHAPES, parameters(SHAPES.values()), strict=True))
    give_gradients(list(named.values()), 0)
    if without:
        named[without].grad = None
    before = {name: p.detach().numpy().copy() for name, p in named.items()}
    gradients = {name: p.grad.numpy().copy() for name, p in named.items() if p.grad is not None}
    moves = witness(gradients)
    expected = [torch.from_numpy(np.asarray(p - RATE * moves.get(name, 0.0))) for name, p in before.items()]
    moved_to(chain, named, backend)
    assert deviation(named.values(), expected) <= ORACLE[torch.float64]


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_groups_whose_chains_have_the_stage_gather_together(backend: str) -> None:
    named = dict(zip(SHAPES, parameters(SHAPES.values()), strict=True))
    give_gradients(list(named.values()), 1)
    before = {name: p.detach().numpy().copy() for name, p in named.items()}
    moves = of_selected({name: p.grad.numpy().copy() for name, p in named.items() if p.grad is not None}, "abd")
    with_it = tw.chain(gathered(), tw.step(RATE))
    groups = [
        {"params": [named["a"]], "chain": with_it},
        {"params": [named["b"], named["d"]], "chain": with_it},
        {"params": [named["c"]], "chain": tw.chain(tw.gradient_descent(), tw.step(RATE))},
    ]
    tw.Optimizer(groups, with_it, backend=backend).step()  # pyright: ignore[reportArgumentType]
    expected = [torch.from_numpy(np.asarray(p - RATE * moves[name])) for name, p in before.items()]
    assert deviation(named.values(), expected) <= ORACLE[torch.float64]


def test_a_stage_before_a_matrix_method_gathers_from_what_the_method_is_given() -> None:
    reached = []
    for pieces in ([gathered(only="a")], []):
        named = dict(zip(SHAPES, parameters(SHAPES.values()), strict=True))
        give_gradients(list(named.values()), 2)
        if not pieces:
            assert named["a"].grad is not None
            given = by_hand({"a": named["a"].grad.numpy().copy()})["a"]
            named["a"].grad.copy_(torch.from_numpy(given))
        chain = tw.chain(*pieces, tw.muon(polar="svd", only="a"), tw.adam(skip="a"), tw.step(RATE))
        tw.Optimizer(list(named.items()), chain).step()
        reached.append(list(named.values()))
    assert deviation(*reached) <= ORACLE[torch.float64]
