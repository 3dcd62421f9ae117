"""Hessian-free and the natural gradient on modules: against the twins, resumed, within budgets, and misused."""

from __future__ import annotations

import io
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import thalweg as tw
from descent import damped_twins
from descent.damped_twins import Regression, regression
from thalweg.descent import Status
from thalweg.errors import CheckpointError, DescentError, GradientError, NonFiniteGradientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.descent.directions.hessian_free import Preconditioner
    from thalweg.descent.directions.natural_gradient import Fisher, Solver


class Halves(nn.Module):
    """A regression whose weights are two parameters, of the first inputs and of the others."""

    def __init__(self, problem: Regression, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        w = torch.from_numpy(np.random.default_rng(0).normal(size=problem.shape)).to(dtype)
        self.first, self.second = nn.Parameter(w[:10].clone()), nn.Parameter(w[10:].clone())
        self.problem = problem

    def forward(self, problem: Regression | None = None) -> tuple[Tensor, Tensor]:
        return (problem or self.problem)(torch.cat((self.first, self.second)).double())

    @property
    def flat(self) -> np.ndarray:
        return torch.cat((self.first, self.second)).detach().numpy().ravel()


def network(seed: int = 0) -> tuple[nn.Module, Callable[[], Any], Callable[[], Any]]:
    """A little network, the closure of its loss, and one that takes the curvature from a few examples."""
    torch.manual_seed(seed)
    x = torch.randn(40, 6)
    y = (x[:, 0] * x[:, 1] > 0).long()
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))

    def on(some: slice) -> tuple[Tensor, Tensor]:
        outputs = model(x[some])
        return cross_entropy(outputs, y[some]), outputs

    return model, lambda: on(slice(None)), lambda: on(slice(0, 15))


@pytest.mark.parametrize("name", ["linear", "logistic", "softmax"])
@pytest.mark.parametrize("preconditioner", ["none", "empirical_fisher"])
def test_hessian_free_is_martens_with_the_curvature_of_some_examples(name: str, preconditioner: Preconditioner) -> None:
    problem = regression(name, 120, 40)
    some = Regression(name, problem.X[:50], problem.Y[:50])
    model = Halves(problem)
    twin = damped_twins.HessianFree(
        problem, model.flat, 0.3, exponent=0.75 * (preconditioner != "none"), curvature=some
    )
    optimizer = tw.HessianFree(model, damping=0.3, preconditioner=preconditioner)
    for _ in range(5):
        loss = optimizer.step(model, lambda: model(some))
        assert float(loss) == pytest.approx(problem.value(twin.w), rel=1e-6)
        twin.step()
        np.testing.assert_allclose(model.flat, twin.w, rtol=1e-5, atol=1e-7)
    assert optimizer.nit == 5


