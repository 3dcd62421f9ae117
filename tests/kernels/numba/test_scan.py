"""Looking for tensors in compiled code finds what looking from Python finds, and never what is no longer there."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

import thalweg as tw
from descents import one_parameter, optimizer_of
from thalweg.kernels import tensors
from thalweg.kernels.numba import Block, scan

OFTEN = tensors.FIRST_SCANNED + 3
needs_scan = pytest.mark.skipif(not scan.can_scan(), reason="this torch is looked at from Python")


def stepped(*parameters: torch.Tensor, times: int = OFTEN) -> tw.Optimizer:
    optimizer = optimizer_of("gradient_descent", parameters)
    for _ in range(times):
        optimizer.step()
    return optimizer


def scans(optimizer: tw.Optimizer) -> bool:
    assert optimizer._stepper is not None
    assert optimizer._stepper._layout is not None
    return any(launch.binding._tensors.scan is not None for launch in optimizer._stepper._layout.launches)


@needs_scan
def test_after_some_steps_without_changes_tensors_are_looked_for_in_compiled_code() -> None:
    parameter = one_parameter()
    optimizer = stepped(parameter)
    assert scans(optimizer)
    version = parameter._version
    optimizer.step()
    assert parameter._version == version + 1
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 1 - 0.05 * (OFTEN + 1)))


def test_a_gradient_that_goes_comes_back_elsewhere_or_becomes_sparse_is_noticed() -> None:
    some, others = one_parameter(), one_parameter()
    optimizer = stepped(some, others)
    reached = some.detach().clone()
    some.grad = None
    optimizer.step()
    assert torch.equal(some, reached)
    some.grad = torch.full((3,), 2.0)
    optimizer.step()
    torch.testing.assert_close(some.detach(), reached - 0.1)
    for _ in range(OFTEN):
        optimizer.step()
    some.grad = torch.ones(3).to_sparse()
    before = some.detach().clone()
    optimizer.step()
    torch.testing.assert_close(some.detach(), before - 0.05)


@pytest.mark.parametrize(
    "gradient",
    [
        torch.arange(16.0).reshape(4, 4).t(),
        torch.ones(4).expand(4, 4),
        torch._neg_view(torch.ones(4, 4)),
        torch.ones(4, 8)[:, ::2],
    ],
    ids=["transposed", "expanded", "negative", "with gaps"],
)
def test_a_gradient_that_lies_otherwise_after_many_steps_is_read_as_it_lies(gradient: torch.Tensor) -> None:
    parameter = one_parameter(1.0, 4, 4)
    optimizer = stepped(parameter)
    before = parameter.detach().clone()
    parameter.grad = gradient
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), before - 0.05 * gradient.contiguous())


def test_a_gradient_of_another_dtype_after_many_steps_is_read_as_numbers() -> None:
    parameter = one_parameter()
    parameter.grad_dtype = None
    optimizer = stepped(parameter)
    before = parameter.detach().clone()
    parameter.grad = torch.full((3,), 2.0, dtype=torch.float64)
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), before - 0.1)


def test_a_gradient_that_a_schedule_drops_is_not_read_after_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    # a line search might call zero_grad() and backward() there; so might another thread at any moment
    parameter = one_parameter()
    dropped: list[tuple[int, int]] = []

    def schedule(k: int) -> float:
        if k == OFTEN and parameter.grad is not None:
            dropped.append((parameter.grad.data_ptr(), parameter.grad.untyped_storage()._weak_ref()))
            parameter.grad = None
        return 0.05

    optimizer = tw.Optimizer([parameter], tw.chain(tw.gradient_descent(), tw.step(schedule)))
    run = Block.run

    def run_if_there(block: Block, *arguments: Any, **named: Any) -> int | None:
        for address, storage in dropped:
            assert address not in block.addresses or not torch.UntypedStorage._expired(storage)
        return run(block, *arguments, **named)

    monkeypatch.setattr(Block, "run", run_if_there)
    for _ in range(OFTEN + 1):
        optimizer.step()
    assert dropped


INFERENCE = """
import torch, thalweg as tw
with torch.inference_mode():
    parameter = torch.ones(3)
optimizer = tw.Optimizer([parameter], tw.chain(tw.gradient_descent(), tw.step(0.125)))
for _ in range(8):
    with torch.inference_mode():
        parameter.grad = torch.ones(3)
    optimizer.step()
assert parameter.tolist() == [0.0] * 3
"""


def test_a_parameter_of_inference_mode_does_not_end_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", INFERENCE], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_without_torchs_c_interface_the_same_steps_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    quick, slow = one_parameter(), one_parameter()
    stepped(quick)
    monkeypatch.setattr(tensors, "can_scan", lambda: False)
    assert not scans(stepped(slow))
    assert torch.equal(quick, slow)
