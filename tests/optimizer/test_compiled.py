"""torch.compile: compiled models are stepped, and in a compiled training step a graph ends before ours."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import torch
import thalweg as tw
from torch import nn

assert "torch._dynamo" not in sys.modules
x, y = torch.randn(16, 5), torch.randn(16, 1)
ways = {
    "drop-in": lambda model: tw.AdamW(model.parameters(), lr=0.01),
    "chain": lambda model: tw.Optimizer(model, tw.chain(tw.clip(0.1), tw.adam(), tw.step(tw.cosine(0.01, steps=20)))),
    "sam": lambda model: tw.SAM(model, tw.chain(tw.adam(), tw.step(0.01))),
}

def trained(make, wrap_model=lambda model: model, wrap_step=lambda step: step, early=None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1))
    optimizer = make(model)
    wrapped = wrap_model(model)

    def evaluate():
        for parameter in model.parameters():
            parameter.grad = None  # torch's `zero_grad` imports the compiler
        loss = (wrapped(x) - y).square().mean()
        loss.backward()
        return loss

    def step():
        if isinstance(optimizer, tw.SAM):
            return optimizer.step(evaluate)
        loss = evaluate()
        optimizer.step()
        return loss

    whole = wrap_step(step)
    for _ in range(6):
        whole()
    return [parameter.detach().clone() for parameter in model.parameters()]

plain = {name: trained(make) for name, make in ways.items()}
assert "torch._dynamo" not in sys.modules, "stepping has imported the compiler"

import torch._dynamo
from torch._dynamo.utils import counters

def compile(target):
    return torch.compile(target, backend="eager")

def check(name, found, what):
    assert all(torch.allclose(a, b, rtol=0, atol=1e-7) for a, b in zip(found, plain[name])), (name, what)

torch._dynamo.config.error_on_recompile = True
for name, make in ways.items():
    for what, wrapping in {"model": {"wrap_model": compile}, "step": {"wrap_step": compile}}.items():
        torch._dynamo.reset()
        counters.clear()
        check(name, trained(make, **wrapping), what)
        frames = [where for where in counters["graph_break"] if "thalweg" in where and "disable()" not in where]
        assert not frames, frames
        assert counters["frames"]["total"] < 12, counters["frames"]
        if what == "step" and name != "sam":
            assert any("Optimizer.step" in reason for reason in counters["graph_break"]), counters["graph_break"]
print("as without")
"""


@pytest.mark.slow
def test_a_compiled_model_and_a_compiled_training_step_move_as_without_the_compiler() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=False)
    assert ran.stdout == "as without\n", ran.stderr
