"""A checkpoint's file is exact to the bit, whole or not there, and plain to whoever else reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from descents import descend, parameters
from thalweg.errors import CheckpointError
from thalweg.optimizer.checkpoint_file import ENTRY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

CHAIN = tw.chain(tw.adam(), tw.step(0.1))
BYTES = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def holding(*values: Tensor) -> tw.Optimizer:
    """An optimizer whose parameters have these states, whatever they are."""
    params = [(f"p{at}", torch.zeros_like(v, dtype=torch.float32, requires_grad=True)) for at, v in enumerate(values)]
    optimizer = tw.Optimizer(params, CHAIN)
    for (_, parameter), value in zip(params, values, strict=True):
        optimizer.state[parameter] = {"step": torch.tensor(7.0), "m": value, "v": value}
    return optimizer


def loaded(optimizer: tw.Optimizer, path: Path) -> list[Tensor]:
    """What comes back of the states, in an optimizer made alike."""
    (group,) = optimizer.param_groups
    again = tw.Optimizer(list(zip(group["param_names"], group["params"], strict=True)), CHAIN)
    tw.save(optimizer, path)
    assert tw.load(again, path).fits
    return [again.state[parameter]["m"] for parameter in again.param_groups[0]["params"]]


def same_bits(a: Tensor, b: Tensor) -> bool:
    kind = BYTES[a.itemsize]
    return a.dtype == b.dtype and torch.equal(a.contiguous().view(kind), b.resolve_neg().contiguous().view(kind))


def every_bit_pattern(dtype: torch.dtype) -> Tensor:
    kind = BYTES[torch.empty((), dtype=dtype).itemsize]
    drawn = torch.randint(torch.iinfo(kind).min, torch.iinfo(kind).max, (4096,), dtype=kind)
    special = torch.tensor([torch.nan, torch.inf, -torch.inf, -0.0, 0.0, 1e-40], dtype=torch.float64).to(dtype)
    return torch.cat([drawn.view(dtype), special])


LAYOUTS: dict[str, Callable[[], Tensor]] = {
    "no elements": lambda: torch.zeros(3, 0, 2),
    "a scalar": lambda: torch.tensor(0.1),
    "transposed": lambda: torch.rand(3, 5).t(),
    "channels last": lambda: torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "a slice": lambda: torch.rand(10)[2:8:2],
    "expanded": lambda: torch.rand(1).expand(4),
    "a negative view": lambda: torch._neg_view(torch.rand(3)),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_every_value_of_every_dtype_comes_back_to_the_bit(dtype: torch.dtype, tmp_path: Path) -> None:
    value = every_bit_pattern(dtype)
    (found,) = loaded(holding(value), tmp_path / "state")
    assert same_bits(found, value)


@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_comes_back(make: Callable[[], Tensor], tmp_path: Path) -> None:
    value = make()
    (found,) = loaded(holding(value), tmp_path / "state")
    assert found.shape == value.shape
    assert same_bits(found, value)


def test_states_that_share_memory_come_back_each_on_its_own(tmp_path: Path) -> None:
    value = torch.rand(4)
    first, second = loaded(holding(value, value), tmp_path / "state")
    assert same_bits(first, value)
    assert same_bits(second, value)
    assert first.data_ptr() != second.data_ptr()


def test_a_run_resumed_from_a_file_goes_on_to_the_last_bit(tmp_path: Path) -> None:
    names = [f"p{at}" for at in range(len(parameters()))]
    chain = tw.chain(tw.adam(amsgrad=True), tw.decay(0.1), tw.step(tw.warmup(2) >> tw.cosine(0.1, steps=5)))
    whole, first, second = (
        tw.Optimizer(list(zip(names, parameters(dtype=torch.float32), strict=True)), chain) for _ in range(3)
    )
    expected = descend(whole, 6)
    for parameter, reached in zip(second.param_groups[0]["params"], descend(first, 3), strict=True):
        parameter.data.copy_(reached)
    tw.save(first, tmp_path / "state")
    tw.load(second, str(tmp_path / "state"))
    assert all(torch.equal(a, b) for a, b in zip(descend(second, 3, start=3), expected, strict=True))


def test_settings_come_back_as_what_they_were(tmp_path: Path) -> None:
    numbers = {"lr": 0.1 + 0.2, "betas": (1 / 3, 0.999), "eps": torch.tensor(1e-7, dtype=torch.float64)}
    first = tw.Adam([{"params": [("w", torch.zeros(2, requires_grad=True))], **numbers}])
    note = {"$tensor": [1, None, True, "text"], "plain": (float("inf"), -0.0)}
    first.param_groups[0].update(note=note, scale=np.float32(0.1))
    second = tw.Adam([("w", torch.zeros(2, requires_grad=True))])
    second.param_groups[0]["scale"] = 1.0
    tw.save(first, tmp_path / "state")
    tw.load(second, tmp_path / "state")
    group = second.param_groups[0]
    assert (group["lr"], group["betas"], group["note"]) == (0.1 + 0.2, (1 / 3, 0.999), note)
    assert group["scale"] == np.float32(0.1)
    assert torch.equal(group["eps"], numbers["eps"])
    assert group["eps"].dtype == torch.float64


@given(names=st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True))
def test_a_parameter_may_have_any_name(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("named") / "state"
    first, second = (tw.Adam([(name, torch.zeros(2, requires_grad=True)) for name in names]) for _ in range(2))
    descend(first, 1)
    tw.save(first, path)
    assert tw.load(second, path).loaded == tuple(names)
    for one, other in zip(first.param_groups[0]["params"], second.param_groups[0]["params"], strict=True):
        assert torch.equal(first.state[one]["exp_avg"], second.state[other]["exp_avg"])


def test_two_paths_to_a_tensor_may_read_alike(tmp_path: Path) -> None:
    first, second = (
        tw.Adam([(name, torch.zeros(2, requires_grad=True)) for name in ("a", "a/exp_avg")]) for _ in range(2)
    )
    descend(first, 1)
    a, inner = first.param_groups[0]["params"]
    first.state[a]["exp_avg/exp_avg"] = torch.ones(2)
    tw.save(first, tmp_path / "state")
    del first.state[a]["exp_avg/exp_avg"]
    assert tw.load(second, tmp_path / "state", strict=False).loaded == ("a/exp_avg",)
    assert torch.equal(second.state[second.param_groups[0]["params"][1]]["exp_avg"], first.state[inner]["exp_avg"])


def test_the_file_is_plain_to_other_programs(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = tw.Optimizer(model, CHAIN)
    descend(optimizer, 2)
    tw.save(optimizer, tmp_path / "state.safetensors")
    with safetensors.safe_open(tmp_path / "state.safetensors", framework="numpy") as file:
        assert set(file.keys()) == {f"state/{p}/{n}" for p in ("weight", "bias") for n in ("m", "v", "step")}
        assert file.get_tensor("state/weight/step") == 2
        described = json.loads(file.metadata()[ENTRY])
    (group,) = described["groups"]
    assert (group["rule"], group["params"]) == ("chain(adam(), step())", ["weight", "bias"])
    assert (group["settings"]["beta1"], group["settings"]["steps"]) == (0.9, 2)
    assert described["versions"]["thalweg"] == tw.__version__


DIES_WHILE_WRITING = """
import os, pathlib, sys
import safetensors.torch, torch
import thalweg as tw

