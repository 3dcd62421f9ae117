"""A module is trained by the descents of `minimize`: same points, same counts, resumed to the bit."""

from __future__ import annotations

import copy
import io
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from thalweg.descent import Descent, Status, descent, gradient_norm, iterations, lbfgs, methods, steepest, strong_wolfe
from thalweg.errors import (
    CheckpointError,
    DescentError,
    GradientError,
    HyperparameterError,
    NonFiniteGradientError,
    ParameterError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

DOUBLE = torch.float64
METHODS = tuple(
    name
    for name, method in methods().items()
    if isinstance(method, Descent)
    and name != "newton"  # which leads to the nearest saddle
    and not method.needs_outputs  # see test_second_order
)
CURVED = tuple(name for name in METHODS if methods()[name].derivatives == 2)
X = torch.randn(40, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
Y = torch.sin(X.sum(1, keepdim=True))


def network(dtype: torch.dtype = DOUBLE) -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).to(dtype)


def loss_of(model: torch.nn.Module) -> Callable[[], Tensor]:
    dtype = next(model.parameters()).dtype
    return lambda: (model(X.to(dtype)) - Y.to(dtype)).square().mean()


def backward_of(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Callable[[], Tensor]:
    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(model)()
        loss.backward()
        return loss

    return closure


def weights(model: torch.nn.Module) -> Tensor:
    return torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])


def function_of(model: torch.nn.Module) -> Callable[[Tensor], Tensor]:
    """The same loss as a function of the flat vector."""
    names = [name for name, _ in model.named_parameters()]
    shapes = [parameter.shape for parameter in model.parameters()]

    def function(x: Tensor) -> Tensor:
        pieces = x.split([shape.numel() for shape in shapes])
        values = {name: piece.view(shape) for name, piece, shape in zip(names, pieces, shapes, strict=True)}
        return (torch.func.functional_call(model, values, (X,)) - Y).square().mean()

    return function


@pytest.mark.parametrize("name", METHODS)
def test_one_call_goes_where_minimize_goes(name: str) -> None:
    model = network()
    theirs = tw.minimize(function_of(model), weights(model), name, max_iter=9)
    optimizer = tw.DescentOptimizer(model, name, max_iter=9)
    first = loss_of(model)().detach()
    assert optimizer.step(loss_of(model)) == first
    assert torch.allclose(weights(model), theirs.x, rtol=1e-7, atol=1e-9)
    assert (optimizer.nit, optimizer.njev, optimizer.nhvp) == (theirs.nit, theirs.njev, theirs.nhvp)
    assert optimizer.nfev == theirs.nfev or name == "steihaug"  # whose refused steps need the graph again
    assert (optimizer.status, optimizer.converged) == (Status.BUDGET_SPENT, False)


