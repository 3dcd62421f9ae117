"""Derivatives through steps: to parameters, gradients, states and hyper-parameters, of first and second order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import thalweg as tw
from descents import BY_GRADIENT, usual_chain
from model_dialects import MODEL_DIALECTS, ModelDialect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from thalweg.chain import Chain

TAME = {
    **dict.fromkeys(("norm_eps", "r0", "r_rel", "rate_decay", "v0", "weight_decay"), 0.1),
    **dict.fromkeys(("d0", "power"), 0.2),
    "d": 1.3,
    "eps": 0.03,
    "eps1": 1e-3,
    "nu2": 0.9,
    "warmup_steps": 2.5,
}
"""In place of defaults that are so small, or so near a kink or the end of a range, that a finite difference leaps."""
SHAPES = ((2, 2), (3,))
every_rule = pytest.mark.parametrize("name", BY_GRADIENT)
every_chain = pytest.mark.parametrize(
    "chain",
    [
        tw.chain(tw.clip(0.7), tw.gradient_descent(), tw.decay(0.1), tw.step(0.1)),
        tw.chain(tw.clip(0.7, kind="largest", per="tensor"), tw.gradient_descent(), tw.step(0.1)),
        tw.chain(tw.clip_value(0.6), tw.decay(0.1), tw.heavy_ball(), tw.step(0.1)),
        tw.chain(tw.mars(gamma=0.2), tw.adam(), tw.cautious(), tw.step(0.1)),
        tw.chain(tw.adam(), tw.step(0.1), tw.ema(beta=0.6)),
        tw.chain(tw.gradient_descent(), tw.step(0.1), tw.polyak()),
        tw.chain(tw.gradient_descent(), tw.step(0.1), tw.lookahead(every=2)),
    ],
    ids=repr,
)


def numbers_of(chain: Chain) -> dict[str, float]:
    """A chain's numbers, the touchy ones tamed; counts of steps are left as they are."""
    names = chain.numbers(*chain.traces())
    return {name: float(TAME.get(name, value)) for name, value in names.items() if name not in ("every", "start")}  # pyright: ignore[reportArgumentType]


def several_steps(
    chain: Chain, steps: int, *, varied: Sequence[str]
) -> tuple[Callable[..., tuple[Tensor, ...]], list[Tensor]]:
    """Some steps as a function of the parameters, each step's gradients, and numbers; and where to evaluate it."""
    inner = tw.functional(chain)
    random = torch.Generator().manual_seed(3)
    count = len(SHAPES)
    drawn = [torch.randn(s, generator=random, dtype=torch.float64) for _ in range(steps + 1) for s in SHAPES]
    inputs = [*drawn[:count], *(0.3 + one for one in drawn[count:])]
    inputs += [torch.tensor(numbers_of(chain)[name], dtype=torch.float64) for name in varied]

    def run(*given: Tensor) -> tuple[Tensor, ...]:
        numbers = numbers_of(chain) | dict(zip(varied, given[count * (steps + 1) :], strict=True))
        params = list(given[:count])
        state = inner.init(params, **numbers)
        for step in range(steps):
            gradients = given[count * (step + 1) : count * (step + 2)]
            params, state = inner.step(params, gradients, state, **numbers)
        states = [value for own in state.each for name, value in own.items() if name != "step"]
        return (*params, *states, *state.model.values())

    return run, [one.requires_grad_() for one in inputs]


@every_rule
def test_first_derivatives_of_every_rule_are_those_of_finite_differences(name: str) -> None:
    chain = usual_chain(name)
    run, inputs = several_steps(chain, 3, varied=list(numbers_of(chain)))
    assert torch.autograd.gradcheck(run, inputs)


@every_rule
def test_second_derivatives_of_every_rule_are_those_of_finite_differences(name: str) -> None:
    chain = usual_chain(name)
    run, inputs = several_steps(chain, 2, varied=list(numbers_of(chain)))
    assert torch.autograd.gradgradcheck(run, inputs)


@every_chain
def test_derivatives_of_chains_are_those_of_finite_differences(chain: Chain) -> None:
    run, inputs = several_steps(chain, 3, varied=list(numbers_of(chain)))
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


@pytest.mark.parametrize("dialect", MODEL_DIALECTS, ids=str)
def test_derivatives_of_every_chain_that_reduces_are_those_of_finite_differences(dialect: ModelDialect) -> None:
    chain = dialect.chain(dialect.schedule)
    names = [name for name in numbers_of(tw.chain(*chain.stages, tw.step(dialect.rate), *chain.behind)) if name != "lr"]
    run, inputs = several_steps(tw.chain(*chain.stages, tw.step(dialect.rate), *chain.behind), 2, varied=["lr", *names])
    assert torch.autograd.gradcheck(run, inputs)


def quadratic(params: Sequence[Tensor]) -> Tensor:
    """A loss that couples all elements, and has no symmetry."""
    everything = torch.cat([parameter.flatten() for parameter in params])
    weights = torch.linspace(0.5, 2, everything.numel(), dtype=everything.dtype)
    return (
        (weights * (everything - weights).square()).sum() / 2 + 0.1 * everything.sum().square() + everything.cos().sum()
    )