def half(tensors, filename, metadata):
    whole = safetensors.torch.save(tensors, metadata)
    filename.write_bytes(whole[: len(whole) // 2])
    os._exit(9)

safetensors.torch.save_file = half
tw.save(tw.Adam(torch.nn.Linear(2, 1)), pathlib.Path(sys.argv[1]))
"""


def test_a_crash_while_writing_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    optimizer = tw.Adam(torch.nn.Linear(2, 1))
    tw.save(optimizer, tmp_path / "state")
    before = (tmp_path / "state").read_bytes()
    died = subprocess.run([sys.executable, "-c", DIES_WHILE_WRITING, str(tmp_path / "state")], check=False)
    assert died.returncode == 9
    assert len(list(tmp_path.iterdir())) == 2
    assert (tmp_path / "state").read_bytes() == before
    assert tw.load(optimizer, tmp_path / "state").fits


def test_a_write_that_fails_leaves_the_checkpoint_before_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimizer = holding(torch.rand(4))
    tw.save(optimizer, tmp_path / "state")
    before = (tmp_path / "state").read_bytes()

    def fails(tensors: dict[str, Tensor], filename: Path, metadata: dict[str, str]) -> None:
        filename.write_bytes(b"half")
        message = "No space left on device"
        raise OSError(message)

    monkeypatch.setattr(safetensors.torch, "save_file", fails)
    with pytest.raises(CheckpointError, match=r"the checkpoint cannot be written to .*state: No space left on device"):
        tw.save(optimizer, tmp_path / "state")
    assert (tmp_path / "state").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "state"]


def test_a_link_to_a_checkpoint_stays_one(tmp_path: Path) -> None:
    optimizer = holding(torch.rand(4))
    (tmp_path / "latest").symlink_to(tmp_path / "state")
    tw.save(optimizer, tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink()
    assert tw.load(optimizer, tmp_path / "state").fits


@pytest.mark.parametrize("where", ["no/folder/state", "."])
def test_a_place_that_cannot_be_written_to_is_named(where: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="the checkpoint cannot be written to"):
        tw.save(holding(torch.rand(4)), tmp_path / where)


NO_FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda _: None, "there is no checkpoint at"),
    "torch's": (lambda path: torch.save({}, path), "is no whole checkpoint"),
    "cut off": (
        lambda path: (tw.save(holding(torch.rand(99)), path), os.truncate(path, 700)),
        "is no whole checkpoint",
    ),
    "empty": (lambda path: path.touch(), "is no whole checkpoint"),
    "a model's": (
        lambda path: safetensors.torch.save_file({"w": torch.ones(2)}, path),
        "holds tensors, and no optimizer's state that `thalweg.save` wrote",
    ),
    "one with broken text": (
        lambda path: safetensors.torch.save_file({"w": torch.ones(2)}, path, {ENTRY: "{"}),
        "is no whole checkpoint",
    ),
    "one that lacks a tensor": (
        lambda path: safetensors.torch.save_file(
            {"w": torch.ones(2)}, path, {ENTRY: json.dumps({"state": {"$tensor": "gone"}})}
        ),
        "is no whole checkpoint",
    ),
}


@pytest.mark.parametrize(("make", "message"), NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_checkpoint_is_refused(make: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    make(tmp_path / "state")
    with pytest.raises(CheckpointError, match=message):
        tw.load(holding(torch.rand(99)), tmp_path / "state")


UNWRITABLE: dict[str, tuple[object, str]] = {
    "a function": (print, r"`groups/0/settings/extra` is <built-in function print>, .* cannot be written to a file"),
    "numbers as keys": ({1: 2}, "`groups/0/settings/extra` has a key that is no text"),
    "a sparse tensor": (torch.ones(2).to_sparse(), "is a torch.sparse_coo tensor; only dense ones are written"),
    "complex numbers": (torch.ones(2, dtype=torch.complex128), "a tensor of torch.complex128, which cannot be written"),
}


@pytest.mark.parametrize(("value", "message"), UNWRITABLE.values(), ids=UNWRITABLE)
def test_what_cannot_be_written_is_named(value: object, message: str, tmp_path: Path) -> None:
    optimizer = holding(torch.rand(4))
    optimizer.param_groups[0]["extra"] = value
    with pytest.raises(CheckpointError, match=message):
        tw.save(optimizer, tmp_path / "state")
    assert list(tmp_path.iterdir()) == []
