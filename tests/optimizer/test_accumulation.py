"""A chain that adds gradients up moves at every so many calls, as if it had been called once with their mean."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import BY_GRADIENT, one_parameter, parameters, usual_chain
from thalweg.errors import ChainError, HyperparameterError, NonFiniteGradientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from thalweg.chain import Chain
    from thalweg.optimizer.layout import Backend, NonFinite

backends = pytest.mark.parametrize("backend", ["numba", "reference"])
DESCENT = tw.chain(tw.accumulate(4), tw.gradient_descent(), tw.step(0.1))
Gradients = list["Tensor | None"]


def batches(to: Sequence[Tensor], count: int, seed: int = 0) -> list[Gradients]:
    """Gradients of small batches; in some of them the last parameter is not used, in four of them never."""
    random = torch.Generator().manual_seed(seed)
    drawn: list[Gradients] = []
    for at in range(count):
        drawn.append([torch.randn(p.shape, generator=random, dtype=torch.float64).to(p.dtype) for p in to])
        if at % 3 == 0 or at // 4 == 2:
            drawn[-1][-1] = None
    return drawn


def run(optimizer: torch.optim.Optimizer, gradients: Sequence[Gradients]) -> list[Tensor]:
    to = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for one in gradients:
        optimizer.zero_grad()
        for parameter, gradient in zip(to, one, strict=True):
            parameter.grad = None if gradient is None else gradient.clone()
        optimizer.step()
    return [parameter.detach().clone() for parameter in to]


def means(gradients: Sequence[Gradients], of: int = 4) -> list[Gradients]:
    """By hand: the sum over each parameter's batches, divided by how many batches there are."""
    made: list[Gradients] = []
    for at in range(0, len(gradients), of):
        columns = zip(*gradients[at : at + of], strict=True)
        present = [[one for one in column if one is not None] for column in columns]
        made.append([torch.stack(some).sum(dim=0) / of if some else None for some in present])
    return made


def leading(chain: Chain) -> Chain:
    return tw.chain(tw.accumulate(4), *chain.stages, *([chain.step] if chain.step else []), *chain.behind)


@pytest.mark.parametrize("rule", BY_GRADIENT)
def test_every_rule_moves_as_if_called_once_with_the_mean(rule: str) -> None:
    rate = None if rule == "rprop" else (lambda k: 0.05 / (1 + k))
    plain = usual_chain(rule, rate) if rate else usual_chain(rule)
    few, often = parameters(), parameters()
    given = batches(often, 20)
    expected = run(tw.Optimizer(few, plain, backend="reference"), means(given))
    optimizer = tw.Optimizer(often, leading(plain), backend="reference")
    for found, wanted in zip(run(optimizer, given), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-13, atol=1e-14)


CHAINS: dict[str, Callable[[], Chain]] = {
    "clip": lambda: tw.chain(tw.clip(1.0), tw.adam(), tw.decay(0.1), tw.step(tw.cosine(0.1, steps=8))),
    "gradient": lambda: tw.chain(tw.adam(), tw.cautious(), tw.step(0.1), tw.ema(beta=0.9)),
    "matrix": lambda: tw.chain(tw.muon(only="*m"), tw.adam(skip="*m"), tw.step(0.1)),
    "rows": lambda: tw.chain(tw.adafactor(), tw.step(0.1)),
}


@backends
@pytest.mark.parametrize("chain", CHAINS)
def test_every_stage_behind_it_sees_the_mean(chain: str, backend: Backend) -> None:
    def named() -> list[tuple[str, Tensor]]:
        tensors = parameters([(4, 3), (6, 5), (7,)])
        tensors[1] = tensors[1].detach().t().requires_grad_()  # columns lie together
        return list(zip(("a.m", "b.m", "c"), tensors, strict=True))

    few, often = (named() for _ in range(2))
    given = batches([p for _, p in often], 20)
    expected = run(tw.Optimizer(few, CHAINS[chain](), backend=backend), means(given))
    optimizer = tw.Optimizer(often, leading(CHAINS[chain]()), backend=backend)
    for found, wanted in zip(run(optimizer, given), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-13, atol=1e-14)
    assert optimizer.param_groups[0]["steps"] == 5
    assert [float(optimizer.state[p]["step"]) for _, p in often] == [5, 5, 4]


