"""Our L-BFGS against torch's: numbers, counts, states; and what torch's does wrong."""

from __future__ import annotations

import copy
import io
import itertools
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from thalweg.errors import (
    CheckpointError,
    DescentError,
    GradientError,
    HyperparameterError,
    NonFiniteGradientError,
    ParameterError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

DOUBLE = torch.float64
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(30, 6, dtype=DOUBLE, generator=GENERATOR)
LABELS = (X @ torch.randn(6, dtype=DOUBLE, generator=GENERATOR) > 0).double()


def logistic(w: Tensor, b: Tensor) -> Tensor:
    loss = torch.nn.functional.binary_cross_entropy_with_logits(X @ w + b, LABELS)
    return loss + 0.05 * w.square().sum()


def rosenbrock(*parts: Tensor) -> Tensor:
    x = torch.cat([part.reshape(-1) for part in parts])
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def network(weight: Tensor, bias: Tensor, out: Tensor) -> Tensor:
    return ((torch.tanh(X @ weight + bias) @ out).squeeze() - torch.sin(X.sum(1))).square().mean()


PROBLEMS: dict[str, tuple[Callable[..., Tensor], tuple[tuple[int, ...], ...], float]] = {
    "logistic": (logistic, ((6,), ()), 1.0),
    "rosenbrock": (rosenbrock, ((2,), (3,)), 0.01),
    "network": (network, ((6, 5), (5,), (5, 1)), 0.5),
}


def start(shapes: Sequence[tuple[int, ...]], dtype: torch.dtype = DOUBLE) -> list[Tensor]:
    random = torch.Generator().manual_seed(1)
    return [(0.5 * torch.randn(shape, generator=random, dtype=DOUBLE)).to(dtype).requires_grad_() for shape in shapes]


def flat(parameters: Sequence[Tensor]) -> Tensor:
    return torch.cat([parameter.detach().reshape(-1) for parameter in parameters])


class Run:
    """An optimizer with its parameters, and how often its closure was called in each step."""

    def __init__(self, kind: type[torch.optim.Optimizer], problem: str, **settings: Any) -> None:
        self.function, shapes, _ = PROBLEMS[problem]
        self.parameters = start(shapes)
        self.optimizer = kind(self.parameters, **settings)
        self.calls: list[int] = []
        self.losses: list[float] = []

    def closure(self) -> Tensor:
        self.calls[-1] += 1
        self.optimizer.zero_grad()
        loss = self.function(*self.parameters)
        loss.backward()
        return loss

    def go(self, steps: int) -> Run:
        for _ in range(steps):
            self.calls.append(0)
            self.losses.append(float(self.optimizer.step(self.closure).detach()))
        return self

    @property
    def state(self) -> dict[str, Any]:
        return self.optimizer.state[self.parameters[0]]


GRID = list(itertools.product(PROBLEMS, (None, "strong_wolfe"), (1, 4, 100), ((1, None), (4, None), (6, 100), (15, 9))))


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_the_numbers_are_torchs_and_the_budget_is_kept_where_torch_exceeds_it(search: str | None) -> None:
    exceeded = compared = 0
    for problem, its, history, (iterations, evaluations) in GRID:
        if its != search:
            continue
        settings: dict[str, Any] = {"max_iter": iterations, "max_eval": evaluations, "history_size": history}
        settings |= {"line_search_fn": search, "lr": 1.0 if search else PROBLEMS[problem][2], "tolerance_grad": 1e-6}
        theirs, ours = (Run(kind, problem, **settings).go(4) for kind in (torch.optim.LBFGS, tw.LBFGS))
        most = evaluations or max(iterations * 5 // 4, 2 if search else 1)
        assert max(ours.calls) <= most
        assert sum(ours.calls) == ours.state["func_evals"] == ours.optimizer.nfev
        if max(theirs.calls) > most:
            exceeded += 1
            continue
        compared += 1
        assert ours.calls == theirs.calls
        assert ours.state["n_iter"] == theirs.state["n_iter"]
        torch.testing.assert_close(flat(ours.parameters), flat(theirs.parameters), rtol=1e-6, atol=1e-8)
        assert ours.losses == pytest.approx(theirs.losses, rel=1e-6, abs=1e-12)
    assert compared >= 25
    assert exceeded or search is None


def test_the_tolerances_end_a_call_where_torchs_end_it() -> None:
    for search in (None, "strong_wolfe"):
        for of_gradient, of_change in ((1e-1, 1e-9), (1e-7, 1e-2), (1e-7, 1e-4), (10.0, 1e-9)):
            settings: dict[str, Any] = {"tolerance_grad": of_gradient, "tolerance_change": of_change, "max_iter": 12}
            settings |= {"line_search_fn": search, "max_eval": 50}
            theirs, ours = (Run(kind, "logistic", **settings).go(3) for kind in (torch.optim.LBFGS, tw.LBFGS))
            assert ours.calls == theirs.calls
            torch.testing.assert_close(flat(ours.parameters), flat(theirs.parameters), rtol=1e-8, atol=1e-10)


def through_a_file(state_dict: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state_dict, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_states_go_over_from_torch_and_back(search: str | None) -> None:
    settings: dict[str, Any] = {"max_iter": 3, "max_eval": 60, "history_size": 4, "line_search_fn": search, "lr": 0.7}
    theirs, ours = Run(torch.optim.LBFGS, "logistic", **settings).go(2), Run(tw.LBFGS, "logistic", **settings).go(2)
    state, expected = ours.optimizer.state_dict(), theirs.optimizer.state_dict()
    assert set(state["state"][0]) - {"pairs"} == set(expected["state"][0])
    for name, value in expected["state"][0].items():
        assert isinstance(state["state"][0][name], float if name == "t" else type(value))
    for kind in (torch.optim.LBFGS, tw.LBFGS):
        for begun in (theirs, ours):
            run = Run(kind, "logistic", max_iter=1)
            run.parameters[:] = [p.detach().clone().requires_grad_() for p in begun.parameters]
            run.optimizer = kind(run.parameters, max_iter=1)
            run.optimizer.load_state_dict(through_a_file(begun.optimizer.state_dict()))
            run.go(2)
            again = Run(torch.optim.LBFGS, "logistic", **settings).go(4)
            torch.testing.assert_close(flat(run.parameters), flat(again.parameters), rtol=1e-8, atol=1e-10)
            assert run.state["n_iter"] == again.state["n_iter"]


@pytest.mark.parametrize("history", [3, 50])
def test_a_run_that_is_resumed_or_copied_goes_on_to_the_bit(history: int) -> None:
    settings: dict[str, Any] = {"max_iter": 5, "history_size": history, "line_search_fn": "strong_wolfe"}
    run = Run(tw.LBFGS, "rosenbrock", **settings).go(2)
    loaded = Run(tw.LBFGS, "rosenbrock", max_iter=1)
    state = through_a_file(run.optimizer.state_dict())
    for own, other in zip(loaded.parameters, run.parameters, strict=True):
        own.data.copy_(other.detach())
    loaded.optimizer.load_state_dict(state)
    loaded.optimizer.load_state_dict(loaded.optimizer.state_dict())
    others = [loaded, copy.deepcopy(run)]
    function, run.function = run.function, run.function
    others.append(pickle.loads(pickle.dumps(run)))  # noqa: S301  # our own bytes
    assert function is run.function
    run.go(3)
    for other in others:
        other.go(3)
        assert torch.equal(flat(other.parameters), flat(run.parameters))
        assert other.state["func_evals"] == run.state["func_evals"]


def test_torch_may_step_in_between() -> None:
    settings: dict[str, Any] = {"max_iter": 3, "history_size": 3, "lr": 0.5}
    ours, torchs = Run(tw.LBFGS, "logistic", **settings).go(2), Run(torch.optim.LBFGS, "logistic", **settings)
    for own, other in zip(torchs.parameters, ours.parameters, strict=True):
        own.data.copy_(other.detach())
    torchs.optimizer.load_state_dict(ours.optimizer.state_dict())
    torchs.go(1)
    back = Run(tw.LBFGS, "logistic", **settings)
    for own, other in zip(back.parameters, torchs.parameters, strict=True):
        own.data.copy_(other.detach())
    back.optimizer.load_state_dict(torchs.optimizer.state_dict())  # with pairs of ours that are out of date
    back.go(1)
    reference = Run(torch.optim.LBFGS, "logistic", **settings).go(4)
    torch.testing.assert_close(flat(back.parameters), flat(reference.parameters), rtol=1e-9, atol=1e-12)


def test_complex_frozen_and_unused_parameters_are_taken_as_torch_takes_them() -> None:
    results = []
    for kind in (torch.optim.LBFGS, tw.LBFGS):
        z = torch.tensor([1.0 + 2.0j, -1.0j], dtype=torch.complex128, requires_grad=True)
        frozen, unused = torch.ones(2, dtype=DOUBLE), torch.zeros(3, dtype=DOUBLE, requires_grad=True)
        w = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=DOUBLE, requires_grad=True)
        optimizer = kind([z, frozen, unused, w], max_iter=8, line_search_fn="strong_wolfe")

        def closure(z: Tensor = z, w: Tensor = w, its: torch.optim.Optimizer = optimizer) -> Tensor:
            its.zero_grad()
            loss = (z - 1).abs().pow(4).sum() + (w @ torch.view_as_real(z) - 1).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        results.append(torch.cat([torch.view_as_real(z.detach()).reshape(-1), w.detach().reshape(-1), frozen, unused]))
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-10)


def test_a_place_of_the_line_that_is_not_finite_is_too_far() -> None:
    ends = []
    for kind in (torch.optim.LBFGS, tw.LBFGS):
        p = torch.tensor([3.0], dtype=DOUBLE, requires_grad=True)
        optimizer = kind([p], lr=20.0, line_search_fn="strong_wolfe")

        def closure(p: Tensor = p, its: torch.optim.Optimizer = optimizer) -> Tensor:
            its.zero_grad()
            loss = (p - p.log()).sum()  # no number below 0; its minimum is at 1
            loss.backward()
            return loss

        optimizer.step(closure)
        ends.append(p.item())
    assert ends[1] == pytest.approx(1.0, abs=1e-6)
    assert ends[0] != pytest.approx(1.0, abs=1e-3)  # torch goes further still: pytorch/pytorch#5953


def test_a_step_to_where_the_loss_is_not_finite_is_taken_back() -> None:
    def make(**settings: Any) -> tuple[Tensor, tw.LBFGS, Callable[[], Tensor]]:
        p = torch.tensor([3.0], dtype=DOUBLE, requires_grad=True)
        optimizer = tw.LBFGS([p], lr=6.0, **settings)

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = (p - p.log()).sum()
            loss.backward()
            return loss

        return p, optimizer, closure

    p, optimizer, closure = make()
    with pytest.raises(NonFiniteGradientError, match=r"a step of 6 times .* was taken back; search"):
        optimizer.step(closure)
    assert p.item() == 3.0
    p, optimizer, closure = make(nonfinite="skip")
    optimizer.step(closure)
    assert (p.item(), optimizer.skipped) == (3.0, 1)
    p, optimizer, closure = make(nonfinite="propagate")
    optimizer.step(closure)
    assert p.item() < 0


def test_a_scaled_loss_is_unscaled() -> None:
    runs = [Run(tw.LBFGS, "logistic", max_iter=4, line_search_fn="strong_wolfe") for _ in range(2)]
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**9)
    scaled, plain = runs

    def closure() -> Tensor:
        scaled.optimizer.zero_grad()
        loss = scaled.function(*scaled.parameters)
        scaler.scale(loss).backward()
        return loss

    for _ in range(2):
        scaled.optimizer.step(closure, scaler=scaler)
        scaler.update()
    plain.go(2)
    assert torch.equal(flat(scaled.parameters), flat(plain.parameters))


