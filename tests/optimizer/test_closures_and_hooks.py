"""Closures, hooks, the profiler and the gradient scaler find the face of `torch.optim.Optimizer`."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

import thalweg as tw
from descents import one_parameter

if TYPE_CHECKING:
    from torch import Tensor

DESCENT = tw.chain(tw.gradient_descent(), tw.step(0.1))


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("watched", [True, False])
def test_a_closure_is_evaluated_once_with_gradients_before_the_step_and_its_value_returned(
    by_name: bool, watched: bool
) -> None:
    parameter = torch.ones(3, requires_grad=True)
    optimizer = tw.Optimizer([parameter], DESCENT)
    if watched:
        optimizer.register_step_pre_hook(lambda *_: None)
    calls = []

    def closure() -> Tensor:
        calls.append(parameter.detach().clone())
        optimizer.zero_grad()
        loss = (parameter**2).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        loss = optimizer.step(closure=closure) if by_name else optimizer.step(closure)
    assert loss.item() == 3
    assert len(calls) == 1
    assert torch.equal(calls[0], torch.ones(3))
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.8))
    assert optimizer.step() is None


def test_a_closure_that_fails_leaves_everything_as_it_was() -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([parameter], DESCENT)

    def closure() -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert torch.equal(parameter, torch.ones(3))
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.9))


def closure() -> float:
    return 3.0


@pytest.mark.parametrize(("arguments", "named"), [((), {}), ((closure,), {}), ((), {"closure": closure})])
def test_hooks_are_called_around_a_step_with_what_torchs_own_get(arguments: Any, named: Any) -> None:
    seen: dict[str, list[Any]] = {}
    for kind in (tw.SGD, torch.optim.SGD):
        optimizer = kind([one_parameter()], lr=0.1)
        calls = seen.setdefault(kind.__module__.split(".")[0], [])
        optimizer.register_step_pre_hook(lambda _, a, k, calls=calls: calls.append(("before", (*a[1:], *k.values()))))
        optimizer.register_step_post_hook(lambda _, a, k, calls=calls: calls.append(("after", (*a[1:], *k.values()))))
        optimizer.step(*arguments, **named)
    assert seen["thalweg"] == seen["torch"]


def test_a_hook_before_the_step_may_change_the_gradients_and_the_closure() -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([parameter], DESCENT)

    def enlarge(_: Any, arguments: Any, named: Any) -> None:
        assert parameter.grad is not None
        parameter.grad.mul_(5)

    optimizer.register_step_pre_hook(enlarge)
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.5))
    optimizer.register_step_pre_hook(lambda o, *_: ((o, lambda: 7), {}))
    assert optimizer.step() == 7


def test_global_hooks_are_called_and_can_be_removed() -> None:
    calls = []
    handles = [
        register_optimizer_step_pre_hook(lambda *_: calls.append("before")),
        register_optimizer_step_post_hook(lambda *_: calls.append("after")),
    ]
    optimizer = tw.Optimizer([one_parameter()], DESCENT)
    try:
        optimizer.step()
    finally:
        for handle in handles:
            handle.remove()
    optimizer.step()
    assert calls == ["before", "after"]


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_the_profiler_shows_a_step_under_torchs_name(name: str) -> None:
    optimizer = getattr(tw, name)([one_parameter()])
    with torch.autograd.profiler.profile() as profile:
        optimizer.step()
        optimizer.zero_grad()
    shown = [event.key for event in profile.key_averages()]
    assert f"Optimizer.step#{name}.step" in shown
    assert f"Optimizer.zero_grad#{name}.zero_grad" in shown


def test_a_subclass_may_override_step() -> None:
    class Counting(tw.SGD):
        count = 0

        def step(self, closure: Any = None) -> Any:
            self.count += 1
            return super().step(closure)

    parameter = one_parameter()
    optimizer = Counting([parameter], lr=0.1)
    optimizer.register_step_pre_hook(lambda *_: None)
    optimizer.step()
    assert optimizer.count == 1
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.9))


def test_the_gradient_scaler_unscales_steps_and_leaves_out_what_overflowed() -> None:
    parameter = torch.ones(3, requires_grad=True)
    optimizer = tw.SGD([parameter], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale((2 * parameter).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.8))
    optimizer.zero_grad()
    scaler.scale((float("inf") * parameter).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.8))
    assert scaler.get_scale() == 4.0


def test_state_dict_hooks_are_called() -> None:
    optimizer = tw.SGD([one_parameter()])
    calls = []
    optimizer.register_state_dict_pre_hook(lambda _: calls.append("save"))
    optimizer.register_load_state_dict_post_hook(lambda _: calls.append("loaded"))
    optimizer.load_state_dict(optimizer.state_dict())
    assert calls == ["save", "loaded"]
