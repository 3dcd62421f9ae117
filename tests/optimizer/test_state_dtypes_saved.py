"""States in dtypes of their own come back bit for bit, and go over into those of another optimizer."""

from __future__ import annotations

import copy
import io
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from thalweg.errors import CheckpointError
from thalweg.kernels.eight_bits import dequantise, quantise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

CHAIN = tw.chain(tw.adam(), tw.step(1e-2), tw.stochastic_rounding(seed=1), tw.ema(beta=0.9))
ASKED: dict[str, Any] = {
    "all in bfloat16": torch.bfloat16,
    "all in float32": torch.float32,
    "all in 8 bits": "8bit",
    "each by name": {"m": torch.bfloat16, "v": "8bit", "average": torch.float32},
}
asked_for = pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
of_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)


def model_of(dtype: torch.dtype) -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Conv2d(7, 6, 5, dtype=dtype).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # torch's types lack it


def optimizer_of(model: torch.nn.Module, asked: Any) -> tw.Optimizer:  # noqa: ANN401  # as an optimizer takes it
    return tw.Optimizer(model, CHAIN, state_dtype=asked)


def steps(optimizer: tw.Optimizer, seed: int, count: int = 3) -> None:
    random = torch.Generator().manual_seed(seed)
    for _ in range(count):
        for parameter in optimizer.param_groups[0]["params"]:
            parameter.grad = torch.randn(parameter.shape, generator=random).to(parameter.dtype)
        optimizer.step()


def everything(optimizer: tw.Optimizer) -> list[Tensor]:
    parameters = optimizer.param_groups[0]["params"]
    return [*parameters, *(value for p in parameters for _, value in sorted(optimizer.state[p].items()))]


def same(a: tw.Optimizer, b: tw.Optimizer) -> bool:
    pairs = list(zip(everything(a), everything(b), strict=True))
    return all(x.dtype == y.dtype and torch.equal(x, y) for x, y in pairs)


def through_state_dict(saved: tw.Optimizer, fresh: tw.Optimizer, _: Path) -> tw.Optimizer:
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    return fresh


def through_a_file(saved: tw.Optimizer, fresh: tw.Optimizer, folder: Path) -> tw.Optimizer:
    tw.save(saved, folder / "optimizer.safetensors")
    tw.load(fresh, folder / "optimizer.safetensors")
    return fresh


WAYS: dict[str, Callable[[tw.Optimizer, tw.Optimizer, Path], tw.Optimizer]] = {
    "state_dict": through_state_dict,
    "a file": through_a_file,
    "deepcopy": lambda saved, *_: copy.deepcopy(saved),
    "pickle": lambda saved, *_: pickle.loads(pickle.dumps(saved)),  # noqa: S301  # our own bytes
}


@of_dtype
@asked_for
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_run_that_is_resumed_is_the_one_that_went_on(
    way: Callable[[tw.Optimizer, tw.Optimizer, Path], tw.Optimizer], asked: object, dtype: torch.dtype, tmp_path: Path
) -> None:
    through = optimizer_of(model_of(dtype), asked)
    steps(through, 1)
    model = model_of(dtype)
    model.load_state_dict({name: p.detach() for name, p in zip(("weight", "bias"), everything(through), strict=False)})
    resumed = way(through, optimizer_of(model, asked), tmp_path)
    assert same(resumed, through)
    steps(resumed, 2)
    steps(through, 2)
    assert same(resumed, through)


@pytest.mark.parametrize("way", [through_state_dict, through_a_file])
def test_an_optimizer_takes_a_state_over_into_its_own_dtypes(way: Any, tmp_path: Path) -> None:  # noqa: ANN401  # as above
    made = {name: optimizer_of(model_of(torch.float32), asked) for name, asked in (ASKED | {"own": None}).items()}
    steps(made["own"], 1)
    exact = made["own"].state[made["own"].param_groups[0]["params"][0]]
    for name in ("all in bfloat16", "all in 8 bits"):
        found = way(made["own"], made[name], tmp_path)
        state = found.state[found.param_groups[0]["params"][0]]
        if name == "all in bfloat16":
            assert torch.equal(state["m"].bfloat16(), exact["m"].bfloat16())  # from a file, rounded by the next step
            continue
        codes, absmax = quantise(exact["v"], torch.uint8)
        assert torch.equal(state["v"], codes)
        assert torch.equal(state["v.absmax"], absmax)
        back = way(found, optimizer_of(model_of(torch.float32), None), tmp_path)
        state = back.state[back.param_groups[0]["params"][0]]
        assert torch.equal(state["v"], dequantise(codes, absmax))
        assert "v.absmax" not in state
        steps(back, 2)


def test_the_dtypes_are_the_optimizers_own_and_not_the_checkpoints() -> None:
    narrow, wide = optimizer_of(model_of(torch.float32), "8bit"), optimizer_of(model_of(torch.float32), None)
    steps(narrow, 1)
    wide.load_state_dict(narrow.state_dict())
    assert "state_dtype" not in wide.param_groups[0]
    narrow.load_state_dict(wide.state_dict())
    assert narrow.param_groups[0]["state_dtype"] == "8bit"


def test_torch_gets_numbers_and_no_codes() -> None:
    model = torch.nn.Linear(30, 20)
    ours = tw.Optimizer(model, tw.chain(tw.adam(), tw.decay(), tw.step(1e-2)), state_dtype="8bit")
    steps(ours, 1)
    theirs = torch.optim.AdamW(model.parameters())
    theirs.load_state_dict(tw.torch_state(ours, "AdamW"))
    state, own = theirs.state[model.weight], ours.state[model.weight]
    assert torch.equal(state["exp_avg"], dequantise(own["m"], own["m.absmax"]))
    back = tw.Optimizer(model, tw.chain(tw.adam(), tw.decay(), tw.step(1e-2)), state_dtype="8bit")
    tw.load_torch_state(back, theirs.state_dict(), "AdamW")
    assert torch.equal(back.state[model.weight]["v"], own["v"])


@pytest.mark.parametrize("break_it", ["codes", "sizes"])
def test_codes_without_their_sizes_are_refused(break_it: str) -> None:
    saved, fresh = (optimizer_of(model_of(torch.float32), "8bit") for _ in range(2))
    steps(saved, 1)
    state = saved.state_dict()
    if break_it == "sizes":
        del state["state"][0]["m.absmax"]
    else:
        state["state"][0]["m"] = state["state"][0]["m"].int()
    with pytest.raises(CheckpointError, match="parameter 0: its state"):
        fresh.load_state_dict(state)
    assert not fresh.state


def test_a_group_goes_over_to_8_bits_and_back_while_it_runs() -> None:
    optimizer = optimizer_of(model_of(torch.float32), None)
    steps(optimizer, 1)
    weight = optimizer.param_groups[0]["params"][0]
    for asked, codes in (("8bit", {torch.int8}), (None, set()), ({"m": "8bit"}, {torch.int8})):
        optimizer.param_groups[0]["state_dtype"] = asked
        steps(optimizer, 2)
        assert {optimizer.state[weight]["m"].dtype} & {torch.int8} == codes
        assert ("m.absmax" in optimizer.state[weight]) is bool(codes)
