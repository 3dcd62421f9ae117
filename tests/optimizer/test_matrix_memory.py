"""How matrices and the states of a matrix method lie in memory makes no difference, and costs no more than it must."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import descend, give_gradients, parameters
from thalweg.formula import Direction, Update, norm, rule
from thalweg.matrix.muon import newton_schulz
from tolerances import deviation
from whole_stages import APART, CHAINS, ONE_BY_ONE, SHAPES, gradient_of, optimizer_of

if TYPE_CHECKING:
    from thalweg.optimizer.layout import Backend

every_chain = pytest.mark.parametrize("name", CHAINS)


@every_chain
@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_how_a_parameter_lies_in_memory_makes_no_difference(name: str, backend: Backend) -> None:
    plain = parameters([(6, 4), (4, 3, 2, 2), (6, 4)])
    matrix, convolution, other = (p.detach() for p in plain)
    columns, with_gaps = matrix.t().contiguous().t(), torch.stack([other, other], -1)[..., 0]
    turned = [columns, convolution.to(memory_format=torch.channels_last), with_gaps]
    assert not any(p.requires_grad_().is_contiguous() for p in turned)
    optimizers = optimizer_of(name, plain), optimizer_of(name, turned, backend=backend)
    for step in range(4):
        for some, optimizer in zip((plain, turned), optimizers, strict=True):
            give_gradients(some, step)
            optimizer.step()
    assert deviation(turned, plain) <= ONE_BY_ONE.get(name, 1e-11)


@pytest.mark.parametrize("name", APART)
def test_a_matrix_that_comes_to_lie_otherwise_and_back_keeps_its_states(name: str) -> None:
    together, apart = parameters([(6, 4)] * 3), parameters([(6, 4)] * 3)
    joint, alone = optimizer_of(name, together), [optimizer_of(name, [p]) for p in apart]
    lives = [((0,), False), ((2,), True), ((0, 1, 2), False), ((0,), True), ((0, 2), False), ((1, 2), False)]
    lives += [((0, 1), True), ((0, 1, 2), False)]
    for step, (present, turned) in enumerate(lives):
        for some in (together, apart):
            some[0].grad = None
            plain = some[0].data.contiguous()
            some[0].data = plain.t().contiguous().t() if turned else plain
            give_gradients(some, step)
            for at, p in enumerate(some):
                p.grad = p.grad if at in present else None
        joint.step()
        for optimizer in alone:
            optimizer.step()
    assert deviation(together, apart) <= ONE_BY_ONE.get(name, 1e-11)


@rule(title="Rows of one length", source="a test")
def rows_alike(g: Direction) -> Update:
    """Divide each row by its own norm."""
    return g / norm(g, per="row")


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("behind", [False, True])
def test_stages_that_see_rows_may_stand_around_it_wherever_a_matrix_lies(before: bool, behind: bool) -> None:
    stages = [*([rows_alike()] if before else []), tw.muon(polar="full"), *([rows_alike()] if behind else [])]
    (plain,) = parameters([(6, 4)])
    turned = plain.detach().t().contiguous().t().requires_grad_()
    expected = plain.detach().clone()
    chains = tw.chain(*stages, tw.step(0.1))
    optimizers = tw.Optimizer([plain], chains), tw.Optimizer([turned], chains)
    m = torch.zeros(6, 4, dtype=torch.float64)
    for step in range(4):
        give_gradients([plain], step)
        give_gradients([turned], step)
        g = gradient_of(plain)
        g = g / g.norm(dim=1, keepdim=True) if before else g
        m = 0.95 * m + 0.05 * g
        d = newton_schulz((0.05 * g + 0.95 * m)[None], 3.4445, -4.775, 2.0315, steps=5, eps=1e-7)[0] * 1.5**0.5
        expected = expected - 0.1 * (d / d.norm(dim=1, keepdim=True) if behind else d)
        for optimizer in optimizers:
            optimizer.step()
    assert deviation([plain, turned], [expected, expected]) <= 1e-12


def test_evaluation_sees_the_point_of_a_rule_behind_it() -> None:
    chain = tw.chain(tw.muon(polar="full"), tw.schedule_free_sgd(), tw.step(0.1))
    optimizer = tw.Optimizer(parameters(SHAPES), chain)
    reached = descend(optimizer, 5)
    with optimizer.evaluating():
        assert deviation(optimizer.param_groups[0]["params"], reached) > 1e-3
    assert deviation(optimizer.param_groups[0]["params"], reached) == 0


def test_the_states_of_matrices_alike_lie_side_by_side_and_can_be_written() -> None:
    optimizer = optimizer_of("muon", parameters([(6, 4)] * 3, torch.float32))
    descend(optimizer, 1)
    tensors = optimizer.param_groups[0]["params"]
    states = [optimizer.state[p]["m"] for p in tensors]
    assert [b.data_ptr() - a.data_ptr() for a, b in pairwise(states)] == [96, 96]
    states[1].fill_(5.0)
    give_gradients(tensors, 1)
    expected = 0.95 * 5.0 + 0.05 * gradient_of(tensors[1])
    optimizer.step()
    assert torch.allclose(optimizer.state[tensors[1]]["m"], expected)


def test_a_state_that_is_taken_away_begins_anew() -> None:
    optimizer = optimizer_of("shampoo", parameters([(6, 4)] * 2))
    descend(optimizer, 3)
    first, second = optimizer.param_groups[0]["params"]
    kept = optimizer.state[second]["L"].clone()
    del optimizer.state[first]
    descend(optimizer, 1)
    g = gradient_of(first)
    torch.testing.assert_close(optimizer.state[first]["L"], g @ g.T)
    assert float(optimizer.state[first]["step"]) == 1
    torch.testing.assert_close(optimizer.state[second]["L"], kept + gradient_of(second) @ gradient_of(second).T)


def test_autograd_is_told_once_of_each_step() -> None:
    tensors = parameters(SHAPES)
    optimizer = optimizer_of("all around", tensors)
    give_gradients(tensors, 0)
    before = [p._version for p in tensors]
    optimizer.step()
    assert [p._version - old for p, old in zip(tensors, before, strict=True)] == [1] * len(tensors)


def test_a_pickle_holds_each_state_once() -> None:
    optimizer = optimizer_of("muon", parameters([(32, 32)] * 20, torch.float32))
    descend(optimizer, 1)
    assert len(pickle.dumps(optimizer)) < 3 * 20 * 32 * 32 * 4


def test_no_graph_is_kept() -> None:
    optimizer = optimizer_of("all around", parameters(SHAPES))
    descend(optimizer, 2)
    assert not any(value.requires_grad for state in optimizer.state.values() for value in state.values())
