"""Optimizers whose steps the device counts, on Triton's interpreter: the same numbers, through a whole life."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

import copy
import pickle
import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.amp import GradScaler

import thalweg as tw
from descents import give_gradients, one_parameter, parameters
from graphs import Graph
from thalweg.errors import BackendError, GradientError, HyperparameterError, NonFiniteGradientError
from thalweg.kernels.triton import exchange
from tolerances import BACKENDS, TORCH, deviation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

SHAPES = ((3, 4), (), (600,), (5,))
EVERY = range(len(SHAPES))
PLAIN: dict[str, Any] = {"backend": "numba"}
COUNTED: dict[str, Any] = {"backend": "triton", "capturable": True}


def adam(rate: Any = 0.1) -> tw.Chain:
    return tw.chain(tw.adam(eps=1e-4), tw.step(rate))


def in_groups(tensors: Sequence[Tensor], **settings: Any) -> tw.Optimizer:
    groups = [{"params": tensors[:2]}, {"params": tensors[2:], "lr": 0.2, "beta1": 0.7}]
    return tw.Optimizer(groups, adam(), **settings)


def give(tensors: Sequence[Tensor], k: int, to: Sequence[int] = EVERY, scale: float = 1.0) -> None:
    give_gradients(tensors, k, scale)
    for place, tensor in enumerate(tensors):
        if place not in to:
            tensor.grad = None


def arrived(optimizer: tw.Optimizer) -> list[Tensor]:
    """Parameters, states and step counts."""
    state = optimizer.state_dict()["state"]
    tensors = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return [*tensors, *(state[place][name] for place in sorted(state) for name in sorted(state[place]))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_who_counts_on_the_device_gives_the_numbers_of_who_counts_on_the_host(dtype: torch.dtype) -> None:
    stepped = [[0], [0, 1], EVERY, [1, 3], [], EVERY, [2], EVERY]
    found, expected = (in_groups(parameters(SHAPES, dtype), **settings) for settings in (COUNTED, PLAIN))
    for optimizer in (found, expected):
        tensors = [p for group in optimizer.param_groups for p in group["params"]]
        for k, to in enumerate(stepped):
            give(tensors, k, to)
            optimizer.step()
            optimizer.param_groups[1]["lr"] = 0.2 / (1 + k)
    assert deviation(arrived(found), arrived(expected)) <= BACKENDS[dtype]
    assert [group["steps"] for group in found.param_groups] == [len(stepped)] * 2


def by_torch(optimizer: tw.Optimizer) -> Callable[[int], object]:
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)
    return lambda _: scheduler.step()


RATES: dict[str, Callable[[tw.Optimizer], Callable[[int], object]]] = {
    "by hand": lambda o: lambda k: o.param_groups[0]["lr"].fill_(0.1 / (k + 2)),
    "by torch": by_torch,
    "replaced": lambda o: lambda k: o.param_groups[0].update(lr=torch.full((1,), 0.1 / (k + 2))),
    "a number": lambda o: lambda k: o.param_groups[0].update(lr=0.1 / (k + 2)),
}


@pytest.mark.parametrize("change", RATES.values(), ids=RATES)
@pytest.mark.parametrize("rate", [torch.tensor(0.25), torch.tensor([0.25])], ids=str)
def test_a_rate_that_changes_is_that_of_the_next_step(rate: Any, change: Any) -> None:
    reached = []
    for settings in (COUNTED, PLAIN):
        tensors = parameters(SHAPES, torch.float32)
        optimizer = tw.Optimizer([{"params": tensors, "lr": copy.deepcopy(rate)}], adam(), **settings)
        drive = change(optimizer)
        for k in range(4):
            give(tensors, k)
            optimizer.step()
            drive(k)
        reached.append([*arrived(optimizer), torch.as_tensor(optimizer.param_groups[0]["lr"]).reshape(())])
    assert deviation(*reached) <= BACKENDS[torch.float32]


def test_schedules_and_tensors_among_the_other_numbers_are_followed() -> None:
    reached = []
    for settings in (COUNTED, PLAIN):
        tensors = parameters(SHAPES, torch.float64)
        optimizer = tw.Optimizer(tensors, adam(tw.cosine(0.1, steps=5)), **settings)
        optimizer.param_groups[0]["beta1"] = beta = torch.tensor(0.5, dtype=torch.float64)
        for k in range(4):
            give(tensors, k)
            optimizer.step()
            beta.mul_(1.1)
        reached.append(arrived(optimizer))
    assert deviation(*reached) <= BACKENDS[torch.float64]


def train(
    optimizer: Any, tensors: Sequence[Tensor], *, overflows: Sequence[int], steps: int = 5, own: bool = False
) -> GradScaler:
    """Steps with a scaler, some of which overflow; with gradients that are unscaled and doubled by hand, if `own`."""
    scaler = GradScaler("cpu", init_scale=2.0**6, growth_interval=2)
    for k in range(steps):
        optimizer.zero_grad()
        targets = [0.1 * k + torch.arange(t.numel(), dtype=t.dtype).reshape(t.shape) / 7 for t in tensors]
        loss = sum(((t - target) ** 2).sum() for t, target in zip(tensors, targets, strict=True))
        scaler.scale(loss * (float("inf") if k in overflows else 1.0)).backward()
        if own:
            scaler.unscale_(optimizer)
            for tensor in tensors:
                tensor.grad.mul_(2)
        scaler.step(optimizer)
        scaler.update()
    return scaler


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("overflows", [[], [0], [1, 2]], ids=str)
def test_a_gradient_scaler_need_not_wait_and_its_skipped_steps_do_not_count(overflows: list[int], own: bool) -> None:
    tensors, theirs = (parameters(SHAPES, torch.float32) for _ in range(2))
    optimizer = tw.Optimizer(tensors, tw.chain(tw.adam(), tw.decay(0.1), tw.step(0.01)), **COUNTED)
    other = torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.1)
    ours_scaler, scaler = (
        train(o, t, overflows=overflows, own=own) for o, t in ((optimizer, tensors), (other, theirs))
    )
    assert deviation(tensors, theirs) <= TORCH[torch.float32]
    torch.testing.assert_close([t.grad for t in tensors], [t.grad for t in theirs])
    assert ours_scaler.get_scale() == scaler.get_scale()
    steps = {float(state["step"]) for state in optimizer.state_dict()["state"].values()}
    assert steps == {5 - len(overflows)} == {float(other.state[theirs[0]]["step"])}
    assert [group["steps"] for group in optimizer.param_groups] == [5 - len(overflows)]


def test_a_schedule_does_not_count_them_either() -> None:
    reached = []
    for settings in (COUNTED, PLAIN):
        tensors = parameters(SHAPES, torch.float32)
        optimizer = tw.Optimizer(tensors, adam(tw.linear(0.1, 0.02, steps=4)), **settings)
        train(optimizer, tensors, overflows=[1])
        reached.append(arrived(optimizer))
    assert deviation(*reached) <= BACKENDS[torch.float32]


MIDWAY: dict[str, Callable[[tw.Optimizer, list[Tensor], Path], tuple[tw.Optimizer, list[Tensor]]]] = {}


def midway(function: Callable[[tw.Optimizer, list[Tensor], Path], tuple[tw.Optimizer, list[Tensor]]]) -> None:
    MIDWAY[function.__name__.strip("_")] = function


@midway
def _state_dict(optimizer: tw.Optimizer, tensors: list[Tensor], _: Path) -> tuple[tw.Optimizer, list[Tensor]]:
    new = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    other = tw.Optimizer([(str(place), tensor) for place, tensor in enumerate(new)], adam(), **COUNTED)
    other.load_state_dict(optimizer.state_dict())
    return other, new


@midway
def _deepcopy(optimizer: tw.Optimizer, _: list[Tensor], __: Path) -> tuple[tw.Optimizer, list[Tensor]]:
    other = copy.deepcopy(optimizer)
    return other, other.param_groups[0]["params"]


@midway
def _pickle(optimizer: tw.Optimizer, _: list[Tensor], __: Path) -> tuple[tw.Optimizer, list[Tensor]]:
    other = pickle.loads(pickle.dumps(optimizer))  # noqa: S301  # our own
    return other, other.param_groups[0]["params"]


@midway
def _save(optimizer: tw.Optimizer, tensors: list[Tensor], folder: Path) -> tuple[tw.Optimizer, list[Tensor]]:
    tw.save(optimizer, folder / "optimizer.safetensors")
    new = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    other = tw.Optimizer([(str(place), tensor) for place, tensor in enumerate(new)], adam(), **COUNTED)
    tw.load(other, folder / "optimizer.safetensors")
    return other, new


@midway
def _another_group(optimizer: tw.Optimizer, tensors: list[Tensor], _: Path) -> tuple[tw.Optimizer, list[Tensor]]:
    optimizer.add_param_group({"params": [("late", torch.ones(2, requires_grad=True))]})
    return optimizer, tensors


@midway
def _one_state_begun_anew(optimizer: tw.Optimizer, tensors: list[Tensor], _: Path) -> tuple[tw.Optimizer, list[Tensor]]:
    late = torch.ones(2, requires_grad=True)
    late.grad = torch.ones(2)
    optimizer.add_param_group({"params": [("late", late)]})
    optimizer.step()
    del optimizer.state[late]
    late.grad = None
    return optimizer, tensors


@pytest.mark.parametrize("pause", MIDWAY.values(), ids=MIDWAY)
def test_steps_that_only_the_device_knows_are_carried_on(pause: Any, tmp_path: Path) -> None:
    tensors, plain = (parameters(SHAPES, torch.float32) for _ in range(2))
    optimizer = tw.Optimizer([(str(place), tensor) for place, tensor in enumerate(tensors)], adam(), **COUNTED)
    other = tw.Optimizer(plain, adam(), **PLAIN)
    train(optimizer, tensors, overflows=[0, 1], steps=3)
    train(other, plain, overflows=[0, 1], steps=3)
    if pause is MIDWAY["one_state_begun_anew"]:
        other.step()
    optimizer, tensors = pause(optimizer, tensors, tmp_path)
    train(optimizer, tensors, overflows=[], steps=2)
    train(other, plain, overflows=[], steps=2)
    assert deviation(tensors, plain) <= BACKENDS[torch.float32]


def test_an_average_is_shown_with_the_steps_that_the_device_counted() -> None:
    shown = []
    for settings in (COUNTED, PLAIN):
        tensors = parameters(SHAPES, torch.float32)
        optimizer = tw.Optimizer(tensors, tw.chain(tw.adam(), tw.step(0.1), tw.ema(beta=0.9)), **settings)
        train(optimizer, tensors, overflows=[0, 1])
        with optimizer.evaluating():
            shown.append([tensor.detach().clone() for tensor in tensors])
    assert deviation(*shown) <= BACKENDS[torch.float32]


@pytest.fixture
def lagging(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that lags behind: what it notes is seen at the second look."""
    look = exchange.Notes.first

    def late(notes: exchange.Notes) -> int | None:
        seen, notes.late = getattr(notes, "late", None), look(notes)  # pyright: ignore[reportAttributeAccessIssue]
        return seen

    monkeypatch.setattr(exchange.Notes, "first", late)