def saved(optimizer: tw.DescentOptimizer, model: torch.nn.Module, fresh: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    file = io.BytesIO()
    torch.save((model.state_dict(), optimizer.state_dict()), file)
    file.seek(0)
    of_model, of_optimizer = torch.load(file, weights_only=True)
    other = network()
    other.load_state_dict(of_model)
    loaded = fresh(other)
    loaded.load_state_dict(of_optimizer)
    return other, loaded


SETTINGS: dict[str, dict[str, Any]] = {
    **{name: {"method": name} for name in METHODS},
    "a number": {"method": "lbfgs", "step_size": 0.1, "memory": 2},
    "a schedule": {"method": "steepest", "step_size": tw.cosine(0.2, steps=20)},
    "a scale": {"method": "lbfgs", "memory": 3, "scale": 0.7, "weight_decay": 0.01},
    "brent": {"method": descent(direction=steepest(), step_size=tw.descent.brent(tolerance=1e-3))},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_run_that_is_resumed_or_copied_goes_on_to_the_bit(settings: dict[str, Any]) -> None:
    def fresh(model: torch.nn.Module) -> tw.DescentOptimizer:
        return tw.DescentOptimizer(model, max_iter=3, **settings)

    model = network()
    optimizer = fresh(model)
    for _ in range(4):
        optimizer.step(loss_of(model))
    others = [
        saved(optimizer, model, fresh),
        copy.deepcopy((model, optimizer)),
        pickle.loads(pickle.dumps((model, optimizer))),  # noqa: S301  # our own bytes
    ]
    for _ in range(3):
        optimizer.step(loss_of(model))
    for other, its in others:
        for _ in range(3):
            its.step(loss_of(other))
        assert torch.equal(weights(other), weights(model))
        assert (its.nit, its.nfev, its.njev, its.nhvp) == (
            *(optimizer.nit, optimizer.nfev),
            *(optimizer.njev, optimizer.nhvp),
        )


@pytest.mark.parametrize("name", METHODS)
def test_no_budget_is_ever_exceeded_and_a_cut_search_keeps_what_it_has_found(name: str) -> None:
    model = network()
    calls = 0

    def closure() -> Tensor:
        nonlocal calls
        calls += 1
        return loss_of(model)()

    begin = float(closure().detach())
    for most in (1, 2, 3, 5, 8):
        optimizer = tw.DescentOptimizer(model, name, max_eval=most, max_eval_in_all=2 * most + 1)
        for _ in range(4):
            calls, before = 0, optimizer.nfev + optimizer.nhvp
            allowed = min(most, 2 * most + 1 - before)
            value = loss_of(model)().detach()
            assert optimizer.step(closure) == (value if allowed else None)
            spent = optimizer.nfev + optimizer.nhvp - before
            assert calls <= spent <= allowed
            assert optimizer.status is Status.BUDGET_SPENT
            assert loss_of(model)().detach() <= value
    assert float(closure().detach()) < begin or name in CURVED  # a dense Hessian costs more than that


@pytest.mark.parametrize("name", ["lbfgs", "cg", "hager_zhang"])
def test_a_closure_may_go_backward_or_leave_that_to_the_optimizer(name: str) -> None:
    model, other = network(), network()
    optimizer, its = tw.DescentOptimizer(model, name), tw.DescentOptimizer(other, name)
    for _ in range(2):
        optimizer.step(loss_of(model))
        its.step(backward_of(other, its))
    assert torch.equal(weights(model), weights(other))
    assert optimizer.njev <= its.njev == its.nfev


def test_a_method_of_newtons_kind_says_what_its_closure_must_return() -> None:
    model = network()
    optimizer = tw.DescentOptimizer(model, "newton_cg")
    with pytest.raises(GradientError, match="second derivatives, and the closure has gone backward"):
        optimizer.step(backward_of(model, optimizer))


def test_groups_have_weight_decays_and_scales_and_frozen_parameters_stay() -> None:
    model, other = network(), network()
    groups = [
        {"params": [model[0].weight], "weight_decay": 0.1},
        {"params": [model[0].bias, torch.ones(3, dtype=DOUBLE), torch.zeros(2, dtype=DOUBLE, requires_grad=True)]},
        {"params": list(model[2].parameters()), "scale": 4.0},
    ]
    tw.DescentOptimizer(groups, "lbfgs", max_iter=5).step(loss_of(model))
    x0 = weights(other)
    root = torch.ones_like(x0)
    root[16:] = 2.0
    function = function_of(other)
    theirs = tw.minimize(lambda z: function(root * z) + 0.05 * z[:12].square().sum(), x0 / root, "lbfgs", max_iter=5)
    assert torch.allclose(weights(model), root * theirs.x, rtol=1e-8, atol=1e-10)
    assert torch.equal(groups[1]["params"][1], torch.ones(3, dtype=DOUBLE))
    assert torch.equal(groups[1]["params"][2], torch.zeros(2, dtype=DOUBLE))


def test_products_with_the_hessian_know_of_scale_and_weight_decay() -> None:
    p = torch.tensor([1.0, -2.0], dtype=DOUBLE, requires_grad=True)
    H, b = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=DOUBLE), torch.tensor([1.0, 1.0], dtype=DOUBLE)
    optimizer = tw.DescentOptimizer([p], "newton", step_size=1.0, scale=9.0, weight_decay=0.5, max_iter=1)
    optimizer.step(lambda: 0.5 * p @ H @ p - b @ p)
    assert torch.allclose(p, torch.linalg.solve(H + 0.5 * torch.eye(2, dtype=DOUBLE), b), rtol=1e-12)


def test_what_was_learned_is_dropped_when_other_parameters_are_frozen() -> None:
    model, other = network(), network()
    optimizer = tw.DescentOptimizer(model, "bfgs", max_iter=4)
    optimizer.step(loss_of(model))
    other.load_state_dict(model.state_dict())
    for some in (model, other):
        some[0].requires_grad_(False)
    optimizer.step(loss_of(model))
    tw.DescentOptimizer(other, "bfgs", max_iter=4).step(loss_of(other))
    assert torch.equal(weights(model), weights(other))


def test_torchs_schedulers_drive_a_step_size_that_is_a_number() -> None:
    p = torch.tensor([4.0], dtype=DOUBLE, requires_grad=True)
    optimizer = tw.DescentOptimizer([p], "steepest", step_size=0.5, max_iter=1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    for expected in (2.0, 1.5, 1.3125):
        optimizer.step(lambda: 0.5 * p.square().sum())
        scheduler.step()
        assert p.item() == expected
    optimizer.add_param_group({"params": [torch.ones(1, dtype=DOUBLE, requires_grad=True)], "lr": 3.0})
    with pytest.raises(DescentError, match=r"groups have different `lr`, 0.0625 and 3.0"):
        optimizer.step(lambda: 0.5 * p.square().sum())


def test_a_scaled_loss_is_unscaled_and_an_overflow_leaves_the_step_out() -> None:
    model, other, third = network(torch.float32), network(torch.float32), network(torch.float32)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    optimizer, plain = tw.DescentOptimizer(model, max_iter=4), tw.DescentOptimizer(other, max_iter=4)
    alone = tw.DescentOptimizer(third, max_iter=4)

    def closure(factor: float = 1.0) -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(model)()
        scaler.scale(factor * loss).backward()
        return loss

    for _ in range(2):  # powers of two change no bit
        first = plain.step(loss_of(other))
        assert optimizer.step(closure, scaler=scaler) == first
        scaler.update()
        assert alone.step(loss_of(third), scaler=scaler) == first
        scaler.update()
    assert torch.equal(weights(model), weights(other))
    assert torch.equal(weights(third), weights(other))
    scaler.update(2.0**127)
    optimizer.step(lambda: closure(1e3), scaler=scaler)
    assert (optimizer.skipped, optimizer.status) == (1, Status.NOT_FINITE)
    scaler.update()
    assert scaler.get_scale() == 2.0**126
    assert torch.equal(weights(model), weights(other))
    with pytest.raises(DescentError, match="in bfloat16, which needs no scaler"):
        tw.DescentOptimizer(model, "newton_cg").step(closure, scaler=scaler)


def noisy(model: torch.nn.Module, size: float, calls: list[None]) -> Callable[[], Tensor]:
    def closure() -> Tensor:
        calls.append(None)
        return loss_of(model)() * (1 + size * torch.rand((), dtype=DOUBLE))

    return closure


def test_a_closure_that_goes_by_what_it_draws_is_found_out_at_once() -> None:
    model, calls = network(), list[None]()
    before = weights(model)
    with pytest.raises(DescentError, match=r"not deterministic: at the same parameters .* switch dropout off"):
        tw.DescentOptimizer(model, "lbfgs").step(noisy(model, 1e-3, calls))
    assert len(calls) == 2
    assert torch.equal(weights(model), before)
    tw.DescentOptimizer(model, "lbfgs", step_size=0.1).step(noisy(model, 1e-3, calls))  # which compares nothing


def test_a_closure_that_only_draws_is_looked_at_once() -> None:
    model, other, calls = network(), network(), list[None]()
    optimizer, plain = tw.DescentOptimizer(model, max_iter=2), tw.DescentOptimizer(other, max_iter=2)
    for _ in range(3):
        optimizer.step(noisy(model, 0.0, calls))
        plain.step(loss_of(other))
    assert len(calls) == optimizer.nfev == plain.nfev + 1
    assert torch.equal(weights(model), weights(other))


def test_noise_that_torch_does_not_draw_is_named_when_no_lower_point_is_found() -> None:
    model, count = network(), iter(range(10_000))
    optimizer = tw.DescentOptimizer(model, "lbfgs", max_iter=500, stop=gradient_norm(0))
    with pytest.raises(DescentError, match="not deterministic"):
        optimizer.step(lambda: loss_of(model)() + 1e-4 * (next(count) % 7))


def test_what_is_not_finite_at_the_beginning_is_named_or_counted() -> None:
    model = network()
    with torch.no_grad():
        model[2].bias.fill_(torch.nan)
    with pytest.raises(NonFiniteGradientError, match=r"not finite at x0; the gradient of `0.weight` .*nothing has mov"):
        tw.DescentOptimizer(model).step(backward_of(model, torch.optim.SGD(model.parameters())))
    optimizer = tw.DescentOptimizer(model, nonfinite="skip")
    optimizer.step(loss_of(model))
    assert optimizer.skipped == 1


def test_a_step_into_nowhere_ends_where_the_loss_was_finite_last() -> None:
    p = torch.tensor([3.0], dtype=DOUBLE, requires_grad=True)
    optimizer = tw.DescentOptimizer([p], "steepest", step_size=1.0)
    with pytest.raises(NonFiniteGradientError, match=r"a step of size 1 .* finite last"):
        optimizer.step(lambda: p.log().sum() + p.sum())
    assert p.item() == pytest.approx(3 - 4 / 3 - 1.6)
    q = torch.tensor([3.0], dtype=DOUBLE, requires_grad=True)
    with pytest.raises(DescentError, match="not bounded below"):
        tw.DescentOptimizer([q]).step(lambda: -q.exp().sum())


def test_after_an_error_in_the_closure_the_parameters_are_at_the_last_point() -> None:
    model, calls = network(), list[None]()

    def closure() -> Tensor:
        if len(calls) == 4:
            raise ZeroDivisionError
        return noisy(model, 0.0, calls)()

    optimizer = tw.DescentOptimizer(model, "steepest", step_size=0.1)
    with pytest.raises(ZeroDivisionError):
        optimizer.step(closure)
    other = network()
    tw.DescentOptimizer(other, "steepest", step_size=0.1, max_iter=3).step(loss_of(other))
    assert (optimizer.nit, optimizer.nfev) == (3, 5)
    assert torch.equal(weights(model), weights(other))


P = torch.ones(2, requires_grad=True)
REFUSED: dict[str, tuple[type[Exception], str, Callable[[], object]]] = {
    "half precision": (ParameterError, "float32 and float64", lambda: step_once([P.detach().half().requires_grad_()])),
    "mixed dtypes": (ParameterError, "not of one dtype", lambda: step_once([P, P.detach().double().requires_grad_()])),
    "all frozen": (ParameterError, "no trainable parameter", lambda: step_once([P.detach()])),
    "empty": (ParameterError, "no element", lambda: step_once([torch.ones(0, requires_grad=True)])),
    "a rate": (HyperparameterError, "finds the size of a step", lambda: step_once([{"params": [P], "lr": 0.1}])),
    "momentum": (HyperparameterError, "sets `momentum`", lambda: step_once([{"params": [P], "momentum": 0.1}])),
    "a scale": (HyperparameterError, "`scale` is 0", lambda: tw.DescentOptimizer([P], scale=0.0)),
    "a decay": (HyperparameterError, "`weight_decay` is -1", lambda: step_once([{"params": [P], "weight_decay": -1}])),
    "a policy": (
        HyperparameterError,
        "`nonfinite` is 'propagate'",
        lambda: tw.DescentOptimizer([P], nonfinite="propagate"),
    ),
    "a budget": (HyperparameterError, "whole number, 1 or more", lambda: tw.DescentOptimizer([P], max_eval=0)),
    "no closure": (DescentError, "give `step` a closure", lambda: tw.DescentOptimizer([P]).step()),
    "no loss": (GradientError, "closure returned None", lambda: tw.DescentOptimizer([P]).step(lambda: None)),
    "no graph": (GradientError, "left no gradients", lambda: tw.DescentOptimizer([P]).step(lambda: 1.0)),
    "many losses": (GradientError, r"shape \(2,\)", lambda: tw.DescentOptimizer([P]).step(lambda: P * 2)),
}


def step_once(params: Any) -> object:  # noqa: ANN401  # whatever is refused
    return tw.DescentOptimizer(params).step(lambda: torch.zeros((), requires_grad=True))


@pytest.mark.parametrize(("error", "words", "wrong"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(error: type[Exception], words: str, wrong: Callable[[], object]) -> None:
    with pytest.raises(error, match=words):
        wrong()


def test_a_state_of_another_method_or_of_other_parameters_is_refused() -> None:
    model = network()
    optimizer = tw.DescentOptimizer(model, "lbfgs", max_iter=2)
    optimizer.step(loss_of(model))
    state = optimizer.state_dict()
    for other, words in (
        (tw.DescentOptimizer(network(), "lbfgs", memory=3), "memory=3"),
        (tw.DescentOptimizer(list(network().parameters())[::-1]), r"with \[12, 4, 4, 1\] elements, and these have"),
        (tw.DescentOptimizer([torch.ones(21, dtype=DOUBLE, requires_grad=True)]), "of 4 parameters, and this"),
    ):
        with pytest.raises(CheckpointError, match=words):
            other.load_state_dict(state)
        assert other.nfev == 0
    with pytest.raises(CheckpointError, match="another optimizer"):
        optimizer.load_state_dict(torch.optim.LBFGS(network().parameters()).state_dict())
    own = descent(direction=lbfgs(), step_size=strong_wolfe(), stop=iterations(4))
    tw.DescentOptimizer(model, own).load_state_dict(state)  # when to stop may change


def test_a_scheduler_drives_a_step_size_and_is_told_where_there_is_none() -> None:
    def made(**options: Any) -> tw.DescentOptimizer:
        return tw.DescentOptimizer([torch.ones(2, requires_grad=True)], "lbfgs", max_iter=1, **options)

    driven = made(step_size=0.5)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(driven, 0.5)
    _ = driven.step(lambda: driven.param_groups[0]["params"][0].square().sum())
    scheduler.step()
    assert driven.param_groups[0]["lr"] == 0.25

    searching = made()
    copied = copy.deepcopy(searching)
    resumed = made()
    resumed.load_state_dict(searching.state_dict())
    for optimizer in (searching, copied, resumed, pickle.loads(pickle.dumps(searching))):  # noqa: S301  # our own
        assert "lr" not in optimizer.param_groups[0]
        with pytest.raises(
            DescentError, match="found by the method, and there is no `lr` that a scheduler could drive"
        ):
            torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        assert type(optimizer.state_dict()["param_groups"][0]) is dict