def test_torchs_loop_with_a_smaller_loss_arrives_at_the_same_bits() -> None:
    ours, theirs = parameters([(4, 3)]), parameters([(4, 3)])
    optimizer = tw.Optimizer(ours, tw.chain(tw.accumulate(4), tw.adam(), tw.step(0.1)))
    adam = torch.optim.Adam(theirs, lr=0.1)
    inputs = torch.randn(40, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for at in range(8):
        optimizer.zero_grad()
        (inputs[5 * at : 5 * at + 5] @ ours[0]).square().mean().backward()
        optimizer.step()
        ((inputs[5 * at : 5 * at + 5] @ theirs[0]).square().mean() / 4).backward()
        if at % 4 == 3:
            adam.step()
            adam.zero_grad()
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0)


@backends
def test_nothing_but_the_sum_changes_in_between(backend: Backend) -> None:
    tensors = parameters()
    optimizer = tw.Optimizer(tensors, tw.chain(tw.accumulate(3), tw.adam(), tw.step(0.1)), backend=backend)
    before, versions = [p.detach().clone() for p in tensors], [p._version for p in tensors]
    given = batches(tensors, 2)
    given[0][-1] = torch.ones_like(tensors[-1])
    run(optimizer, given)
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
    assert [p._version for p in tensors] == versions
    assert optimizer.param_groups[0]["steps"] == 0
    assert optimizer.param_groups[0]["calls"] == 2
    for at, parameter in enumerate(tensors):
        state = optimizer.state[parameter]
        total = sum(one for batch in given if (one := batch[at]) is not None)
        torch.testing.assert_close(state["gathered"], total)
        assert float(state["step"]) == 0
        assert not state["m"].any()


def test_the_sum_can_be_taken_as_it_is() -> None:
    parameter = one_parameter(dtype=torch.float64)
    optimizer = tw.Optimizer([parameter], tw.chain(tw.accumulate(3, reduction="sum"), tw.step(0.1)))
    run(optimizer, [[torch.full((3,), value, dtype=torch.float64)] for value in (1.0, 2.0, 4.0)])
    torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.3, dtype=torch.float64))


def test_each_group_counts_its_own_calls() -> None:
    slow, quick, plain = (one_parameter(0.0) for _ in range(3))
    chains = [tw.chain(tw.accumulate(n), tw.step(0.1)) for n in (4, 2)]
    groups = [
        {"params": [slow], "chain": chains[0]},
        {"params": [quick], "chain": chains[1]},
        {"params": [plain], "chain": tw.chain(tw.step(0.1))},
    ]
    optimizer = tw.Optimizer(groups, chains[0])
    for _ in range(6):
        optimizer.step()
    assert [group["steps"] for group in optimizer.param_groups] == [1, 3, 6]
    moved = [-float(p.detach()[0]) for p in (slow, quick, plain)]
    assert moved == pytest.approx([0.1, 0.3, 0.6])


def test_the_number_of_calls_may_follow_a_schedule_of_the_moves_or_be_set() -> None:
    parameter = one_parameter(0.0)
    optimizer = tw.Optimizer([parameter], tw.chain(tw.accumulate(lambda k: 1 + k), tw.step(1.0)))
    steps = []
    for _ in range(6):
        optimizer.step()
        steps.append(optimizer.param_groups[0]["steps"])
    assert steps == [1, 1, 2, 2, 2, 3]
    torch.testing.assert_close(parameter.detach(), torch.full((3,), -3.0))

    optimizer = tw.Optimizer([one_parameter(0.0)], DESCENT)
    optimizer.step()
    optimizer.param_groups[0]["every"] = 2
    optimizer.step()
    assert optimizer.param_groups[0]["steps"] == 1

    optimizer = tw.Optimizer([one_parameter()], tw.chain(tw.accumulate(lambda _: 1.5), tw.step(1.0)))
    with pytest.raises(HyperparameterError, match=r"`every` is 1.5; it must lie in .* and whole"):
        optimizer.step()


