"""The same on a real GPU, where there is one: numbers, late reports, CUDA graphs, GradScaler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import SHAPES, parameters, usual_chain
from dialects import DIALECTS, Dialect
from thalweg.chain.clip import clip
from thalweg.kernels import plan
from thalweg.kernels.triton.binding import TritonBinding
from thalweg.kernels.triton.constants import Counted
from thalweg.kernels.triton.emit import CHUNK
from tolerances import BACKENDS, TORCH, deviation

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.chain import Chain

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

ADAM = tw.chain(tw.adam(), tw.step(0.1))
ALL_SHAPES = (*SHAPES, (3 * CHUNK + 517,))


def on_gpu(shapes: tuple[tuple[int, ...], ...] = ALL_SHAPES, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return [tensor.detach().cuda().requires_grad_() for tensor in parameters(shapes, dtype)]


def give(tensors: list[Tensor], step: int) -> None:
    drawn = parameters([tuple(tensor.shape) for tensor in tensors], torch.float32, seed=100 + step)
    for tensor, gradient in zip(tensors, drawn, strict=True):
        tensor.grad = gradient.detach().to(tensor)


def counted(tensors: list[Tensor]) -> TritonBinding:
    planned = plan(ADAM.trace())
    states = [{slot: torch.zeros_like(t, requires_grad=False) for slot in planned.slots[2:]} for t in tensors]
    count = len(tensors)
    counts, flags = torch.zeros(count, device="cuda").double(), torch.zeros(2, device="cuda")
    kept = Counted(counts, range(count), [0] * count, flags)
    made = TritonBinding(planned, tensors, states, guard=False, counted=kept)
    numbers = {"t": 0.0, **ADAM.numbers(ADAM.trace())}
    made.set_inputs(0, [numbers[name] for name in planned.inputs])
    return made


def step(made: TritonBinding) -> None:
    made.find()
    made.run()
    made.count()


def walk(tensors: list[Tensor], chain: Chain, backend: str, steps: int = 5) -> None:
    optimizer: Any = tw.Optimizer(tensors, chain, backend=backend)
    for k in range(steps):
        give(tensors, k)
        optimizer.step()


def compare(chain: Chain, dtype: torch.dtype, triton: str) -> float:
    gpu, cpu = on_gpu(dtype=dtype), parameters(ALL_SHAPES, dtype)
    walk(gpu, chain, triton)
    walk(cpu, chain, "reference")
    return deviation([tensor.cpu() for tensor in gpu], cpu)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_every_dialect_steps_as_the_reference_on_the_cpu(dialect: Dialect, dtype: torch.dtype, triton: str) -> None:
    assert compare(usual_chain(dialect.stage, dialect.schedule), dtype, triton) <= BACKENDS[dtype]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_rounded_as_on_the_cpu(dtype: torch.dtype, triton: str) -> None:
    assert compare(ADAM, dtype, triton) == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_random_rounding_and_states_in_8_bits_are_those_of_the_cpu(dtype: torch.dtype, triton: str) -> None:
    chain, kept = tw.chain(tw.adam(), tw.step(1e-2), tw.stochastic_rounding(seed=2**40 + 5)), []
    for tensors, backend in ((on_gpu(dtype=dtype), triton), (parameters(ALL_SHAPES, dtype), "reference")):
        optimizer: Any = tw.Optimizer(tensors, chain, backend=backend, state_dtype="8bit")
        for k in range(3):
            give(tensors, k)
            optimizer.step()
        kept.append([value.cpu() for t in tensors for value in (t.detach(), *optimizer.state[t].values())])
    assert all(torch.equal(a, b) for a, b in zip(*kept, strict=True))


@pytest.mark.parametrize("kind", ["euclidean", "largest"])
@pytest.mark.parametrize("per", ["model", "tensor"])
def test_sums_are_those_of_the_reference(per: str, kind: str, triton: str) -> None:
    chain = tw.chain(clip(0.1, per=per, kind=kind), tw.adam(), tw.step(0.1))
    assert compare(chain, torch.float32, triton) <= BACKENDS[torch.float32]


def test_sums_over_rows_and_columns_are_those_of_the_reference(triton: str) -> None:
    shapes = ((3, 4), (7,), (2, 1, 3), (300, 250), (5000, 3), (2, 700))
    gpu, cpu = on_gpu(shapes), parameters(shapes, torch.float32)
    for tensors, backend in ((gpu, triton), (cpu, "reference")):
        walk(tensors, tw.chain(tw.adafactor(), tw.step(0.1)), backend)
    assert deviation([tensor.cpu() for tensor in gpu], cpu) <= BACKENDS[torch.float32]


def test_an_address_that_is_no_multiple_of_sixteen_steps_as_another(triton: str) -> None:
    whole = torch.randn(9000, device="cuda")
    shifted, plain = whole[1:].requires_grad_(), whole[1:].clone().requires_grad_()
    for tensor in (shifted, plain):
        walk([tensor], ADAM, triton)
    assert torch.equal(shifted, plain)


def test_a_gradient_that_is_not_finite_is_told_when_the_gpu_has_come_so_far() -> None:
    tensors = on_gpu()
    planned = plan(ADAM.trace())
    states = [{slot: torch.zeros_like(t, requires_grad=False) for slot in planned.slots[2:]} for t in tensors]
    made = TritonBinding(planned, tensors, states, guard=True)
    made.set_constants(0, [0.1] * 7)
    give(tensors, 0)
    tensors[2].grad[4] = float("nan")
    before = tensors[2].detach().clone()
    made.find()
    found = made.run()
    assert 2 in (found, made.wait())
    assert tensors[2][4] == before[4]
    assert (tensors[2][:4] != before[:4]).all()


@pytest.mark.parametrize("skipped", [(), (1,), (0, 2)])
def test_scaled_gradients_step_as_torchs_fused_adam_takes_them(skipped: tuple[int, ...]) -> None:
    ours, theirs = on_gpu(), on_gpu()
    made = counted(ours)
    optimizer: Any = torch.optim.Adam(theirs, lr=0.1, fused=True)
    for k in range(4):
        scale, found = torch.tensor(1024.0, device="cuda"), torch.tensor(float(k in skipped), device="cuda")
        for some in (ours, theirs):
            give(some, k)
        made._counted.flags.fill_(float(k in skipped))
        made.scale(scale)
        step(made)
        optimizer.grad_scale, optimizer.found_inf = scale, found
        optimizer.step()
    assert deviation(ours, theirs) <= TORCH[torch.float32]
    assert set(made._counted.counts.tolist()) == {4 - len(skipped)}


@pytest.mark.parametrize("stages", [[], [clip(0.5), clip(0.3, per="tensor")], [tw.adafactor()]], ids=str)
def test_a_graph_of_an_optimizers_step_replays_it_with_sums_too(stages: list[Any], triton: str) -> None:
    chain = tw.chain(*stages, *([] if stages and len(stages) == 1 else [tw.adam()]), tw.step(0.1))
    ours, theirs = on_gpu(), on_gpu()
    rate = torch.tensor(0.1, device="cuda")
    optimizer = tw.Optimizer([{"params": ours, "lr": rate}], chain, backend=triton, capturable=True)
    other = tw.Optimizer(theirs, chain, backend=triton)
    for some in (ours, theirs):
        give(some, 0)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        optimizer.step()
    torch.cuda.current_stream().wait_stream(side)
    other.step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        optimizer.step()
    for k in range(1, 5):
        rate.fill_(0.1 / k)
        other.param_groups[0]["lr"] = 0.1 / k
        give(theirs, k)
        for tensor, twin in zip(ours, theirs, strict=True):
            tensor.grad.copy_(twin.grad)
        graph.replay()
        other.step()
    assert deviation(ours, theirs) <= BACKENDS[torch.float32]
    assert {float(state["step"]) for state in optimizer.state_dict()["state"].values()} == {5}


def test_a_graph_replays_step_after_step() -> None:
    ours, theirs = on_gpu(), on_gpu()
    made = counted(ours)
    optimizer = torch.optim.Adam(theirs, lr=0.1)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for some in (ours, theirs):
            give(some, 0)
        step(made)
        optimizer.step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(made)
    for k in range(1, 5):
        held = [tensor.grad for tensor in ours]
        for some in (ours, theirs):
            give(some, k)
        for tensor, static in zip(ours, held, strict=True):
            tensor.grad = static.copy_(tensor.grad)
        graph.replay()
        optimizer.step()
    assert deviation(ours, theirs) <= TORCH[torch.float32]
    assert set(made._counted.counts.tolist()) == {5}
