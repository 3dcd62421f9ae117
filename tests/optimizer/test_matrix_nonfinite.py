"""A gradient that is not finite, where a matrix method needs the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import descend, give_gradients, parameters
from thalweg.errors import GradientError, NonFiniteGradientError
from whole_stages import CHAINS, SHAPES, gradient_of

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.optimizer.layout import Backend, NonFinite

every_chain = pytest.mark.parametrize("name", CHAINS)
every_backend = pytest.mark.parametrize("backend", ["numba", "reference"])
BAD = [float("nan"), float("inf"), -float("inf")]
LARGE = 1e30
"""Finite in single precision, and its square is not."""


def everything(optimizer: tw.Optimizer) -> list[Tensor]:
    """Copies of all that a step can change."""
    tensors = [p for group in optimizer.param_groups for p in group["params"]]
    states = [value for p in tensors for value in optimizer.state[p].values()]
    return [value.detach().clone() for value in (*tensors, *states)]


def same(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


@every_backend
@every_chain
@pytest.mark.parametrize("bad", BAD)
def test_raising_names_the_parameter_and_nothing_has_moved(name: str, backend: Backend, bad: float) -> None:
    optimizer = tw.Optimizer(parameters(SHAPES, torch.float32), CHAINS[name](), backend=backend)
    twin = tw.Optimizer(parameters(SHAPES, torch.float32), CHAINS[name](), backend=backend)
    descend(optimizer, 2)
    descend(twin, 2)
    before = everything(optimizer)
    tensors = optimizer.param_groups[0]["params"]
    give_gradients(tensors, 2)
    gradient_of(tensors[3])[1, 2] = bad
    with pytest.raises(
        NonFiniteGradientError, match=r"parameter 3 of group 0 \(5×5\) has a NaN or an .*nothing has moved"
    ):
        optimizer.step()
    assert same(everything(optimizer), before)
    assert optimizer.param_groups[0]["steps"] == 2
    reached = [descend(one, 2, start=3) for one in (optimizer, twin)]
    assert same(*reached)


@every_backend
@every_chain
@pytest.mark.parametrize("bad", BAD)
def test_skipping_changes_nothing_and_counts(name: str, backend: Backend, bad: float) -> None:
    optimizer = tw.Optimizer(parameters(SHAPES), CHAINS[name](), nonfinite="skip", backend=backend)
    descend(optimizer, 2)
    before = everything(optimizer)
    tensors = optimizer.param_groups[0]["params"]
    versions = [p._version for p in tensors]
    give_gradients(tensors, 2)
    gradient_of(tensors[-1])[0, 0] = bad
    optimizer.step()
    assert optimizer.skipped == 1
    assert same(everything(optimizer), before)
    assert [p._version for p in tensors] == versions
    descend(optimizer, 1, start=2)
    assert optimizer.skipped == 1
    assert not same(everything(optimizer), before)


@pytest.mark.parametrize("name", [name for name in CHAINS if name not in {"all around", "momentum before"}])
@pytest.mark.parametrize("bad", BAD)
def test_propagating_spoils_that_matrix_alone(name: str, bad: float) -> None:
    spoilt, clean = (
        tw.Optimizer(parameters(SHAPES, torch.float32), CHAINS[name](), nonfinite="propagate") for _ in range(2)
    )
    descend(spoilt, 2)
    descend(clean, 2)
    tensors = spoilt.param_groups[0]["params"]
    states = {key: value.clone() for key, value in spoilt.state[tensors[1]].items()}
    give_gradients(tensors, 2)
    give_gradients(clean.param_groups[0]["params"], 2)
    gradient_of(tensors[1])[0, 0] = bad
    spoilt.step()
    clean.step()
    for at, (a, b) in enumerate(zip(tensors, clean.param_groups[0]["params"], strict=True)):
        assert bool(a.isnan().all()) if at == 1 else torch.equal(a, b)
    behind = {"step", "v"} if name == "momentum behind" else {"step"}
    assert all(torch.equal(spoilt.state[tensors[1]][key], value) for key, value in states.items() if key not in behind)


@every_backend
@pytest.mark.parametrize("nonfinite", ["raise", "skip"])
@pytest.mark.parametrize("name", ["muon", "shampoo", "momentum before"])
def test_a_gradient_whose_square_is_not_finite_moves_no_parameter(
    name: str, nonfinite: NonFinite, backend: Backend
) -> None:
    tensors = parameters(SHAPES, torch.float32)
    optimizer = tw.Optimizer(tensors, CHAINS[name](), nonfinite=nonfinite, backend=backend)
    descend(optimizer, 2)
    before = [p.detach().clone() for p in tensors]
    give_gradients(tensors, 2)
    gradient_of(tensors[4])[0] = LARGE
    if nonfinite == "raise":
        with pytest.raises(
            NonFiniteGradientError,
            match=r"the gradient of parameter 4 of group 0 \(4×3×2×2\) is too large to be squared, as a matrix method",
        ):
            optimizer.step()
    else:
        optimizer.step()
        assert optimizer.skipped == 1
    assert same([p.detach() for p in tensors], before)
    if name != "momentum before":  # an average remembers it
        descend(optimizer, 1, start=3)
        assert all(bool(p.isfinite().all()) for p in tensors)
        assert not same([p.detach() for p in tensors], before)


def test_a_bad_element_of_an_element_wise_rule_leaves_matrices_to_move() -> None:
    bias, weight = parameters([(5,), (4, 4)])
    chain = tw.chain(tw.muon(only="weight"), tw.adam(skip="weight"), tw.step(0.1))
    optimizer = tw.Optimizer([("b", bias), ("weight", weight)], chain)
    give_gradients([bias, weight], 0)
    gradient_of(bias)[2] = float("nan")
    before = [p.detach().clone() for p in (bias, weight)]
    with pytest.raises(
        NonFiniteGradientError, match=r"`b` .*those elements were left as they were and all others have"
    ):
        optimizer.step()
    assert (bias.detach() == before[0]).tolist() == [False, False, True, False, False]
    assert not bool((weight.detach() == before[1]).any())


def test_a_bad_matrix_leaves_everything_else_as_it_was() -> None:
    bias, weight = parameters([(5,), (4, 4)])
    chain = tw.chain(tw.muon(only="weight"), tw.adam(skip="weight"), tw.step(0.1))
    optimizer = tw.Optimizer([("b", bias), ("weight", weight)], chain)
    give_gradients([bias, weight], 0)
    gradient_of(weight)[2, 0] = float("inf")
    before = [p.detach().clone() for p in (bias, weight)]
    with pytest.raises(NonFiniteGradientError, match=r"`weight` \(4×4\) has a NaN or an infinity, and a matrix method"):
        optimizer.step()
    assert same([bias.detach(), weight.detach()], before)


def test_eigenvalues_that_are_not_found_are_an_error_and_no_parameter_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = parameters(SHAPES)
    optimizer = tw.Optimizer(tensors, CHAINS["shampoo"]())
    give_gradients(tensors, 0)

    def fails(_: Tensor) -> None:
        message = "no"
        raise torch.linalg.LinAlgError(message)

    monkeypatch.setattr(torch.linalg, "eigh", fails)
    before = [p.detach().clone() for p in tensors]
    with pytest.raises(GradientError, match="the eigenvalues of a gradient's statistics, 6 × 6, were not found"):
        optimizer.step()
    assert same([p.detach() for p in tensors], before)
