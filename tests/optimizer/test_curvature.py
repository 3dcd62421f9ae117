"""Rules that step by the curvature are given estimates when they are due, and say what to do where there are none."""

# ruff: noqa: ANN401  # user code may pass anything

from __future__ import annotations

import copy
import io
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.nn import functional

import thalweg as tw
from descents import one_parameter
from thalweg.errors import (
    BackendError,
    ChainError,
    CurvatureError,
    FormulaError,
    GradientError,
    NonFiniteGradientError,
    ParameterError,
)
from thalweg.formula import Curvature, Direction, Update, Zeros, mean, rule
from thalweg.kernels import plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from thalweg.optimizer.estimators import Estimator
    from thalweg.optimizer.layout import NonFinite

SOPHIA = tw.chain(tw.sophia(beta2=0.5, gamma=1.0), tw.step(0.1))
ESGD = tw.chain(tw.esgd(damping=0.1), tw.step(0.1))


def model_of(seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).to(dtype)


def train(model: torch.nn.Module, optimizer: tw.Optimizer, steps: range = range(25)) -> list[Tensor]:
    """Train as a user does, by batches that depend on the step alone."""
    for step in steps:
        random = torch.Generator().manual_seed(step)
        x, y = torch.randn(8, 4, generator=random), torch.randint(0, 3, (8,), generator=random)
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        optimizer.estimate_curvature(loss)
        loss.backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