def loss_after(chain: Chain, numbers: dict[str, float], steps: int) -> float:
    """The loss after some steps of `Optimizer`."""
    random = torch.Generator().manual_seed(5)
    params = [torch.randn(shape, generator=random, dtype=torch.float64).requires_grad_() for shape in SHAPES]
    optimizer = tw.Optimizer([{"params": params, **numbers}], chain, backend="reference")
    for _ in range(steps):
        optimizer.zero_grad()
        quadratic(params).backward()
        optimizer.step()
    return quadratic(params).item()


@every_rule
def test_hypergradients_of_every_rule_are_the_optimizers_central_differences(name: str) -> None:
    chain, steps, h = usual_chain(name, 0.02), 5, 1e-6
    plain = numbers_of(chain)
    numbers = {key: torch.tensor(value, dtype=torch.float64, requires_grad=True) for key, value in plain.items()}
    inner = tw.functional(chain)
    random = torch.Generator().manual_seed(5)
    params = [torch.randn(shape, generator=random, dtype=torch.float64).requires_grad_() for shape in SHAPES]
    state = inner.init(params, **numbers)
    for _ in range(steps):
        gradients = torch.autograd.grad(quadratic(params), params, create_graph=True)
        params, state = inner.step(params, gradients, state, **numbers)
    found = torch.autograd.grad(quadratic(params), list(numbers.values()), materialize_grads=True)
    for (key, value), hypergradient in zip(plain.items(), found, strict=True):
        above, below = (loss_after(chain, plain | {key: value + side}, steps) for side in (h, -h))
        assert hypergradient.item() == pytest.approx((above - below) / (2 * h), rel=1e-5, abs=1e-7), key


def test_the_hypergradient_of_descent_on_a_quadratic_is_the_closed_form() -> None:
    # p after k steps is (1 - αa)ᵏ p₀, so that d(ap²/2)/dα = -k a² p₀² (1 - αa)^(2k - 1).
    a, start, rate, steps = 1.5, 2.0, torch.tensor(0.3, dtype=torch.float64, requires_grad=True), 7
    inner = tw.functional(tw.chain(tw.gradient_descent(), tw.step(1.0)))
    params = {"p": torch.tensor(start, dtype=torch.float64)}
    state = inner.init(params)
    for _ in range(steps):
        params, state = inner.step(params, {"p": a * params["p"]}, state, lr=rate)
    (a * params["p"] ** 2 / 2).backward()
    expected = -steps * a**2 * start**2 * (1 - 0.3 * a) ** (2 * steps - 1)
    assert rate.grad is not None
    assert rate.grad.item() == pytest.approx(expected, rel=1e-12)


@every_rule
def test_derivatives_are_finite_where_gradients_are_zero(name: str) -> None:
    chain = usual_chain(name)
    inner = tw.functional(chain)
    numbers = {n: torch.tensor(v, dtype=torch.float64, requires_grad=True) for n, v in numbers_of(chain).items()}
    params = [torch.ones(2, 2, dtype=torch.float64, requires_grad=True), torch.zeros(3, dtype=torch.float64)]
    gradients = [torch.zeros(2, 2, dtype=torch.float64, requires_grad=True), torch.zeros(3, dtype=torch.float64)]
    moved, state = params, inner.init(params, **numbers)
    for _ in range(7):
        moved, state = inner.step(moved, gradients, state, **numbers)
    loss = sum((parameter**2).sum() for parameter in moved)
    inputs = [params[0], gradients[0], *numbers.values()]
    found = torch.autograd.grad(torch.as_tensor(loss), inputs, materialize_grads=True)
    assert all(bool(torch.isfinite(one).all()) for one in found)


def test_adams_derivative_at_a_gradient_of_zero_is_the_one_of_its_formula() -> None:
    # At the first step p' = p - αg/(|g| + ε), whose derivative by g is -α/ε at zero.
    inner = tw.functional(tw.chain(tw.adam(eps=0.1), tw.step(0.5)))
    gradient = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (moved,), _ = inner.step([torch.ones_like(gradient)], [gradient], inner.init([gradient]))
    assert torch.autograd.grad(moved, gradient)[0].item() == pytest.approx(-5, rel=1e-12)


def test_a_rate_for_each_element_gets_a_derivative_for_each() -> None:
    inner = tw.functional(tw.chain(tw.gradient_descent(), tw.step(1.0)))
    rates = {"w": torch.full((2, 3), 0.1, requires_grad=True), "b": torch.tensor(0.2, requires_grad=True)}
    params = {"w": torch.ones(2, 3), "b": torch.ones(4)}
    gradients = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.arange(4.0)}
    moved, _ = inner.step(params, gradients, inner.init(params), lr=rates)
    (moved["w"].sum() + moved["b"].sum()).backward()
    assert rates["w"].grad is not None
    assert torch.equal(rates["w"].grad, -gradients["w"])
    assert rates["b"].grad == -6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_a_hypergradient_has_the_dtype_of_its_number(dtype: torch.dtype) -> None:
    inner = tw.functional(tw.chain(tw.adam(), tw.step(1.0)))
    rate = torch.tensor(0.1, requires_grad=True)
    start = torch.ones(3, dtype=dtype, requires_grad=True)
    moved, state = inner.step([start], [torch.full_like(start, 0.5)], inner.init([start]), lr=rate)
    assert moved[0].dtype == state.each[0]["m"].dtype == dtype
    moved[0].sum().backward()
    assert rate.grad is not None
    assert rate.grad.dtype == torch.float32
    assert rate.grad.item() == pytest.approx(-3, rel=1e-2)
    assert start.grad is not None
    assert start.grad.dtype == dtype
