"""Where and how often the closure is evaluated, what a step gives back, and what it leaves as it was."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg.errors import GradientError, NonFiniteGradientError
from wells import EACH, EVALUATIONS, closure_of, loss, starts

if TYPE_CHECKING:
    from torch import Tensor

DESCENT = tw.chain(tw.gradient_descent(), tw.step(0.1))
each = pytest.mark.parametrize("name", EACH)


@each
def test_the_closure_is_evaluated_so_often_and_can_tell_which_time_it_is(name: str) -> None:
    tensors = starts()
    optimizer = EACH[name](tensors)
    seen: list[int] = []

    def closure() -> Tensor:
        seen.append(optimizer.evaluation)
        return closure_of(optimizer, tensors)()

    for _ in range(2):
        optimizer.step(closure)
    assert seen == 2 * list(range(EVALUATIONS[name]))
    assert optimizer.evaluation == 0


@each
def test_a_step_gives_back_what_the_closure_gave_first(name: str) -> None:
    tensors = starts()
    optimizer = EACH[name](tensors)
    given: list[Tensor] = []

    def closure() -> Tensor:
        given.append(closure_of(optimizer, tensors)())
        return given[-1]

    with torch.no_grad():
        assert optimizer.step(closure) is given[0]
    if name != "look_ahead":
        assert given[0].item() == loss(starts()).item()


def test_sam_evaluates_rho_away_from_the_parameters_and_uphill() -> None:
    tensors, seen = starts(), []
    optimizer = tw.SAM(tensors, DESCENT, rho=0.01)

    def closure() -> Tensor:
        seen.append([tensor.detach().clone() for tensor in tensors])
        return closure_of(optimizer, tensors)()

    optimizer.step(closure)
    away = torch.cat([(b - a).flatten() for a, b in zip(*seen, strict=True)])
    assert away.norm().item() == pytest.approx(0.01, rel=1e-10)
    assert loss(seen[1]) > loss(seen[0])


def test_sam_at_a_stationary_point_stays() -> None:
    parameter = torch.zeros(3, requires_grad=True)
    optimizer = tw.SAM([parameter], DESCENT)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = (parameter**2).sum()
        value.backward()
        return value

    optimizer.step(closure)
    assert torch.equal(parameter, torch.zeros(3))


@each
def test_ascending_is_descending_on_the_negative_loss(name: str) -> None:
    up, down = starts(), starts()
    ascending, descending = EACH[name](up, maximize=True), EACH[name](down)
    for _ in range(5):
        ascending.step(closure_of(ascending, up, sign=-1.0))
        descending.step(closure_of(descending, down))
    assert all(torch.equal(a, b) for a, b in zip(up, down, strict=True))


@each
def test_a_step_without_a_closure_says_what_to_give(name: str) -> None:
    with pytest.raises(GradientError, match=r"evaluates the loss itself.*; give `step` a closure that clears the grad"):
        EACH[name](starts()).step()


@each
def test_a_closure_that_fails_leaves_everything_as_it_was(name: str) -> None:
    for failing in range(EVALUATIONS[name]):
        tensors = starts()
        optimizer = EACH[name](tensors)
        optimizer.step(closure_of(optimizer, tensors))
        before = [tensor.detach().clone() for tensor in tensors]
        velocities = [optimizer.state[tensor]["v"].clone() for tensor in tensors]

        def closure(optimizer: Any = optimizer, tensors: Any = tensors, failing: int = failing) -> Tensor:
            if optimizer.evaluation == failing:
                raise KeyboardInterrupt
            return closure_of(optimizer, tensors)()

        with pytest.raises(KeyboardInterrupt):
            optimizer.step(closure)
        assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
        assert all(torch.equal(optimizer.state[p]["v"], v) for p, v in zip(tensors, velocities, strict=True))
        assert optimizer.evaluation == 0


def broken(optimizer: Any, tensors: Any, at: int) -> Any:
    """A closure whose gradient is not finite at one evaluation."""

    def closure() -> Tensor:
        value = closure_of(optimizer, tensors)()
        if optimizer.evaluation == at:
            tensors[1].grad[2] = float("nan")
        return value

    return closure


@each
def test_a_gradient_that_is_not_finite_at_any_evaluation_moves_nothing(name: str) -> None:
    for at in range(EVALUATIONS[name]):
        for nonfinite in ("raise", "skip"):
            tensors = starts(torch.float32)
            optimizer = EACH[name](tensors, nonfinite=nonfinite)
            optimizer.step(closure_of(optimizer, tensors))
            before = [tensor.detach().clone() for tensor in tensors]
            if nonfinite == "raise":
                sentence = (
                    rf"gradient of parameter 1 of group 0 has a NaN or an infinity, at evaluation {at} of this st"
                )
                with pytest.raises(NonFiniteGradientError, match=sentence):
                    optimizer.step(broken(optimizer, tensors, at))
            else:
                assert optimizer.step(broken(optimizer, tensors, at)) is not None
            assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
            assert all(optimizer.state[tensor]["step"] == 1 for tensor in tensors)
            assert optimizer.param_groups[0]["steps"] == 1
            assert optimizer.skipped == (nonfinite == "skip")


@each
def test_a_gradient_that_is_not_finite_is_propagated_where_that_is_asked_for(name: str) -> None:
    tensors = starts()
    optimizer = EACH[name](tensors, nonfinite="propagate")
    optimizer.step(broken(optimizer, tensors, EVALUATIONS[name] - 1))
    assert bool(torch.isnan(tensors[1][2]))
    assert optimizer.skipped == 0


def test_the_name_of_a_parameter_is_in_the_error() -> None:
    model = nn.Linear(2, 1)
    optimizer = tw.SAM(model, DESCENT)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = model.bias.sum() * float("inf") + model.weight.sum()
        value.backward()
        return value

    with pytest.raises(
        NonFiniteGradientError, match="the gradient of `bias` has a NaN or an infinity, at evaluation 0"
    ):
        optimizer.step(closure)


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_a_gradient_whose_square_is_out_of_range_has_its_length(scale: float) -> None:
    parameter = torch.ones(2, dtype=torch.float64, requires_grad=True)
    optimizer = tw.SAM([parameter], tw.chain(tw.sign_descent(), tw.step(0.5)))
    seen: list[list[float]] = []

    def closure() -> Tensor:
        seen.append(parameter.tolist())
        optimizer.zero_grad()
        value = scale * parameter.sum()
        value.backward()
        return value

    optimizer.step(closure)
    assert parameter.tolist() == [0.5, 0.5]
    assert seen[1] == pytest.approx([1 + 0.05 / 2**0.5] * 2, rel=1e-12)


@each
def test_a_sparse_gradient_is_refused(name: str) -> None:
    layer = nn.Embedding(4, 2, sparse=True)
    optimizer = EACH[name](layer)
    before = layer.weight.detach().clone()

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = layer(torch.tensor([1])).sum()
        value.backward()
        return value

    with pytest.raises(GradientError, match="the gradient of `weight` is sparse, and this optimizer needs a dense one"):
        optimizer.step(closure)
    assert torch.equal(layer.weight, before)


@each
def test_parameters_without_a_gradient_stay(name: str) -> None:
    used, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    frozen, empty = torch.ones(3), torch.ones(0, requires_grad=True)
    optimizer = EACH[name]([used, unused, frozen, empty])

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = (used**2).sum() + empty.sum()
        value.backward()
        return value

    for _ in range(3):
        optimizer.step(closure)
    assert torch.equal(unused, torch.ones(3))
    assert torch.equal(frozen, torch.ones(3))
    assert not torch.equal(used, torch.ones(2))


def test_the_statistics_of_a_batch_norm_can_be_kept_to_the_first_evaluation() -> None:
    torch.manual_seed(1)
    x = torch.randn(16, 3)
    models = [nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    optimizer = tw.SAM(models[0], DESCENT, rho=1.0)
    norm = models[0][1]
    assert isinstance(norm, nn.BatchNorm1d)

    def closure() -> Tensor:
        optimizer.zero_grad()
        norm.track_running_stats = optimizer.evaluation == 0
        value = models[0](x).square().mean()
        value.backward()
        return value

    optimizer.step(closure)
    models[1](x)
    expected = models[1].state_dict()
    found = models[0].state_dict()
    for name in ("1.running_mean", "1.running_var"):
        assert torch.equal(found[name], expected[name])


def test_hooks_are_called_once_around_a_step() -> None:
    tensors, calls = starts(), []
    optimizer = tw.SAM(tensors, DESCENT)
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    optimizer.step(closure_of(optimizer, tensors))
    optimizer.step(closure=closure_of(optimizer, tensors))
    assert calls == ["before", "after"] * 2


def test_the_profiler_shows_a_step_under_its_name() -> None:
    tensors = starts()
    optimizer = tw.SAM(tensors, DESCENT)
    with torch.autograd.profiler.profile() as profile:
        optimizer.step(closure_of(optimizer, tensors))
    assert "Optimizer.step#SAM.step" in [event.key for event in profile.key_averages()]


@each
def test_half_precision_is_stepped_in_its_own_dtype(name: str) -> None:
    tensors = starts(torch.bfloat16)
    optimizer = EACH[name](tensors)
    first = loss(tensors).item()
    for _ in range(5):
        optimizer.step(closure_of(optimizer, tensors))
    assert {tensor.dtype for tensor in tensors} == {torch.bfloat16}
    assert loss(tensors).item() < first