@pytest.mark.parametrize("fisher", ["exact", "empirical"])
@pytest.mark.parametrize("solver", ["cg", "dense"])
def test_the_natural_gradient_is_the_closed_forms(fisher: Fisher, solver: Solver) -> None:
    problem = regression("softmax", 30, 20)
    model = Halves(problem)
    optimizer = tw.NaturalGradient(model, lr=0.5, damping=0.1, fisher=fisher, solver=solver, tolerance=1e-12)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    w = model.flat
    for rate in (0.5, 0.25):
        F = problem.fisher(w) if fisher == "exact" else problem.empirical_fisher(w)
        w = w - rate * np.linalg.solve(F + 0.1 * np.eye(len(w)), problem.gradient(w))
        optimizer.step(model)
        scheduler.step()
        np.testing.assert_allclose(model.flat, w, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    "make",
    [
        lambda groups: tw.HessianFree(groups, damping=0.1),
        lambda groups: tw.NaturalGradient(groups, damping=0.1, tolerance=1e-12),
        lambda groups: tw.NaturalGradient(groups, damping=0.1, solver="dense"),
    ],
    ids=["hessian_free", "products", "dense"],
)
@pytest.mark.parametrize("examples", [10, 60])
def test_groups_may_have_a_scale_and_a_weight_decay(make: Callable[..., Any], examples: int) -> None:
    problem = regression("softmax", examples, 20)
    model = Halves(problem)
    root, decay = (
        torch.tensor(halves, dtype=torch.float64).repeat_interleave(10)[:, None].expand(20, 3)
        for halves in ([2.0, 1.0], [0.1, 0.3])
    )

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.z = nn.Parameter(torch.from_numpy(model.flat.copy()).view(20, 3) / root)

        def forward(self) -> tuple[Tensor, Tensor]:
            """The same, with the decay's roots for outputs, too."""
            w = self.z * root
            outputs = problem(w)[1]
            both = torch.cat((outputs.ravel(), (decay.sqrt() * w).ravel()))
            again = both[: outputs.numel()].view_as(outputs)
            loss = cross_entropy(again, torch.from_numpy(problem.Y).argmax(1))
            return loss + 0.5 * both[outputs.numel() :].square().sum(), both

    whole = Whole()
    ours = make(
        [
            {"params": [model.first], "scale": 4.0, "weight_decay": 0.1},
            {"params": [model.second], "weight_decay": 0.3},
        ]
    )
    theirs = make(whole)
    for _ in range(3):
        ours.step(model)
        theirs.step(whole)
        expected = (whole.z.detach() * root).numpy().ravel()
        np.testing.assert_allclose(model.flat, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "make",
    [
        lambda model: tw.HessianFree(model, damping=0.1, preconditioner="empirical_fisher", probes=3),
        lambda model: tw.NaturalGradient(model, damping=0.1),
        lambda model: tw.NaturalGradient(model, lr=0.3, fisher="empirical", solver="dense"),
    ],
    ids=["hessian_free", "natural_gradient", "dense"],
)
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(make: Callable[..., Any]) -> None:
    model, closure, some = network()
    optimizer = make(model)
    for _ in range(3):
        optimizer.step(closure, some)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    for _ in range(3):
        optimizer.step(closure, some)
    other, its_closure, its_some = network()
    resumed = make(other)
    saved = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    other.load_state_dict(saved["model"])
    resumed.load_state_dict(saved["optimizer"])
    for _ in range(3):
        resumed.step(its_closure, its_some)
    for ours, theirs in zip(other.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert (resumed.nit, resumed.nfev, resumed.nhvp) == (optimizer.nit, optimizer.nfev, optimizer.nhvp)
    with pytest.raises(CheckpointError, match="the state is of"):
        tw.HessianFree(model, damping=3.0).load_state_dict(saved["optimizer"])


@pytest.mark.parametrize("make", [tw.HessianFree, tw.NaturalGradient])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_budgets_hold_for_a_call_and_for_all_and_losses_fall(make: Callable[..., Any], dtype: torch.dtype) -> None:
    model, loss_of, some_of = network()
    model.to(dtype)
    x = torch.randn(40, 6, dtype=dtype)
    y = (x[:, 0] * x[:, 1] > 0).long()
    calls = 0

    def on(examples: int) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        outputs = model(x[:examples])
        return cross_entropy(outputs, y[:examples]), outputs

    del loss_of, some_of
    optimizer = make(model, damping=0.1, max_eval=12, max_eval_in_all=100)
    losses: list[float] = []
    spent = 0
    while (loss := optimizer.step(lambda: on(40), lambda: on(20))) is not None:
        losses.append(float(loss))
        assert calls == optimizer.nfev
        assert optimizer.nfev + optimizer.nhvp - spent <= 12
        spent = optimizer.nfev + optimizer.nhvp
    assert spent <= 100
    assert len(losses) >= 8
    assert losses[-1] < 0.9 * losses[0]
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(losses))
    assert optimizer.status is Status.BUDGET_SPENT


def test_several_steps_of_one_call_are_those_of_several_calls() -> None:
    (model, closure, _), (other, its_closure, _) = network(), network()
    one, several = tw.HessianFree(model, damping=0.1, max_iter=4), tw.HessianFree(other, damping=0.1)
    one.step(closure)
    for _ in range(4):
        several.step(its_closure)
    for ours, theirs in zip(other.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert one.nit == several.nit == 4


def test_frozen_parameters_stay_and_batch_norm_works() -> None:
    torch.manual_seed(0)
    x = torch.randn(30, 4)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))
    model[0].requires_grad_(requires_grad=False)
    before = model[0].weight.clone()
    optimizer = tw.HessianFree(model, damping=0.1)

    def closure() -> tuple[Tensor, Tensor]:
        outputs = model(x)
        return cross_entropy(outputs, (x[:, 0] > 0).long()), outputs

    losses = [float(optimizer.step(closure)) for _ in range(5)]
    assert losses[-1] < losses[0]
    assert torch.equal(model[0].weight, before)


