"""Where a rule moves what has no gradient, a sparse one is refused with the parameter's name, and nothing has moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import one_parameter
from thalweg.errors import GradientError

if TYPE_CHECKING:
    from thalweg.optimizer.layout import Backend
    from thalweg.optimizer.stepper import NonFinite

DESCENT = tw.chain(tw.heavy_ball(beta=0.0), tw.step(0.1))
backends = pytest.mark.parametrize("backend", ["numba", "reference"])


@backends
@pytest.mark.parametrize("nonfinite", ["raise", "skip", "propagate"])
def test_a_sparse_gradient_is_refused_and_nothing_moves(backend: Backend, nonfinite: NonFinite) -> None:
    model = torch.nn.ModuleDict({"head": torch.nn.Linear(3, 1), "words": torch.nn.Embedding(5, 3, sparse=True)})
    optimizer = tw.Optimizer(model, DESCENT, backend=backend, nonfinite=nonfinite)
    before = [p.detach().clone() for p in model.parameters()]
    model["head"](model["words"](torch.tensor([1]))).sum().backward()
    with pytest.raises(
        GradientError,
        match=r"the gradient of `words.weight` \(5×3\) is sparse, and this chain needs a dense one; "
        "make the layer with sparse=False, or give that parameter to SparseAdam",
    ):
        optimizer.step()
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


@backends
def test_a_gradient_that_becomes_sparse_is_refused_whatever_came_before(backend: Backend) -> None:
    first, second = one_parameter(), one_parameter()
    optimizer = tw.Optimizer([first, second], DESCENT, backend=backend)
    optimizer.step()
    first.grad = None
    optimizer.step()
    first.grad = torch.ones(3)
    optimizer.step()
    first.grad, second.grad = None, torch.ones(3).to_sparse()
    with pytest.raises(GradientError, match="the gradient of parameter 1 of group 0"):
        optimizer.step()
    second.grad = torch.ones(3)
    optimizer.step()
    torch.testing.assert_close(second.detach(), torch.full((3,), 0.6))


def test_a_rate_set_before_a_refused_step_counts_at_the_next() -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([parameter], DESCENT)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.5
    parameter.grad = torch.ones(3).to_sparse()
    with pytest.raises(GradientError):
        optimizer.step()
    parameter.grad = torch.ones(3)
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.4))