LATE: dict[str, Callable[[tw.Optimizer], object]] = {
    "the next step": lambda optimizer: optimizer.step(),
    "state_dict": lambda optimizer: optimizer.state_dict(),
    "a copy": copy.deepcopy,
    "named_state": tw.named_state,
    "who waits": lambda optimizer: optimizer.wait(),
}


@pytest.mark.parametrize("settings", [COUNTED, {"backend": "triton"}], ids=["counted there", "counted here"])
@pytest.mark.parametrize("tell", LATE.values(), ids=LATE)
@pytest.mark.usefixtures("lagging")
def test_a_gradient_that_is_not_finite_is_told_late(tell: Any, settings: dict[str, Any]) -> None:
    bad, good = one_parameter(), one_parameter()
    optimizer = tw.Optimizer([("good", good), ("bad", bad)], adam(), **settings)
    bad.grad[1] = float("nan")
    optimizer.step()
    assert good.tolist() == pytest.approx([0.9] * 3, rel=1e-4)
    assert bad[1] == 1
    bad.grad[1] = 1
    with pytest.raises(NonFiniteGradientError, match=r"`bad` \(3\) has a NaN or an infinity"):
        tell(optimizer)


@pytest.mark.usefixtures("lagging")
def test_who_never_asks_is_warned_when_the_optimizer_goes() -> None:
    parameter = one_parameter()
    optimizer = tw.Optimizer([parameter], adam(), backend="triton")
    parameter.grad[1] = float("nan")
    optimizer.step()
    gone = [optimizer]
    del optimizer
    with pytest.warns(RuntimeWarning, match=r"in the last steps of an optimizer, the gradient of parameter 0"):
        gone.clear()