def test_what_cannot_be_is_refused() -> None:
    p = torch.ones(2, requires_grad=True)
    for settings, words in (
        ({"lr": -1.0}, "`lr` is -1"),
        ({"history_size": 0}, "`history_size` is 0"),
        ({"line_search_fn": "armijo"}, "give 'strong_wolfe' or None"),
        ({"line_search_fn": "strong_wolfe", "max_eval": 1}, "it must be 2 or more"),
        ({"nonfinite": "never"}, "`nonfinite` is 'never'"),
    ):
        with pytest.raises(HyperparameterError, match=words):
            tw.LBFGS([p], **settings)
    with pytest.raises(ParameterError, match="takes one group"):
        tw.LBFGS([{"params": [p]}, {"params": [torch.ones(1, requires_grad=True)]}])
    with pytest.raises(ParameterError, match=r"float32 on cpu and torch.float64 on cpu"):
        tw.LBFGS([p, torch.ones(1, dtype=DOUBLE, requires_grad=True)]).step(p.sum)
    with pytest.raises(DescentError, match="give `step` a closure"):
        tw.LBFGS([p]).step()
    with pytest.raises(GradientError, match="left no gradients; let it clear them, go backward"):
        tw.LBFGS([torch.ones(1, requires_grad=True)]).step(lambda: 1.0)
    with pytest.raises(CheckpointError, match="another optimizer's"):
        tw.LBFGS([p]).load_state_dict(torch.optim.SGD([p], lr=0.1).state_dict())
    run = Run(tw.LBFGS, "logistic", max_iter=2).go(1)
    with pytest.raises(CheckpointError, match="of 7 elements, and these parameters have 3"):
        tw.LBFGS(start([(2,), ()])).load_state_dict(run.optimizer.state_dict())