def equal(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


def bowl(*parameters: Tensor, curvature: float = 4.0) -> Tensor:
    return sum(((0.5 * curvature * p**2).sum() for p in parameters), torch.zeros(()))


def test_an_estimate_is_made_when_it_is_due_and_a_function_is_called_only_then() -> None:
    parameter = torch.ones(3, requires_grad=True)
    optimizer = tw.Optimizer([parameter], SOPHIA, curvature=tw.hutchinson(every=3))
    calls: list[int] = []
    made = []
    for step in range(7):

        def loss(step: int = step) -> Tensor:
            calls.append(step)
            return bowl(parameter)

        parameter.grad = torch.ones(3)
        made.append(optimizer.estimate_curvature(loss))
        assert not optimizer.estimate_curvature(loss), "one waits already"
        optimizer.step()
    assert made == [True, False, False, True, False, False, True]
    assert calls == [0, 3, 6]
    assert optimizer.estimate_curvature(lambda: bowl(parameter), now=True)


def test_each_estimate_is_averaged_in_once() -> None:
    parameter = torch.ones(3, requires_grad=True)
    optimizer = tw.Optimizer([parameter], SOPHIA, curvature=tw.hutchinson(every=2))
    found = []
    for _ in range(5):
        parameter.grad = torch.ones(3)
        optimizer.estimate_curvature(lambda: bowl(parameter))
        optimizer.step()
        found.append(optimizer.state[parameter]["h"][0].item())
    assert found == [2.0, 2.0, 3.0, 3.0, 3.5]


@pytest.mark.parametrize(
    ("chain", "every"), [(SOPHIA, 10), (ESGD, 20), (tw.chain(tw.vsgd(), tw.step(1.0)), 1)], ids=["10", "20", "1"]
)
def test_without_an_estimator_the_rules_paper_says_how_often(chain: tw.Chain, every: int) -> None:
    parameter = torch.ones(3, requires_grad=True)
    optimizer = tw.Optimizer([parameter], chain)
    made = []
    for step in range(41):
        parameter.grad = torch.ones(3)
        if optimizer.estimate_curvature(bowl(parameter)):
            made.append(step)
        optimizer.step()
    assert made == list(range(0, 41, every))


def test_a_step_between_two_estimates_reads_no_array_for_them() -> None:
    assert plan(SOPHIA.trace()).loads == ("p", "g", "curvature", "m", "h")
    assert plan(SOPHIA.trace(estimated=False)).loads == ("p", "g", "m", "h")
    assert [slot for slot, _ in plan(SOPHIA.trace(estimated=False)).stores] == ["p", "m"]


@pytest.mark.parametrize("name", ["sophia", "esgd", "vsgd"])
def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(name: str) -> None:
    chain = tw.chain(tw.rules.get(name)(), tw.step(0.01))
    settings = {} if name == "vsgd" else {"curvature": (tw.equilibration if name == "esgd" else tw.hutchinson)(every=4)}
    model = model_of()
    expected = train(model, tw.Optimizer(model, chain, **settings))
    begun = model_of()
    first = tw.Optimizer(begun, chain, **settings)
    train(begun, first, range(14))
    file = io.BytesIO()
    torch.save([begun.state_dict(), first.state_dict()], file)
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    resumed = model_of(seed=1)
    resumed.load_state_dict(weights)
    second = tw.Optimizer(resumed, chain, **settings)
    second.load_state_dict(state)
    assert equal(train(resumed, second, range(14, 25)), expected)


def test_copies_go_on_as_the_original_does() -> None:
    model = model_of()
    optimizer = tw.Optimizer(model, SOPHIA, curvature=tw.hutchinson(every=4, seed=5))
    train(model, optimizer, range(7))
    copies = [copy.deepcopy((model, optimizer)), pickle.loads(pickle.dumps((model, optimizer)))]  # noqa: S301  # ours
    expected = train(model, optimizer, range(7, 20))
    assert all(equal(train(*copied, range(7, 20)), expected) for copied in copies)


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_sophia_g_learns_by_logits_on_both_backends(backend: Any) -> None:
    model = model_of()
    optimizer = tw.Optimizer(
        model, tw.chain(tw.sophia(gamma=0.05), tw.step(0.01)), curvature=tw.gauss_newton_bartlett(), backend=backend
    )
    random = torch.Generator().manual_seed(0)
    x = torch.randn(64, 4, generator=random)
    y = x[:, :3].argmax(1)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        logits = model(x)
        loss = functional.cross_entropy(logits, y)
        optimizer.estimate_curvature(logits)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_first_step_needs_an_estimate_and_later_ones_go_on_with_what_they_know() -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([parameter], ESGD)
    with pytest.raises(
        CurvatureError, match=r"parameter 0 of group 0 \(3\) has no estimate .* `optimizer.estimate_curv"
    ):
        optimizer.step()
    assert torch.equal(parameter, torch.ones(3))
    optimizer.take_curvature([torch.ones(3)])
    optimizer.step()
    optimizer.step()
    late = one_parameter()
    optimizer.add_param_group({"params": [late]})
    with pytest.raises(CurvatureError, match=r"parameter 0 of group 1 \(3\) has no estimate"):
        optimizer.step()


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (lambda p: bowl(p).detach(), "this one has none: it was computed under `no_grad`, or detached"),
        (lambda p: bowl(p).item(), "estimated from a tensor with its graph, and was given 6.0"),
        (lambda p: p**2, r"that of one number, and the loss has the shape \(3,\)"),
        (lambda _: bowl(torch.ones(3, requires_grad=True)), "depends on none of the parameters"),
    ],
)
def test_what_no_curvature_can_be_estimated_from_is_refused(of: Callable[[Tensor], Any], message: str) -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([parameter], SOPHIA)
    for given in (of(parameter), lambda: of(parameter)):
        with pytest.raises(CurvatureError, match=message):
            optimizer.estimate_curvature(given)


@pytest.mark.parametrize("estimator", [tw.hutchinson(), tw.gauss_newton_bartlett()], ids=repr)
def test_a_graph_that_is_gone_is_an_error_that_says_where_to_call(estimator: Estimator) -> None:
    weight = torch.ones(2, 3, requires_grad=True)
    optimizer = tw.Optimizer([weight], SOPHIA, curvature=estimator)
    logits = (torch.ones(4, 2) @ weight).exp()
    loss = logits.sum()
    loss.backward()
    with pytest.raises(CurvatureError, match=r"the graph is gone, .* call `estimate_curvature`, before it"):
        optimizer.estimate_curvature(logits if isinstance(estimator, tw.gauss_newton_bartlett) else loss)


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x**2).sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return 2 * slope * ctx.saved_tensors[0]