def test_a_loss_that_is_not_finite_on_the_way_is_stepped_back_from() -> None:
    weight = nn.Parameter(torch.tensor([0.0], dtype=torch.float64))
    calls = 0

    def closure() -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        outputs = weight - 3
        loss = outputs.square().sum() / 2
        return (loss if weight < 1 else loss * math.nan), outputs

    optimizer = tw.HessianFree([weight], damping=1e-6)
    for _ in range(8):
        optimizer.step(closure)
    assert 0.5 < weight.item() < 1
    assert calls < 8 * 130
    damping = optimizer.state_dict()["state"][0]["course"]["guide"]["damping"]
    assert damping > 1e-6

    nan = tw.HessianFree([nn.Parameter(torch.tensor([2.0], dtype=torch.float64))])
    with pytest.raises(NonFiniteGradientError, match="the function is not finite at x0"):
        nan.step(lambda: ((nan.param_groups[0]["params"][0] * math.nan).sum(), nan.param_groups[0]["params"][0] * 1))


def test_where_no_lower_point_is_found_the_parameters_stay() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = tw.HessianFree([weight], damping=0.1)

    def rising() -> tuple[Tensor, Tensor]:
        """Its gradient is another function's."""
        outputs = 1 * weight
        value = outputs.square().sum()
        return value + (-2 * value - -2 * value.detach()), outputs

    optimizer.step(rising)
    assert torch.equal(weight.detach(), torch.tensor([1.0, 2.0]))
    assert optimizer.status in {Status.UNFIT_FUNCTION, Status.NO_LOWER_POINT}


def test_closures_that_will_not_do_are_named() -> None:
    model, closure, some = network()
    x = torch.randn(5, 6)
    optimizer = tw.HessianFree(model)

    def backward() -> tuple[Tensor, Tensor]:
        loss, outputs = closure()
        loss.backward()
        return loss, outputs

    for wrong, message in (
        (lambda: closure()[0], "the closure returned no outputs, and this method takes the curvature through them"),
        (backward, "the closure has gone backward, which frees the graph"),
        (lambda: (closure()[0], x), "returned have no graph"),
        (lambda: (*closure(), 1), r"the closure returned 3 values; let it return the loss, or \(loss, outputs\)"),
    ):
        with pytest.raises(GradientError, match=message):
            optimizer.step(wrong)
    for wrong, message in (
        (lambda: closure()[0], "the curvature closure returned no outputs"),
        (lambda: (1.0, closure()[1]), "the curvature closure returned no loss of one number"),
    ):
        with pytest.raises(GradientError, match=message):
            optimizer.step(closure, wrong)
    with pytest.raises(DescentError, match="takes no curvature through outputs; leave out `curvature_closure`"):
        tw.DescentOptimizer(model, "lbfgs").step(closure, some)
    optimizer.step(backward, some)  # one derivative is enough for the loss


def test_dropout_is_refused_in_the_loss_and_welcome_in_the_curvature() -> None:
    model, _, _ = network()
    x = torch.randn(40, 6)
    y = (x[:, 0] > 0).long()
    dropout = nn.Dropout(0.5)

    def dropping() -> tuple[Tensor, Tensor]:
        outputs = model(dropout(x))
        return cross_entropy(outputs, y), outputs

    def plain() -> tuple[Tensor, Tensor]:
        outputs = model(x)
        return cross_entropy(outputs, y), outputs

    with pytest.raises(DescentError, match="the closure is not deterministic"):
        tw.HessianFree(model).step(dropping)
    optimizer = tw.HessianFree(model, damping=0.1)
    losses = [float(optimizer.step(plain, dropping)) for _ in range(5)]
    assert losses[-1] < losses[0]
