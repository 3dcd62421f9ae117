"""How kernels are tied to tensors: late reports, GradScaler's convention, CUDA graphs; on the CPU, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import thalweg as tw
from descents import give_gradients, optimizer_of, parameters
from graphs import Graph
from thalweg.errors import BackendError, HyperparameterError
from thalweg.formula import Direction, Step, Update, rule
from thalweg.kernels import Moved, plan
from thalweg.kernels.tensors import FIRST_SCANNED
from thalweg.kernels.triton import binding as binding_module
from thalweg.kernels.triton.binding import TritonBinding
from thalweg.kernels.triton.constants import Counted
from thalweg.kernels.triton.emit import CHUNK
from thalweg.kernels.triton.tables import divide
from tolerances import BACKENDS, TORCH, deviation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from thalweg.chain import Chain

ADAM = tw.chain(tw.adam(), tw.step(0.1))
SHAPES = ((3, 4), (), (600,))


def bind(
    tensors: Sequence[Tensor], chain: Chain = ADAM, **settings: Any
) -> tuple[TritonBinding, list[dict[str, Tensor]]]:
    """Tensors bound to a chain's kernels, and their states, which start at zero."""
    planned = plan(chain.trace())
    states = [{slot: torch.zeros_like(t, requires_grad=False) for slot in planned.slots[2:]} for t in tensors]
    return TritonBinding(planned, tensors, states, **{"guard": False, **settings}), states


def inputs_of(chain: Chain = ADAM) -> list[float]:
    numbers = {"t": 0.0, **chain.numbers(chain.trace())}
    return [numbers[name] for name in plan(chain.trace()).inputs]


def counted(tensors: Sequence[Tensor], chain: Chain = ADAM) -> tuple[TritonBinding, list[dict[str, Tensor]]]:
    """The same, the device counting the steps."""
    count = len(tensors)
    kept = Counted(torch.zeros(count).double(), range(count), [0] * count, torch.zeros(2))
    made, states = bind(tensors, chain, counted=kept)
    made.set_inputs(0, inputs_of(chain))
    return made, states


def counts_of(made: TritonBinding) -> set[float]:
    return set(made._counted.counts.tolist())


def step(made: TritonBinding) -> int | None:
    made.find()
    found = made.run()
    made.count()
    return found


def adam_of_torch(tensors: Sequence[Tensor]) -> torch.optim.Adam:
    return torch.optim.Adam(tensors, lr=0.1, fused=True)


def test_steps_counted_on_the_device_are_those_counted_on_the_host() -> None:
    ours, theirs = (parameters(SHAPES, torch.float32) for _ in range(2))
    made, _ = counted(ours)
    optimizer = optimizer_of(tw.adam(), theirs, backend="reference")
    optimizer.param_groups[0]["lr"] = 0.1
    for k in range(4):
        give_gradients(ours, k)
        give_gradients(theirs, k)
        step(made)
        optimizer.step()
    assert deviation(ours, theirs) <= BACKENDS[torch.float32]
    assert counts_of(made) == {4}


@pytest.mark.parametrize("skipped", [(), (1,), (0, 2)])
def test_scaled_gradients_step_as_torchs_fused_adam_takes_them(skipped: tuple[int, ...]) -> None:
    ours, theirs = (parameters(SHAPES, torch.float32) for _ in range(2))
    made, states = counted(ours)
    optimizer: Any = adam_of_torch(theirs)
    for k in range(4):
        scale, found = torch.tensor(1024.0), torch.tensor(float(k in skipped))
        for some in (ours, theirs):
            give_gradients(some, k, scale=1024.0)
            if k in skipped:
                some[0].grad[1, 1] = float("inf")
        made._counted.flags.fill_(found)
        made.scale(scale)
        step(made)
        optimizer.grad_scale, optimizer.found_inf = scale, found
        optimizer.step()
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=0)
    assert deviation(ours, theirs) <= TORCH[torch.float32]
    assert counts_of(made) == {float(optimizer.state[theirs[0]]["step"])} == {4 - len(skipped)}
    averages = [state["m"] for state in states]
    assert deviation(averages, [optimizer.state[t]["exp_avg"] for t in theirs]) <= TORCH[torch.float32]


def test_gradients_that_went_through_a_copy_are_unscaled_too() -> None:
    parameter = torch.ones(4, 6, requires_grad=True)
    parameter.grad = torch.full((6, 4), 8.0).t()
    made, _ = counted([parameter])
    made.scale(torch.tensor(4.0))
    step(made)
    assert torch.equal(parameter.grad, torch.full((4, 6), 2.0))


def test_scaling_is_for_one_step() -> None:
    parameter = torch.ones(3, requires_grad=True)
    made, _ = counted([parameter])
    for scale in (torch.tensor(2.0), None):
        parameter.grad = torch.ones(3)
        made.scale(scale)
        step(made)
        assert float(parameter.grad[0]) == (1 if scale is None else 0.5)
        parameter.grad = torch.ones(3)
        step(made)
        assert float(parameter.grad[0]) == 1


def test_who_counts_on_the_host_cannot_be_scaled() -> None:
    made, _ = bind(parameters(SHAPES, torch.float32))
    with pytest.raises(
        BackendError, match="the host counts the steps of this optimizer; make it with `capturable=True`"
    ):
        made.scale(torch.tensor(2.0))


def test_a_graph_is_refused_to_who_counts_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = bind(parameters(SHAPES, torch.float32))
    monkeypatch.setattr(binding_module, "is_capturing", lambda _: True)
    with pytest.raises(BackendError, match=r"a CUDA graph is being captured, .*; make it with `capturable=True`"):
        made.find()


