"""The drop-ins keep their states in dtypes of their own, and torch gets numbers that it can read."""

from __future__ import annotations

import copy
import io
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from thalweg.errors import HyperparameterError, UnknownNameError
from thalweg.kernels.eight_bits import dequantise

if TYPE_CHECKING:
    from torch import Tensor


def stepped(optimizer: torch.optim.Optimizer, seed: int = 0, count: int = 3) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for _ in range(count):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=random).to(parameter.dtype)
        optimizer.step()
    return parameters


def one(size: int = 600) -> Tensor:
    return torch.linspace(-1, 1, size).requires_grad_()


def reread(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("asked", [torch.bfloat16, "8bit", {"exp_avg": torch.bfloat16, "exp_avg_sq": "8bit"}], ids=str)
def test_adam_steps_as_the_chain_does_that_keeps_the_same(asked: Any) -> None:  # noqa: ANN401  # as an optimizer takes it
    names = {"exp_avg": "m", "exp_avg_sq": "v"}
    in_chain = {names[name]: dtype for name, dtype in asked.items()} if isinstance(asked, dict) else asked
    drop_in = tw.Adam([one()], lr=1e-2, state_dtype=asked)
    chained = tw.Optimizer([one()], tw.chain(tw.adam(), tw.step(1e-2)), state_dtype=in_chain)
    (found,), (expected,) = stepped(drop_in), stepped(chained)
    assert torch.equal(found, expected)
    states, others = drop_in.state[found], chained.state[expected]
    assert all(torch.equal(states[theirs], others[own]) for theirs, own in names.items())
    assert [states[name].dtype for name in names] == [others[name].dtype for name in names.values()]


NAMES = ["SGD", "Rprop", "Adagrad", "RMSprop", "Adadelta", "Adam", "Adamax", "AdamW", "RAdam", "NAdam"]


@pytest.mark.parametrize("name", NAMES)
def test_every_drop_in_takes_one_for_all(name: str) -> None:
    settings = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(tw, name)(
        [one(), one(40).detach().bfloat16().requires_grad_()], state_dtype=torch.float16, **settings
    )
    for parameter in stepped(optimizer):
        kept = {n: v.dtype for n, v in optimizer.state[parameter].items() if v.shape == parameter.shape}
        assert set(kept.values()) == {torch.float16}


def test_a_group_has_its_own() -> None:
    groups: Any = [{"params": [one()]}, {"params": [one()], "state_dtype": None}]
    optimizer = tw.AdamW(groups, state_dtype="8bit")
    narrow, wide = stepped(optimizer)
    assert optimizer.state[narrow]["exp_avg"].dtype == torch.int8
    assert optimizer.state[wide]["exp_avg"].dtype == torch.float32


@pytest.mark.parametrize("asked", [torch.bfloat16, "8bit"], ids=str)
def test_a_run_that_is_resumed_from_its_state_dict_is_the_one_that_went_on(asked: Any) -> None:  # noqa: ANN401  # as above
    through = tw.Adam([one()], state_dtype=asked)
    (parameter,) = stepped(through)
    resumed = tw.Adam([parameter.detach().clone().requires_grad_()], state_dtype=asked)
    resumed.load_state_dict(reread(through.state_dict()))
    copied = copy.deepcopy(through)
    for other in (resumed, copied):
        (own,) = other.param_groups[0]["params"]
        for name, value in through.state[parameter].items():
            assert other.state[own][name].dtype == value.dtype
            assert torch.equal(other.state[own][name], value)
    (expected,) = stepped(through, seed=1)
    for other in (resumed, copied):
        assert torch.equal(stepped(other, seed=1)[0], expected)


def test_torch_reads_numbers_where_there_are_codes_and_we_read_torchs() -> None:
    ours = tw.Adam([one()], state_dtype="8bit")
    (parameter,) = stepped(ours)
    own = ours.state[parameter]
    for saved in (reread(ours.state_dict()), reread(tw.torch_state(ours, torch.optim.Adam))):
        theirs = torch.optim.Adam([parameter.detach().clone().requires_grad_()])
        theirs.load_state_dict(saved)
        (other,) = theirs.param_groups[0]["params"]
        expected = dequantise(own["exp_avg"], own["exp_avg.absmax"])
        assert torch.equal(theirs.state[other]["exp_avg"], expected)
        stepped(theirs)
        back = tw.Adam([one()], state_dtype="8bit")
        back.load_state_dict(theirs.state_dict())
        stepped(back)
        wide = tw.Adam([one()])
        wide.load_state_dict(reread(ours.state_dict()))
        (plain,) = wide.param_groups[0]["params"]
        assert torch.equal(wide.state[plain]["exp_avg"], expected)
        assert "exp_avg.absmax" not in wide.state[plain]


def test_a_chain_takes_over_the_state_of_a_drop_in_that_keeps_codes() -> None:
    ours = tw.Adam([one()], state_dtype="8bit")
    (parameter,) = stepped(ours)
    chained = tw.Optimizer([one()], tw.chain(tw.adam(), tw.step(1e-3)), state_dtype="8bit")
    tw.load_torch_state(chained, ours.state_dict(), "Adam")
    (other,) = chained.param_groups[0]["params"]
    assert torch.equal(chained.state[other]["v"], ours.state[parameter]["exp_avg_sq"])


def test_wrong_ones_are_refused() -> None:
    with pytest.raises(
        UnknownNameError, match="Adam: `state_dtype` names `exp_av`, and it has no such state; did you mean"
    ):
        tw.Adam([one()], state_dtype={"exp_av": "8bit"})
    with pytest.raises(HyperparameterError, match="`state_dtype` is 'int4'; choose one of"):
        tw.Adam([one()], state_dtype="int4")  # pyright: ignore[reportArgumentType]
    with pytest.raises(HyperparameterError, match="sums over rows or columns"):
        tw.Adafactor([torch.ones(3, 4, requires_grad=True)], state_dtype="8bit")


@pytest.mark.parametrize("make", [tw.SAM, tw.EntropySGD, tw.LookAheadNesterov])
def test_what_evaluates_a_closure_keeps_them_so_too(make: Any) -> None:  # noqa: ANN401  # classes with other arguments each
    moved = []
    for asked in ("8bit", None):
        parameter = one()
        chain = tw.chain(tw.heavy_ball(beta=0.9), tw.step(0.05))
        optimizer: Any = make([parameter], chain, state_dtype=asked)
        torch.manual_seed(0)

        def closure(p: Tensor = parameter, optimizer: Any = optimizer) -> Tensor:  # noqa: ANN401
            optimizer.zero_grad()
            loss = (p - 3).square().sum() / 2
            loss.backward()
            return loss

        for _ in range(4):
            optimizer.step(closure)
        assert optimizer.state[parameter]["v"].dtype == (torch.int8 if asked else torch.float32)
        moved.append(parameter.detach() - one().detach())
    assert (moved[0] - moved[1]).abs().max() < 0.05 * moved[1].abs().max()