def test_a_graph_of_a_whole_step_replays_with_its_rate_and_beside_other_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors, theirs = (parameters(SHAPES, torch.float32) for _ in range(2))
    rate = torch.tensor(0.1)
    optimizer = tw.Optimizer([{"params": tensors, "lr": rate}], tw.chain(tw.adam(), tw.step(0.1)), **COUNTED)
    other = torch.optim.Adam(theirs, lr=0.1)
    k = 0

    def both(step: Callable[[], object], to: Sequence[int] = EVERY) -> None:
        nonlocal k
        k += 1
        give(theirs, k, to)
        for tensor, twin, grad in zip(tensors, theirs, grads, strict=True):
            tensor.grad = None if twin.grad is None else grad.copy_(twin.grad)
        other.param_groups[0]["lr"] = 0.1 / k
        rate.fill_(0.1 / k)
        step()
        other.step()

    grads = [torch.empty_like(tensor, requires_grad=False) for tensor in tensors]
    both(optimizer.step)
    graph = Graph(monkeypatch)
    before = [tensor.detach().clone() for tensor in tensors]
    with graph:
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True)), "nothing is computed while it is noted"
    for step in (graph.replay, graph.replay, optimizer.step, graph.replay):
        both(step)
    both(optimizer.step, [0, 2])
    both(graph.replay)
    both(optimizer.step)
    assert deviation(tensors, theirs) <= TORCH[torch.float32]
    state = optimizer.state_dict()["state"]
    assert [float(state[place]["step"]) for place in EVERY] == [float(other.state[t]["step"]) for t in theirs]