def test_a_replayed_step_is_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = (parameters(SHAPES, torch.float32) for _ in range(2))
    optimizer = adam_of_torch(theirs)
    graph = Graph(monkeypatch)
    made, _ = counted(ours)

    def give(k: int, *, in_place: bool) -> None:
        before = [tensor.grad for tensor in ours]
        for some in (ours, theirs):
            give_gradients(some, k)
        if in_place:
            for tensor, old in zip(ours, before, strict=True):
                old.copy_(tensor.grad)
                tensor.grad = old
        optimizer.step()

    give(0, in_place=False)
    step(made)  # as PyTorch asks one to, before a capture
    give(1, in_place=False)
    with graph:
        step(made)
    assert counts_of(made) == {1}
    graph.replay()
    for k in (2, 3):
        give(k, in_place=True)
        graph.replay()
    held = [tensor.grad for tensor in ours]
    give(4, in_place=False)  # a step outside, with gradients elsewhere
    step(made)
    for tensor, old in zip(ours, held, strict=True):
        tensor.grad = old
    give(5, in_place=True)
    graph.replay()
    assert deviation(ours, theirs) <= TORCH[torch.float32]
    assert counts_of(made) == {6}


def test_what_kernels_note_is_told_once_whoever_asks() -> None:
    tensors = parameters(SHAPES, torch.float32)
    made, _ = bind(tensors, guard=True)
    give_gradients(tensors, 0)
    tensors[2].grad[599] = float("nan")
    assert step(made) == 2
    assert made.wait() is None
    tensors[1].grad.fill_(float("inf"))
    made.find()
    made._launch(0)  # and nobody looks, as where a GPU lags behind
    assert made.wait() == 1
    assert made.wait() is None


def test_who_waits_hears_of_constants_that_were_no_numbers() -> None:
    def strange(g: Direction, t: Step) -> Update:
        return g / (t - 1)

    tensors = parameters(SHAPES, torch.float32)
    give_gradients(tensors, 0)
    made, _ = counted(tensors, tw.chain(rule(title="Strange", source="a test")(strange)(), tw.step(0.1)))
    step(made)
    with pytest.raises(HyperparameterError, match="computed from t, lr, were no finite numbers"):
        made.wait()


@pytest.mark.parametrize("steps", [1, FIRST_SCANNED + 2])
def test_tensors_that_have_changed_are_noticed(steps: int) -> None:
    tensors = parameters(SHAPES, torch.float32)
    made, _ = bind(tensors)
    made.set_constants(0, [0.1] * 7)
    for k in range(steps):
        give_gradients(tensors, k)
        step(made)
    version = tensors[0]._version
    step(made)
    assert tensors[0]._version == version + 1
    kept = tensors[0].grad
    tensors[0].grad = None
    with pytest.raises((TypeError, AttributeError)):
        made.find()
    tensors[0].grad = kept
    made.find()
    made.release()
    tensors[2].data = torch.ones(7)
    tensors[2].grad = torch.ones(7)
    with pytest.raises(Moved):
        made.find()


def test_parameters_and_gradients_may_move_between_steps() -> None:
    moving, still = (parameters(SHAPES, torch.float32) for _ in range(2))
    bound = [bind(some)[0] for some in (moving, still)]
    for k in range(FIRST_SCANNED + 4):
        for some, made in zip((moving, still), bound, strict=True):
            made.set_constants(0, [0.1] * 7)
            give_gradients(some, k)
            step(made)
        for tensor in moving:
            tensor.data = tensor.data.clone()
    assert all(torch.equal(a, b) for a, b in zip(moving, still, strict=True))


@pytest.mark.parametrize("make", [lambda: torch.randn(6, 4).t(), lambda: torch.randn(9, 8)[1::2, ::3]])
@pytest.mark.parametrize("turn", [lambda g: g, lambda g: g.t().contiguous().t()])
def test_a_parameter_in_any_layout_steps_as_a_plain_one(
    make: Callable[[], Tensor], turn: Callable[[Tensor], Tensor], triton: str
) -> None:
    parameter = make()
    plain = parameter.contiguous().clone().requires_grad_()
    parameter.requires_grad_()
    optimizers = [tw.Optimizer([p], ADAM, backend=triton) for p in (parameter, plain)]
    for _ in range(2):
        plain.grad = torch.randn(plain.shape)
        parameter.grad = turn(plain.grad)
        for optimizer in optimizers:
            optimizer.step()
    assert torch.equal(parameter, plain)


@pytest.mark.parametrize("sizes", [[], [0], [1], [CHUNK - 1, 1, 0, 1], [CHUNK, CHUNK + 1, 3 * CHUNK - 1], [5] * 1000])
def test_the_chunks_cover_every_element_once(sizes: list[int]) -> None:
    per_tensor, chunks = divide(sizes)
    covered = [np.zeros(size, dtype=int) for size in sizes]
    for tensor, place, count in chunks:
        assert 0 < count <= CHUNK
        covered[tensor][place * CHUNK : place * CHUNK + count] += 1
    assert all((times == 1).all() for times in covered)
    assert per_tensor.tolist() == [-(-size // CHUNK) for size in sizes]


def test_tensors_without_an_element_are_no_work() -> None:
    tensors = parameters(((0,), (3, 0)), torch.float32)
    made, _ = counted(tensors)
    give_gradients(tensors, 0)
    step(made)
    assert counts_of(made) == {1}