def test_a_loss_that_cannot_be_differentiated_twice_is_refused() -> None:
    parameter = one_parameter()
    with pytest.raises(CurvatureError, match=r"cannot be differentiated twice \(.*once_differentiable"):
        tw.Optimizer([parameter], SOPHIA).estimate_curvature(Once.apply(parameter))


def test_a_parameter_that_the_loss_leaves_out_is_named_and_one_without_a_gradient_is_not() -> None:
    used, unused = (torch.ones(3, requires_grad=True) for _ in range(2))
    optimizer = tw.Optimizer([("used", used), ("unused", unused)], SOPHIA)
    used.grad = torch.ones(3)
    assert optimizer.estimate_curvature(bowl(used))
    optimizer.step()
    assert torch.equal(unused, torch.ones(3))
    unused.grad = torch.ones(3)
    optimizer.estimate_curvature(bowl(used), now=True)
    with pytest.raises(CurvatureError, match=r"`unused` \(3\) has a gradient and no estimate .* does not depend on it"):
        optimizer.step()


@pytest.mark.parametrize("nonfinite", ["raise", "skip", "propagate"])
def test_an_estimate_that_is_not_finite_is_an_error_left_out_or_taken(nonfinite: NonFinite) -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([("weight", parameter)], SOPHIA, nonfinite=nonfinite)
    optimizer.take_curvature([torch.full((3,), 4.0)])
    optimizer.step()
    broken = (parameter * torch.tensor([1.0, float("inf"), 1.0])).pow(2).sum()
    if nonfinite == "raise":
        with pytest.raises(CurvatureError, match=r"curvature for `weight` \(3\) has a NaN or an infinity, and was not"):
            optimizer.estimate_curvature(broken, now=True)
    else:
        assert optimizer.estimate_curvature(broken, now=True) is (nonfinite == "propagate")
    parameter.grad = torch.ones(3)
    optimizer.step()
    assert bool(torch.isfinite(optimizer.state[parameter]["h"]).all()) is (nonfinite != "propagate")


def test_an_estimate_waits_where_a_step_is_skipped_and_is_gone_where_some_elements_have_moved() -> None:
    bad = torch.tensor([1.0, float("nan"), 1.0])
    for nonfinite in ("skip", "raise"):
        parameter = one_parameter()
        optimizer = tw.Optimizer([parameter], SOPHIA, nonfinite=nonfinite)  # pyright: ignore[reportArgumentType]
        optimizer.take_curvature([torch.full((3,), 4.0)])
        parameter.grad = bad.clone()
        if nonfinite == "raise":
            with pytest.raises(NonFiniteGradientError):
                optimizer.step()
        else:
            optimizer.step()
            assert optimizer.skipped == 1
        parameter.grad = torch.ones(3)
        optimizer.step()
        assert optimizer.state[parameter]["h"][0] == 2.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "there are 2 parameters, and 0 estimates"),
        (torch.ones(3), "there are 2 parameters, and 1 estimates"),
        (
            [torch.ones(3), torch.ones(2)],
            r"parameter 1 of group 0 \(3\) must be a tensor of shape \(3,\), and is one of",
        ),
        ([torch.ones(3), 2.0], r"must be a tensor of shape \(3,\), and is 2.0"),
    ],
)
def test_estimates_of_ones_own_must_fit_the_parameters(values: Any, message: str) -> None:
    with pytest.raises(CurvatureError, match=message):
        tw.Optimizer([one_parameter(), one_parameter()], SOPHIA).take_curvature(values)


