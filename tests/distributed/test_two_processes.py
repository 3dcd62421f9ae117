"""Two processes step as one does: parts of parameters (FSDP2), parts of a batch (DDP), and checkpoints of both."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from filelock import FileLock  # torch needs it, too
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

import processes
import thalweg as tw
from processes import CHAINS, ELEMENTWISE, KEPT, MATRICES, ROLES, THEIRS, Model, parameters, states, train
from tolerances import BACKENDS, TORCH, deviation

if TYPE_CHECKING:
    from pathlib import Path

    from processes import Make

pytestmark = [
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch knows no other processes"),
    pytest.mark.filterwarnings("ignore:torch.distributed is disabled, unavailable or uninitialized:UserWarning"),
]
SAME = BACKENDS[torch.float32]
"""Sums over parts are taken in another order, in float64; all else is the same to the bit."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    base = tmp_path_factory.getbasetemp()
    return (base if worker_id == "master" else base.parent) / "two"


@pytest.fixture(scope="session")
def found(folder: Path) -> dict[str, Any]:
    """Once, whoever of the workers comes first."""
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            folder.mkdir()
            model, optimizer = alone(lambda model: tw.Optimizer(model, CHAINS["adafactor"]), 2)
            torch.save(model.state_dict(), folder / "model.pt")
            tw.save(optimizer, folder / "optimizer.safetensors")
            processes.run_on_two(folder)
    return torch.load(folder / "found.pt", weights_only=False)


def alone(make: Make, steps: int = processes.STEPS) -> tuple[Model, Any]:
    model = Model()
    optimizer = make(model)
    train(model, optimizer, steps)
    return model, optimizer


def load(make: Make, checkpoint: Path) -> tuple[Model, Any]:
    """One process with what two have saved."""
    model = Model()
    optimizer = make(model)
    entries = dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True))
    dcp.load(entries, checkpoint_id=checkpoint, no_dist=True)
    set_state_dict(model, optimizer, model_state_dict=entries["model"], optim_state_dict=entries["optimizer"])
    return model, optimizer


@pytest.mark.parametrize(
    ("how", "name"),
    [
        *(("parts", name) for name in CHAINS),
        *(("columns", "lamb"), ("columns", "adafactor"), ("hybrid", "lamb"), ("reference", "adafactor")),
    ],
)
def test_parameters_in_parts_are_stepped_as_whole_ones(found: dict[str, Any], how: str, name: str) -> None:
    moved, kept, numbers = found[how][name]
    model, optimizer = alone(lambda model: tw.Optimizer(model, CHAINS[name]))
    tolerance = 0.0 if name in ELEMENTWISE else SAME
    assert deviation(moved, parameters(model)) <= tolerance
    for own, expected in zip(kept, states(optimizer), strict=True):
        assert list(own) == list(expected)
        assert deviation(own.values(), expected.values()) <= tolerance
    for number, value in numbers.items():
        assert value == pytest.approx(optimizer.param_groups[0][number], rel=SAME)


@pytest.mark.parametrize(
    ("how", "name"), [*(("parts", name) for name in MATRICES), ("columns", "muon"), ("hybrid", "muon")]
)
def test_matrix_methods_see_the_whole_of_what_lies_in_parts(found: dict[str, Any], how: str, name: str) -> None:
    moved, kept, _ = found["matrices"][how, name]
    model, optimizer = alone(lambda model: tw.Optimizer(model, MATRICES[name], roles=ROLES))
    assert deviation(moved, parameters(model)) <= SAME
    for own, expected in zip(kept, states(optimizer), strict=True):
        assert list(own) == list(expected)
        assert deviation(own.values(), expected.values()) <= SAME


def test_all_processes_skip_a_matrix_whose_gradient_is_not_finite_on_one(found: dict[str, Any]) -> None:
    for skipped, stayed, stayed_after in found["matrix not finite"]:
        assert (skipped, all(stayed), any(stayed_after)) == (1, True, False)


def test_copied_optimizers_step_parts_as_the_first_does(found: dict[str, Any]) -> None:
    assert len(found["copies"]) == 4
    assert all(deviation(other, own) == 0 for own, other in found["copies"])


def test_torch_finds_its_own_kinds_of_states(found: dict[str, Any]) -> None:
    ours, theirs = found["kinds"]
    assert ours == theirs
    assert ours["exp_avg"][0] == "DTensor"


@pytest.mark.parametrize("passes", ["one pass", "two passes"])
def test_all_processes_raise_what_one_has_found(found: dict[str, Any], passes: str) -> None:
    both = found["not finite"][passes, "raise"]
    for error, skipped, stayed in both:
        assert error.startswith("the gradient of `second.weight` (4×7) has a NaN or an infinity")
        assert skipped == 0
        assert all(stayed) == (passes == "two passes")
    assert both[0] == both[1]


