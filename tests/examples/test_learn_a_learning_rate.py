"""The example learns: after a short training, five inner steps reach a lower loss on tasks that it has not seen."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from types import ModuleType

FILE = Path(__file__).resolve().parents[2] / "examples" / "learn_a_learning_rate.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    specification = importlib.util.spec_from_file_location(FILE.stem, FILE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_a_short_training_lowers_the_loss_on_unseen_tasks(example: ModuleType) -> None:
    before, after, rates = example.learn(steps=30, tasks=8)
    assert after < 0.7 * before
    assert all(rate.std().item() > 1e-3 for rate in rates.values() if rate.numel() > 1), (
        "every element has its own rate"
    )


def test_the_inner_loop_is_torchs_own_descent(example: ModuleType) -> None:
    before, _, _ = example.learn(steps=0)
    assert before == pytest.approx(loss_by_hand(example), rel=1e-5)


def loss_by_hand(example: ModuleType, seed: int = 0) -> float:
    """The loss before learning, with `torch.optim.SGD` in the inner loop."""
    x, y = example.draw_tasks(500, torch.Generator().manual_seed(seed + 1))
    losses = []
    for points, values in zip(x, y, strict=True):
        torch.manual_seed(seed)
        model = example.make_model()
        descent = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(5):
            descent.zero_grad()
            (model(points[:10]) - values[:10]).square().mean().backward()
            descent.step()
        losses.append((model(points[10:]) - values[10:]).square().mean().item())
    return sum(losses) / len(losses)