def test_a_chain_that_asks_for_no_curvature_takes_no_notice_and_no_estimator() -> None:
    parameter = one_parameter()
    chain = tw.chain(tw.adam(), tw.step(0.1))
    assert not tw.Optimizer([parameter], chain).estimate_curvature(lambda: pytest.fail("it is called"))
    with pytest.raises(ChainError, match=r"`curvature` is hutchinson\(\), and no chain asks for an estimate"):
        tw.Optimizer([parameter], chain, curvature=tw.hutchinson())
    with pytest.raises(ChainError, match="give an estimator, such as"):
        tw.Optimizer([parameter], SOPHIA, curvature=10)  # pyright: ignore[reportArgumentType]


def test_an_estimator_of_another_kind_is_refused_with_one_that_fits() -> None:
    with pytest.raises(
        ChainError, match=r"asks for the Hessian's product, and hutchinson\(\) .*; use equilibration\(\)"
    ):
        tw.Optimizer([one_parameter()], ESGD, curvature=tw.hutchinson())
    route = tw.route({"a": SOPHIA, "b": ESGD})
    routed = tw.Optimizer([("a", one_parameter()), ("b", one_parameter())], route)
    with pytest.raises(ChainError, match="ask for two kinds of estimates"):
        routed.estimate_curvature(torch.ones((), requires_grad=True))
    with pytest.raises(ChainError, match="needs the Hessian's product, and another stage its diagonal"):
        tw.Optimizer([one_parameter()], tw.chain(tw.sophia(), tw.esgd(), tw.step(0.1)))


def test_only_parameters_whose_stage_asks_are_estimated() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.LayerNorm(3), torch.nn.Linear(3, 1))
    chain = tw.chain(tw.sophia(skip="norm"), tw.rmsprop(only="norm"), tw.step(0.1))
    optimizer = tw.Optimizer(model, chain)
    loss = model(torch.randn(5, 3)).square().sum()
    assert optimizer.estimate_curvature(loss)
    loss.backward()
    optimizer.step()
    kept = [set(optimizer.state[parameter]) for parameter in model.parameters()]
    assert kept == [{"step", "m", "h"}] * 2 + [{"step", "r"}] * 2 + [{"step", "m", "h"}] * 2


@pytest.mark.parametrize("clipped", [False, True])
@pytest.mark.parametrize("kept", [None, "8bit"])
def test_tensors_that_lie_oddly_and_empty_ones_take_the_same_steps(clipped: bool, kept: Any) -> None:
    chain = tw.chain(*([tw.clip(1.0)] if clipped else []), tw.sophia(beta2=0.5, gamma=1.0), tw.step(0.1))
    values = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    plain = values.clone().requires_grad_()
    odd = values.clone().to(memory_format=torch.channels_last).requires_grad_()
    empty = torch.ones(0, requires_grad=True)
    optimizers = [tw.Optimizer(some, chain, state_dtype=kept) for some in ([plain], [empty, odd])]
    for step in range(6):
        for parameters, optimizer in zip(([plain], [empty, odd]), optimizers, strict=True):
            optimizer.zero_grad()
            loss = bowl(*(p.sin() for p in parameters))
            if step % 2 == 0:
                optimizer.estimate_curvature(loss, now=True)
            loss.backward()
            optimizer.step()
    torch.testing.assert_close(odd, plain)


def test_ascending_is_descending_on_the_function_turned_over() -> None:
    up, down = (torch.tensor([1.0, -2.0, 0.5], requires_grad=True) for _ in range(2))
    ascending, descending = tw.Optimizer([up], SOPHIA, maximize=True), tw.Optimizer([down], SOPHIA)
    for _ in range(5):
        for sign, parameter, optimizer in ((-1.0, up, ascending), (1.0, down, descending)):
            optimizer.zero_grad()
            loss = sign * bowl(parameter.sin())
            optimizer.estimate_curvature(loss)
            loss.backward()
            optimizer.step()
    assert torch.equal(up, down)
    logits = torch.ones(2, 2, requires_grad=True)
    refusing = tw.Optimizer([logits], SOPHIA, maximize=True, curvature=tw.gauss_newton_bartlett())
    with pytest.raises(CurvatureError, match="is for a loss that is minimised"):
        refusing.estimate_curvature(logits * 1)