def _by_state_dict(optimizer: tw.Optimizer, fresh: Callable[[], tw.Optimizer], _: Path) -> tw.Optimizer:
    other = fresh()
    other.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))  # noqa: S301  # our own
    return other


def _by_file(optimizer: tw.Optimizer, fresh: Callable[[], tw.Optimizer], folder: Path) -> tw.Optimizer:
    other = fresh()
    tw.save(optimizer, folder / "optimizer.safetensors")
    tw.load(other, folder / "optimizer.safetensors")
    return other


@pytest.mark.parametrize("through", [_by_state_dict, _by_file, lambda o, *_: copy.deepcopy(o)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("calls", [2, 5, 8])
def test_a_run_resumes_in_the_middle(
    through: Callable[..., tw.Optimizer], dtype: torch.dtype, calls: int, tmp_path: Path
) -> None:
    def fresh() -> tw.Optimizer:
        named = zip(("a", "b", "c"), parameters([(4, 3), (7,), (3,)], dtype), strict=True)
        return tw.Optimizer(list(named), tw.chain(tw.accumulate(3), tw.clip(1.0), tw.adam(), tw.step(0.1)))

    first = fresh()
    given = batches(first.param_groups[0]["params"], 12)
    run(first, given[:calls])
    second = through(first, fresh, tmp_path)
    for group, own in zip(first.param_groups, second.param_groups, strict=True):
        for parameter, other in zip(group["params"], own["params"], strict=True):
            other.data.copy_(parameter.data)
    ends = [run(optimizer, given[calls:]) for optimizer in (first, second)]
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
    assert second.param_groups[0]["steps"] == 4


@backends
@pytest.mark.parametrize("bad_call", [1, 3])
@pytest.mark.parametrize("clips", [False, True])
def test_a_bad_gradient_is_left_out_of_the_sum(backend: Backend, bad_call: int, *, clips: bool) -> None:
    stages = [tw.accumulate(4), *([tw.clip(1.0)] if clips else []), tw.adam(), tw.step(0.1)]
    found, wanted = parameters([(4,), (2, 3)]), parameters([(4,), (2, 3)])
    given: list[Gradients] = [[torch.full_like(p, at + 1.0) for p in found] for at in range(4)]
    bad: Gradients = [torch.ones(4, dtype=torch.float64), torch.full((2, 3), float("nan"), dtype=torch.float64)]
    optimizer = tw.Optimizer(found, tw.chain(*stages), nonfinite="skip", backend=backend)
    run(optimizer, [*given[:bad_call], bad, *given[bad_call:]])
    expected = run(tw.Optimizer(wanted, tw.chain(*stages), backend=backend), given)
    assert optimizer.skipped == 1
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@backends
def test_a_bad_gradient_raises_and_its_elements_keep_what_they_had_gathered(backend: Backend) -> None:
    parameter = one_parameter(0.0)
    optimizer = tw.Optimizer([parameter], tw.chain(tw.accumulate(2), tw.step(1.0)), backend=backend)
    parameter.grad = torch.tensor([1.0, float("inf"), 1.0])
    with pytest.raises(NonFiniteGradientError, match="left as they were and all others have been added up"):
        optimizer.step()
    assert optimizer.state[parameter]["gathered"].tolist() == [1, 0, 1]
    parameter.grad = torch.tensor([1.0, 1.0, float("nan")])
    with pytest.raises(NonFiniteGradientError, match="left as they were and all others have moved"):
        optimizer.step()
    assert parameter.tolist() == [-1, -0.5, 0]
    assert optimizer.state[parameter]["gathered"].tolist() == [0, 0, 1]
    assert (optimizer.param_groups[0]["steps"], optimizer.param_groups[0]["calls"]) == (1, 0)


@backends
def test_a_bad_gradient_propagates_as_in_torchs_loop(backend: Backend) -> None:
    parameter = one_parameter(0.0)
    optimizer = tw.Optimizer(
        [parameter], tw.chain(tw.accumulate(2), tw.step(1.0)), nonfinite="propagate", backend=backend
    )
    run(optimizer, [[torch.tensor([1.0, float("nan"), 1.0])], [torch.ones(3)], [torch.ones(3)]])
    assert parameter.isnan().tolist() == [False, True, False]
    assert optimizer.state[parameter]["gathered"].tolist() == [1, 1, 1]


def test_torchs_schedulers_and_its_scaler_go_with_it() -> None:
    parameter = one_parameter(0.0)
    optimizer = tw.Optimizer([parameter], tw.chain(tw.accumulate(2), tw.step(1.0)))
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=100)
    for value in (1.0, float("inf"), 3.0, 1.0, 3.0):  # the scaler leaves the second one out
        optimizer.zero_grad()
        scaler.scale((parameter * value).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        if optimizer.param_groups[0]["steps"] == 1 and scheduler.last_epoch == 0:
            scheduler.step()
    torch.testing.assert_close(parameter.detach(), torch.full((3,), -2.0 - 0.5 * 2.0))


def test_evaluation_sees_a_parameter_that_has_not_moved_where_it_is() -> None:
    parameter = one_parameter(2.0)
    optimizer = tw.Optimizer([parameter], tw.chain(tw.accumulate(2), tw.schedule_free_sgd(), tw.step(0.5)))
    optimizer.step()
    with optimizer.evaluating():
        assert parameter.tolist() == [2, 2, 2]


def test_sharpness_aware_gradients_are_added_up() -> None:
    ends = []
    for chain in (tw.chain(tw.accumulate(2), tw.step(0.1)), tw.chain(tw.step(0.1))):
        parameter = one_parameter(1.0, dtype=torch.float64)
        optimizer = tw.SAM([parameter], chain)

        def closure(p: Tensor = parameter, o: torch.optim.Optimizer = optimizer) -> Tensor:
            o.zero_grad()
            loss = p.pow(4).sum()
            loss.backward()
            return loss

        for _ in range(2 if chain.waits else 1):
            optimizer.step(closure)
        ends.append(parameter.detach())
    torch.testing.assert_close(*ends)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([tw.clip(1.0), tw.accumulate()], r"chain stage 2, accumulate\(\): adds up gradients .* behind clip\(1\)"),
        ([tw.accumulate(2), tw.accumulate(2)], "put it first, and once"),
        ([tw.accumulate(2, only="norm")], r"for all parameters of the chain; leave `only` and `skip`"),
    ],
)
def test_it_stands_first_and_for_all(stages: list[Any], message: str) -> None:
    with pytest.raises(ChainError, match=message):
        tw.chain(*stages, tw.step(0.1))


def test_a_captured_step_and_a_functional_one_cannot_wait() -> None:
    with pytest.raises(ChainError, match=r"accumulate\(4\) does something else at every so many calls"):
        tw.Optimizer([one_parameter()], DESCENT, capturable=True, backend="triton")
    with pytest.raises(ChainError, match=r"accumulate\(4\): decides about whole calls of `step`"):
        tw.functional(DESCENT)


@pytest.mark.parametrize("nonfinite", ["raise", "skip", "propagate"])
def test_a_gradient_of_zeros_that_stood_in_is_taken_away_again(nonfinite: NonFinite) -> None:
    parameter, other = one_parameter(0.0), one_parameter(0.0)
    optimizer = tw.Optimizer([parameter, other], tw.chain(tw.accumulate(2), tw.step(1.0)), nonfinite=nonfinite)
    run(optimizer, [[torch.ones(3), torch.ones(3)], [None, torch.ones(3)]])
    assert parameter.grad is None
    assert parameter.tolist() == [-0.5, -0.5, -0.5]
