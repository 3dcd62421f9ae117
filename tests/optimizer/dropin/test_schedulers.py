"""torch's schedulers drive the drop-ins as they drive torch's own."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.optim import lr_scheduler as schedulers

import thalweg as tw
from descents import SHAPES, descend, parameters
from dropins import default_dtype, ours, suited, theirs
from tolerances import TORCH, deviation

if TYPE_CHECKING:
    from collections.abc import Callable

SGD = ("SGD", {"lr": 0.05, "momentum": 0.9})
ADAM = ("Adam", {"lr": 0.05})
STEPS = 30
CASES: dict[str, tuple[tuple[str, dict[str, Any]], Callable[[torch.optim.Optimizer], Any]]] = {
    "StepLR": (ADAM, lambda o: schedulers.StepLR(o, 7, 0.3)),
    "CosineAnnealingLR": (SGD, lambda o: schedulers.CosineAnnealingLR(o, 20)),
    "OneCycleLR, which turns momentum too": (SGD, lambda o: schedulers.OneCycleLR(o, 0.2, total_steps=STEPS)),
    "OneCycleLR, which turns beta1 too": (ADAM, lambda o: schedulers.OneCycleLR(o, 0.2, total_steps=STEPS)),
    "CyclicLR, which turns momentum too": (SGD, lambda o: schedulers.CyclicLR(o, 0.01, 0.1, step_size_up=5)),
    "LinearLR, which ends a hair below zero": (SGD, lambda o: schedulers.LinearLR(o, 0.3, 0.0, total_iters=3)),
    "SequentialLR": (
        ADAM,
        lambda o: schedulers.SequentialLR(
            o, [schedulers.LinearLR(o, 0.1, total_iters=5), schedulers.ExponentialLR(o, 0.9)], milestones=[5]
        ),
    ),
    "StepLR, which ASGD follows a step later": (
        ("ASGD", {"lr": 0.05, "lambd": 0.1}), lambda o: schedulers.StepLR(o, 3, 0.3)
    ),
    "OneCycleLR of NAdam": (("NAdam", {}), lambda o: schedulers.OneCycleLR(o, 0.02, total_steps=STEPS)),
    "CosineAnnealingLR of Adafactor": (("Adafactor", {}), lambda o: schedulers.CosineAnnealingLR(o, 20)),
    "LambdaLR": (("Rprop", {"lr": 0.05}), lambda o: schedulers.LambdaLR(o, lambda k: 1 / (k + 1))),
}  # fmt: skip


@pytest.mark.parametrize(("optimizer", "scheduler"), CASES.values(), ids=CASES)
def test_a_scheduler_drives_ours_as_it_drives_torchs(optimizer: tuple[str, dict[str, Any]], scheduler: Any) -> None:
    name, settings = optimizer
    reached, rates = [], []
    for make in (ours(name), theirs(name)):
        with default_dtype(torch.float64):
            made = make(parameters(suited(name, SHAPES)), **settings)
            driver = scheduler(made)
            seen = []
            for step in range(STEPS):
                descend(made, 1, start=step)
                seen.append(made.param_groups[0]["lr"])
                if step < STEPS - 1:
                    with warnings.catch_warnings():
                        warnings.filterwarnings("ignore", message="The epoch parameter")  # torch's own, in SequentialLR
                        driver.step()
            rates.append(seen)
            reached.append(descend(made, 1, start=STEPS))
    assert rates[0] == rates[1]
    assert deviation(*reached) <= TORCH[torch.float64]


def test_a_plateau_lowers_the_rate() -> None:
    reached = []
    for optimizer_class in (tw.AdamW, torch.optim.AdamW):
        optimizer = optimizer_class(parameters(), lr=0.05)
        scheduler = schedulers.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
        for step in range(12):
            descend(optimizer, 1, start=step)
            scheduler.step(metrics=1.0)
        assert optimizer.param_groups[0]["lr"] < 0.01
        reached.append(descend(optimizer, 1, start=12))
    assert deviation(*reached) <= TORCH[torch.float64]


def test_a_scheduler_sees_that_the_optimizer_has_stepped_before_it() -> None:
    optimizer = tw.Adam(parameters())
    scheduler = schedulers.StepLR(optimizer, 1)
    descend(optimizer, 1)
    scheduler.step()  # torch would warn, and a warning is an error here
    late = tw.Adam(parameters())
    with pytest.warns(UserWarning, match=r"lr_scheduler.step\(\)` before `optimizer.step\(\)"):
        schedulers.StepLR(late, 1).step()


def test_an_averaged_model_and_its_scheduler_work_on_ours() -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = tw.SGD(model.parameters(), lr=0.1)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    scheduler = torch.optim.swa_utils.SWALR(optimizer, swa_lr=0.01, anneal_epochs=2)
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        averaged.update_parameters(model)
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)