def test_sam_estimates_where_the_parameters_are() -> None:
    parameter = torch.tensor([1.0, -2.0], requires_grad=True)
    optimizer = tw.SAM([parameter], SOPHIA, rho=0.5)
    made = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (parameter**4).sum()
        made.append(optimizer.estimate_curvature(loss))
        loss.backward()
        return loss

    optimizer.step(closure)
    assert made == [True, False]
    torch.testing.assert_close(optimizer.state[parameter]["h"], 0.5 * 12 * torch.tensor([1.0, 4.0]))


def test_a_stage_that_leaves_out_what_is_not_finite_leaves_out_such_estimates() -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([parameter], tw.chain(tw.skip_nonfinite(), tw.sophia(), tw.step(0.1)))
    assert not optimizer.estimate_curvature((parameter * float("inf")).pow(2).sum())
    assert optimizer.estimate_curvature(bowl(parameter))


def test_a_group_that_waits_for_several_calls_may_stand_beside_one_that_steps_by_the_curvature() -> None:
    waiting, curved = one_parameter(), one_parameter()
    groups = [{"params": [waiting], "chain": tw.chain(tw.accumulate(2), tw.gradient_descent(), tw.step(0.1))}]
    optimizer = tw.Optimizer([*groups, {"params": [curved]}], SOPHIA, curvature=tw.hutchinson(every=3))
    alone = one_parameter()
    other = tw.Optimizer([alone], SOPHIA, curvature=tw.hutchinson(every=3))
    for _ in range(7):
        for parameter, stepped in ((curved, optimizer), (alone, other)):
            stepped.estimate_curvature(bowl(parameter.sin()))
            parameter.grad = torch.ones(3)
            stepped.step()
    assert torch.equal(curved, alone)
    torch.testing.assert_close(waiting.detach(), torch.full((3,), 0.7))


def test_what_cannot_be_given_the_curvature_says_so() -> None:
    parameter = one_parameter()
    with pytest.raises(ChainError, match="needs the curvature, and where it leads"):
        tw.LookAheadNesterov([parameter], SOPHIA).step(lambda: 1.0)
    with pytest.raises(ChainError, match=r"functional\(\) is given no curvature"):
        tw.functional(SOPHIA).init({"x": parameter})
    with pytest.raises(
        BackendError, match="steps by the curvature, which the host hands over, and cannot be `capturable`"
    ):
        tw.Optimizer([parameter], SOPHIA, backend="triton", capturable=True)
    with pytest.raises(ChainError, match=r"a stage goes by the curvature of one; call backward several times"):
        tw.Optimizer([parameter], tw.chain(tw.accumulate(2), *SOPHIA.stages, tw.step(0.1)))
    with pytest.raises(ParameterError, match="by the curvature, which is estimated for real ones"):
        tw.Optimizer([torch.ones(2, dtype=torch.complex64, requires_grad=True)], SOPHIA)
    sparse = torch.ones(3, 2, requires_grad=True)
    optimizer = tw.Optimizer([sparse], SOPHIA)
    optimizer.take_curvature([torch.ones(3, 2)])
    sparse.grad = torch.ones(3, 2).to_sparse(1)
    with pytest.raises(GradientError, match="is sparse, and this chain needs a dense one"):
        optimizer.step()


@rule(title="By rows", source="this test", learning_rate=0.1)
def rows_at_times(g: Direction, h: Curvature, m: Zeros) -> Update:
    """Look at rows at steps with an estimate alone."""
    return (g, m) if h is None else (g, m + mean(h, per="row"))


def test_a_rule_whose_two_formulas_cannot_share_their_states_is_refused() -> None:
    optimizer = tw.Optimizer([torch.ones(2, 2, requires_grad=True)], tw.chain(rows_at_times(), tw.step(0.1)))
    with pytest.raises(FormulaError, match="in one of its two formulas alone"):
        optimizer.step()