@pytest.mark.parametrize("passes", ["one pass", "two passes"])
def test_all_processes_skip_what_one_has_found(found: dict[str, Any], passes: str) -> None:
    for error, skipped, stayed in found["not finite"][passes, "skip"]:
        assert (error, skipped, all(stayed)) == ("", 1, True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sam", r"ParameterError: sam moves whole parameters between evaluations, and one lies on several processes"),
        ("8 bits", r"ParameterError: `stack` \(3×4×4\) lies on several processes, where no states are kept in 8"),
        (
            "save",
            r"CheckpointError: `state/stack/m` lies on several .*; save the optimizer with torch.distributed.check",
        ),
    ],
)
def test_what_needs_a_whole_parameter_says_so(found: dict[str, Any], name: str, message: str) -> None:
    assert re.match(message, found["refused"][name])


def test_evaluation_sees_the_average_of_all_parts(found: dict[str, Any]) -> None:
    model, optimizer = alone(lambda model: tw.Optimizer(model, CHAINS["heavy_ball"]))
    with optimizer.evaluating():
        assert deviation(found["evaluation"], parameters(model)) <= SAME


@pytest.mark.parametrize("name", KEPT)
def test_what_two_processes_save_one_goes_on_from(found: dict[str, Any], folder: Path, name: str) -> None:
    onwards, resumed = found["saved"][name]
    assert deviation(resumed, onwards) == 0
    model, optimizer = load(KEPT[name], folder / name)
    train(model, optimizer, 2)
    assert deviation(parameters(model), onwards) <= SAME


@pytest.mark.parametrize("name", THEIRS)
def test_torch_goes_on_from_a_drop_in_s_checkpoint_and_back(found: dict[str, Any], folder: Path, name: str) -> None:
    model, optimizer = load(THEIRS[name], folder / name)
    train(model, optimizer, 2)
    assert deviation(parameters(model), found["saved"][name][0]) <= TORCH[torch.float32]
    if name == "Adafactor":
        return  # torch's own cannot step parts
    model, optimizer = load(KEPT[name], folder / f"torch {name}")
    train(model, optimizer, 2)
    assert deviation(parameters(model), found["saved by torch"][name][0]) <= TORCH[torch.float32]


def test_two_processes_go_on_from_a_file_of_one(found: dict[str, Any]) -> None:
    model, _ = alone(lambda model: tw.Optimizer(model, CHAINS["adafactor"]))
    assert deviation(found["loaded"], parameters(model)) <= SAME


def test_a_gradient_that_is_a_sum_over_processes_is_summed(found: dict[str, Any]) -> None:
    parameter = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    optimizer = tw.Optimizer([parameter], tw.chain(tw.muon(), tw.step(0.1)))
    for _ in range(3):
        parameter.grad = torch.tensor([[2.0, 4, 6], [8, 10, 14]])
        optimizer.step()
    assert deviation([found["replicated"]], [parameter]) <= SAME


def test_each_process_draws_numbers_of_its_own_for_its_part(found: dict[str, Any]) -> None:
    up = found["drawn"] > 1
    assert up.float().mean(1).tolist() == pytest.approx([0.5, 0.5], abs=4 * 0.5 / 4096**0.5)
    assert (up[0] == up[1]).float().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / 4096**0.5)


def test_halves_of_a_batch_make_the_step_of_the_whole(found: dict[str, Any]) -> None:
    model, _ = alone(lambda model: tw.Optimizer(model, CHAINS["clip_model"]))
    for moved in found["ddp"]:
        assert deviation(moved, parameters(model)) <= TORCH[torch.float32]


def test_two_halves_of_a_batch_are_stepped_by_the_mean_of_their_losses(found: dict[str, Any]) -> None:
    model = Model()
    processes.train_by_loss(model, tw.Optimizer(model, processes.IRPROP_PLUS))
    assert deviation(found["losses"], parameters(model)) <= TORCH[torch.float32]


@pytest.mark.parametrize("name", processes.CURVED)
def test_two_halves_of_a_batch_are_stepped_by_the_mean_of_their_curvatures(found: dict[str, Any], name: str) -> None:
    model = Model()
    processes.train_by_curvature(model, tw.Optimizer(model, processes.CURVED[name]))
    assert deviation(found["curvature"][name], parameters(model)) <= TORCH[torch.float32]


def test_parts_of_parameters_take_parts_of_estimates(found: dict[str, Any]) -> None:
    moved, error, taken = found["curved parts"]
    model = Model()
    optimizer = tw.Optimizer(model, processes.CURVED["sophia"])
    x, y = processes.batch()
    for _ in range(processes.STEPS):
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.take_curvature([parameter.grad for parameter in model.parameters()])
        optimizer.step()
    assert deviation(moved, parameters(model)) <= SAME
    assert error.startswith("`stack` (3×4×4) lies on several processes, and the curvature")
    assert taken == 0


def test_zero_redundancy_keeps_each_state_on_one_process(found: dict[str, Any]) -> None:
    moved, kept = found["zero"]
    model, optimizer = alone(KEPT["AdamW"])
    assert deviation(moved, parameters(model)) <= TORCH[torch.float32]
    assert 0 < kept < len(optimizer.state)