UNFIT: dict[str, tuple[Callable[[], tw.Optimizer], str]] = {
    "a schedule": (
        lambda: tw.Optimizer([one_parameter()], adam(tw.cosine(0.1, steps=9)), **COUNTED),
        r"`lr` follows a schedule, which no replay calls; give the group a number, or, for `lr`, a tensor on the GPU",
    ),
    "a tensor that is no rate": (
        lambda: tw.Optimizer([{"params": [one_parameter()], "beta1": torch.tensor(0.5)}], adam(), **COUNTED),
        r"`beta1` is a tensor, which the host would have to read at every replay; give a number",
    ),
    "a host that decides": (
        lambda: tw.Optimizer([one_parameter()], adam(), nonfinite="skip", **COUNTED),
        r"with nonfinite='skip' the host decides about every step; use 'raise' or 'propagate'",
    ),
    "who counts on the host": (
        lambda: tw.Optimizer([one_parameter()], adam(), backend="triton"),
        r"this optimizer computes its numbers on the host, where no replay comes by; make it with `capturable=True`",
    ),
}


@pytest.mark.parametrize(("make", "why"), UNFIT.values(), ids=UNFIT)
def test_what_could_not_be_replayed_is_not_captured(make: Any, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = make()
    optimizer.step()
    with Graph(monkeypatch), pytest.raises(BackendError, match=f"a CUDA graph is being captured, and {why}"):
        optimizer.step()


def test_a_graph_wants_a_step_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = tw.Optimizer([one_parameter()], adam(), **COUNTED)
    with (
        Graph(monkeypatch),
        pytest.raises(BackendError, match="make a step with the same parameters outside of a graph"),
    ):
        optimizer.step()


MISUSED: dict[str, tuple[Callable[[], object], str]] = {
    "no GPU": (
        lambda: tw.Optimizer([one_parameter()], adam(), capturable=True),
        "`capturable` is for parameters on a GPU, and one is not on any; leave it out",
    ),
    "another backend": (
        lambda: tw.Optimizer([one_parameter()], adam(), capturable=True, backend="reference"),
        "`capturable` is for parameters on a GPU, and one is not on any; leave it out",
    ),
    "a matrix method in a group that comes later": (
        lambda: tw.Optimizer([one_parameter()], adam(), **COUNTED).add_param_group(
            {"params": [one_parameter(1.0, 3, 3)], "chain": tw.chain(tw.muon(), tw.step(0.1))}
        ),
        "chain stage 1, muon(): is a matrix method, whose steps the host counts, so that the chain cannot be",
    ),
    "a matrix method": (
        lambda: tw.Optimizer([one_parameter(1.0, 3, 3)], tw.chain(tw.muon(), tw.step(0.1)), **COUNTED),
        "chain stage 1, muon(): is a matrix method, whose steps the host counts, so that the chain cannot be",
    ),
}


@pytest.mark.parametrize(("make", "why"), MISUSED.values(), ids=MISUSED)
def test_what_no_device_can_count_is_refused_at_once(make: Any, why: str) -> None:
    with pytest.raises(BackendError, match=re.escape(why)):
        make()


def test_without_triton_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from thalweg.optimizer import capturable

    monkeypatch.setattr(capturable.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BackendError, match=re.escape('`capturable` needs Triton: `pip install "thalweg[gpu]"`')):
        tw.Optimizer([one_parameter()], adam(), **COUNTED)


def test_a_rate_that_is_no_number_is_told_of() -> None:
    optimizer = tw.Optimizer([{"params": [one_parameter()], "lr": torch.tensor(0.1)}], adam(), **COUNTED)
    optimizer.step()
    optimizer.param_groups[0]["lr"].fill_(float("nan"))
    optimizer.step()
    with pytest.raises(
        HyperparameterError, match=r"the step's constants, computed from .*lr.*, were no finite numbers"
    ):
        optimizer.step()


def test_a_sparse_gradient_is_refused_where_the_device_counts() -> None:
    layer = torch.nn.Embedding(5, 3, sparse=True)
    optimizer = tw.Optimizer(layer, tw.chain(tw.gradient_descent(), tw.step(0.1)), **COUNTED)
    layer(torch.tensor([1, 3])).sum().backward()
    with pytest.raises(GradientError, match=r"`weight` \(5×3\) is sparse, and the device counts no steps of such ones"):
        optimizer.step()


DROP_INS: dict[str, tuple[Any, Any]] = {
    "Adam": (tw.Adam, torch.optim.Adam),
    "NAdam": (tw.NAdam, torch.optim.NAdam),
    "Rprop": (tw.Rprop, torch.optim.Rprop),
}


@pytest.mark.parametrize(("ours", "theirs"), DROP_INS.values(), ids=DROP_INS)
def test_a_drop_in_that_is_capturable_as_torchs_is_can_be_captured(
    ours: Any, theirs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors, twins = (parameters(SHAPES, torch.float32) for _ in range(2))
    rate = torch.tensor(0.01)
    optimizer, other = ours(tensors, lr=rate, capturable=True, backend="triton"), theirs(twins, lr=0.01)
    for some in (tensors, twins):
        give(some, 0)
    optimizer.step()
    other.step()
    graph = Graph(monkeypatch)
    with graph:
        optimizer.step()
    for k in (1, 2, 3):
        rate.fill_(0.01 / k)
        other.param_groups[0]["lr"] = 0.01 / k
        give(twins, k)
        for tensor, twin in zip(tensors, twins, strict=True):
            tensor.grad.copy_(twin.grad)
        graph.replay()
        other.step()
    assert deviation(tensors, twins) <= TORCH[torch.float32]


def test_on_a_cpu_a_drop_in_that_is_capturable_steps_as_any_other() -> None:
    parameter = one_parameter()
    optimizer = tw.Adam([parameter], lr=0.1, capturable=True)
    optimizer.step()
    assert parameter.tolist() == pytest.approx([0.9] * 3)
    assert not optimizer._step_supports_amp_scaling
