"""What holds for every matrix method: stacks, slices, counts, dtypes, gradients that are not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from matrix.stacks import distance, gradients, run
from thalweg.errors import HyperparameterError, ParameterError
from thalweg.matrix import catalogue

if TYPE_CHECKING:
    from thalweg.matrix import MatrixRule, States

FORMS: list[tuple[str, dict[str, Any]]] = [
    ("full_matrix_adagrad", {"s0": 1e-3}),
    ("full_matrix_adagrad", {"s0": 1e-3, "every": 3}),
    ("shampoo", {"eps": 1e-4}),
    ("shampoo", {"eps": 1e-4, "every": 3, "beta2": 0.9, "graft": "adam"}),
    ("shampoo", {"largest": 4, "graft": "adagrad"}),
    ("soap", {"every": 3}),
    ("soap", {"every": 3, "largest": 4}),
    ("muon", {}),
    ("muon", {"polar": "full", "nesterov": False}),
    ("muon", {"polar": "svd", "adjust": "match_rms_adamw"}),
    ("psgd_kron", {"max_skew": 2.0}),
    ("psgd_kron", {"probability": 0.5, "momentum": 0.9}),
    ("psgd_kron", {"momentum": 0.9, "whiten": "momentum", "scale": 2.0, "rate": 0.2}),
]
every_method = pytest.mark.parametrize(
    ("rule", "numbers"),
    [pytest.param(catalogue()[name], numbers, id=f"{name} {numbers}") for name, numbers in FORMS],
)

BFLOAT16 = 2**-7
"""Of the largest entry: a bfloat16 has eight bits, and a library may sum the products of a stack in another order."""


def one_by_one(rule: MatrixRule, numbers: dict[str, Any], dtype: torch.dtype) -> float:
    """How far a stack may be from its matrices one by one.

    A library may sum the products of one matrix in another order than those of many: a last bit. In float32 that grows
    where small eigenvalues of squares are asked for: squaring leaves half the digits, and a root divides by them.
    """
    if rule.name == "muon" and numbers.get("polar", "bfloat16") == "bfloat16":
        return BFLOAT16
    if dtype == torch.float64:
        return 1e-10
    of_squares = rule.name in {"full_matrix_adagrad", "soap"} or (rule.name == "shampoo" and "largest" not in numbers)
    return 5e-3 if of_squares else 1e-4 if numbers.get("polar") == "svd" else 1e-6


def test_every_method_is_among_the_forms() -> None:
    assert {name for name, _ in FORMS} == set(catalogue())


@every_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_stack_gives_what_its_matrices_give_one_by_one(
    rule: MatrixRule, numbers: dict[str, Any], dtype: torch.dtype
) -> None:
    stacks = gradients(10, 4, 6, 5, dtype=dtype)
    together, states = run(rule, stacks, **numbers)
    begun = rule.begin(stacks[0], numbers)
    rule.direction(stacks[0], begun, numbers, 1)
    for i in range(4):
        alone, own = run(rule, [stack[i : i + 1] for stack in stacks], **numbers)
        assert {name: state.shape[1:] for name, state in own.items()} == {n: s.shape[1:] for n, s in states.items()}
        if rule.name == "soap":  # the first basis of a null space is rounding's choice: take the same
            own = {name: state[i : i + 1].clone() for name, state in begun.items()}
            later = enumerate(stacks[1:], start=2)
            alone[1:] = [rule.direction(stack[i : i + 1], own, numbers, step) for step, stack in later]
        tolerance = one_by_one(rule, numbers, dtype)
        assert max(distance(a[i], b[0]) for a, b in zip(together, alone, strict=True)) < tolerance


@every_method
def test_slices_of_the_states_can_be_kept_apart_and_stacked_anew(rule: MatrixRule, numbers: dict[str, Any]) -> None:
    stacks = gradients(8, 4, 5, 6)
    expected, _ = run(rule, stacks, **numbers)
    _, states = run(rule, stacks[:4], **numbers)
    kept = [{name: state[i].clone() for name, state in states.items()} for i in range(4)]
    order = [2, 0, 3, 1]
    again: States = {name: torch.stack([kept[i][name] for i in order]) for name in states}
    for step in range(5, 9):
        found = rule.direction(stacks[step - 1][order], again, numbers, step)
        for place, i in enumerate(order):
            assert distance(found[place], expected[step - 1][i]) < one_by_one(rule, numbers, torch.float64)


@every_method
def test_the_states_are_changed_in_place(rule: MatrixRule, numbers: dict[str, Any]) -> None:
    stacks = gradients(4, 3, 4, 5)
    _, wanted = run(rule, stacks, **numbers)
    states = rule.begin(stacks[0], numbers)
    same = dict(states)
    addresses = {name: state.data_ptr() for name, state in states.items()}
    for step, stack in enumerate(stacks, start=1):
        before = stack.clone()
        rule.direction(stack, states, numbers, step)
        assert torch.equal(stack, before), "the gradients stay"
    assert all(states[name] is same[name] for name in same)
    assert {name: state.data_ptr() for name, state in states.items()} == addresses
    assert all(torch.equal(states[name], wanted[name]) for name in wanted)


@every_method
def test_each_matrix_has_its_own_step_count(rule: MatrixRule, numbers: dict[str, Any]) -> None:
    stacks = gradients(9, 2, 4, 4)
    early, _ = run(rule, [stack[:1] for stack in stacks], **numbers)
    late, _ = run(rule, [stack[1:] for stack in stacks[4:]], **numbers)
    states = rule.begin(stacks[0], numbers)
    alone = {name: state[:1].clone() for name, state in states.items()}
    for step, stack in enumerate(stacks[:4], start=1):
        rule.direction(stack[:1], alone, numbers, step)
    for name, state in states.items():
        state[:1] = alone[name]
    for step, stack in enumerate(stacks[4:], start=5):
        found = rule.direction(stack, states, numbers, torch.tensor([step, step - 4]))
        tolerance = one_by_one(rule, numbers, torch.float64)
        assert distance(found[0], early[step - 1][0]) < tolerance
        assert distance(found[1], late[step - 5][0]) < tolerance


@every_method
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_a_gradient_that_is_not_finite_enters_no_state(rule: MatrixRule, numbers: dict[str, Any], bad: float) -> None:
    stacks = gradients(5, 3, 4, 5, dtype=torch.float32)
    _, states = run(rule, stacks[:4], **numbers)
    before = {name: state.clone() for name, state in states.items()}
    others: States = {name: state[::2].clone() for name, state in states.items()}
    expected = rule.direction(stacks[4][::2], others, numbers, 5)
    spoilt = stacks[4].clone()
    spoilt[1, 2, 3] = bad
    found = rule.direction(spoilt, states, numbers, 5)
    assert bool(found[1].isnan().all()), "the whole matrix is marked"
    assert torch.equal(found[::2], expected)
    for name, state in states.items():
        assert torch.equal(state[1], before[name][1])
        assert torch.equal(state[::2], others[name])


@every_method
def test_where_no_gradient_is_finite_nothing_changes(rule: MatrixRule, numbers: dict[str, Any]) -> None:
    stacks = gradients(3, 2, 4, 4, dtype=torch.float32)
    _, states = run(rule, stacks, **numbers)
    before = {name: state.clone() for name, state in states.items()}
    assert bool(rule.direction(torch.full_like(stacks[0], torch.nan), states, numbers, 4).isnan().all())
    assert all(torch.equal(states[name], before[name]) for name in states)


@every_method
def test_a_first_gradient_that_is_not_finite_only_delays(rule: MatrixRule, numbers: dict[str, Any]) -> None:
    stacks = gradients(6, 1, 4, 4)
    states = rule.begin(stacks[0], numbers)
    rule.direction(torch.full_like(stacks[0], torch.inf), states, numbers, 1)
    later = [rule.direction(stack, states, numbers, step) for step, stack in enumerate(stacks, start=2)]
    assert all(bool(direction.isfinite().all()) for direction in later)
    assert float(later[-1].abs().max()) > 0


@every_method
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(rule: MatrixRule, numbers: dict[str, Any], dtype: torch.dtype) -> None:
    narrow = gradients(6, 2, 5, 4, dtype=dtype)
    found, states = run(rule, narrow, **numbers)
    expected, wide = run(rule, [stack.float() for stack in narrow], **numbers)
    assert {state.dtype for state in states.values()} == {torch.float32}
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert all(torch.equal(states[name], wide[name]) for name in states)


@every_method
def test_float64_stays_float64(rule: MatrixRule, numbers: dict[str, Any]) -> None:
    found, states = run(rule, gradients(2, 2, 5, 4), **numbers)
    assert found[-1].dtype == torch.float64
    assert {state.dtype for state in states.values()} == {torch.float64}


@every_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_zeros_give_no_direction(rule: MatrixRule, numbers: dict[str, Any], dtype: torch.dtype) -> None:
    zeros = [torch.zeros(2, 5, 4, dtype=dtype)] * 7
    found, _ = run(rule, zeros, **numbers)
    assert all(torch.equal(direction, zeros[0]) for direction in found)
    states = rule.begin(zeros[0], numbers)
    for step in range(1, 5):
        rule.direction(zeros[0], states, numbers, step)
    awake = gradients(6, 2, 5, 4, dtype=dtype)
    later = [rule.direction(stack, states, numbers, step) for step, stack in enumerate(awake, start=5)]
    assert all(bool(direction.isfinite().all()) for direction in later)
    assert float(later[-1].abs().max()) > 0


@every_method
def test_gradients_of_rank_one_give_a_bounded_direction(rule: MatrixRule, numbers: dict[str, Any]) -> None:
    u, v = torch.randn(2, 20, 1), torch.randn(2, 1, 30)
    found, _ = run(rule, [u @ v * scale for scale in (1.0, 0.5, -2.0, 1e-3, 3.0, 1.0)], **numbers)
    assert all(float(direction.abs().max()) < 200 for direction in found)


@every_method
def test_a_direction_is_no_view_of_a_state_or_a_gradient(rule: MatrixRule, numbers: dict[str, Any]) -> None:
    stacks = gradients(3, 2, 4, 4)
    found, states = run(rule, stacks, **numbers)
    kept = {name: state.clone() for name, state in states.items()}
    for direction in found:
        direction.fill_(7.0)
    assert all(torch.equal(states[name], kept[name]) for name in states)
    assert not any(bool((stack == 7.0).all()) for stack in stacks)


@every_method
def test_no_graph_is_kept(rule: MatrixRule, numbers: dict[str, Any]) -> None:
    (stack,) = gradients(1, 2, 4, 4)
    (direction,), states = run(rule, [stack.requires_grad_()], **numbers)
    assert not direction.requires_grad
    assert not any(state.requires_grad for state in states.values())


@every_method
def test_the_states_can_be_asked_for_without_their_memory(rule: MatrixRule, numbers: dict[str, Any]) -> None:
    real = rule.begin(torch.zeros(3, 6, 4, dtype=torch.bfloat16), numbers)
    asked = rule.begin(torch.empty(3, 6, 4, dtype=torch.bfloat16, device="meta"), numbers)
    assert {n: (s.shape, s.dtype) for n, s in asked.items()} == {n: (s.shape, s.dtype) for n, s in real.items()}
    assert {state.device.type for state in asked.values()} == {"meta"}


@every_method
def test_single_rows_columns_and_numbers_are_matrices_too(rule: MatrixRule, numbers: dict[str, Any]) -> None:
    for m, n in ((1, 6), (6, 1), (1, 1)):
        found, _ = run(rule, gradients(5, 3, m, n, dtype=torch.float32), **numbers)
        assert found[-1].shape == (3, m, n)
        assert bool(found[-1].isfinite().all())


@pytest.mark.parametrize("rule", catalogue().values(), ids=lambda rule: rule.name)
def test_what_is_no_stack_of_real_matrices_is_refused(rule: MatrixRule) -> None:
    for wrong in (torch.zeros(3, 4), torch.zeros(2, 3, 4, dtype=torch.int64), torch.zeros(2, 0, 4)):
        with pytest.raises(ParameterError, match=rf"{rule.name} takes a stack of real matrices, of shape \(b, m, n\)"):
            rule.begin(wrong)
    with pytest.raises(ParameterError, match=r"got a tensor of shape \(2, 3, 4\) and dtype torch.complex64"):
        rule.direction(torch.zeros(2, 3, 4, dtype=torch.complex64), {}, {}, 1)


@pytest.mark.parametrize("rule", catalogue().values(), ids=lambda rule: rule.name)
def test_states_of_another_stack_are_refused(rule: MatrixRule) -> None:
    states = rule.begin(torch.zeros(3, 4, 4))
    with pytest.raises(ParameterError, match=r"the state `\w+` is of 3 matrices, and there are 2 gradients"):
        rule.direction(torch.zeros(2, 4, 4), states, {}, 1)


@pytest.mark.parametrize("rule", catalogue().values(), ids=lambda rule: rule.name)
@pytest.mark.parametrize("step", [0, -1, 1.5, torch.tensor([1, 2]), torch.tensor([1, 0, 2])])
def test_a_step_counts_from_one(rule: MatrixRule, step: Any) -> None:  # noqa: ANN401
    with pytest.raises(HyperparameterError, match="it must be a whole number from 1, one for all matrices or one for"):
        rule.direction(torch.zeros(3, 4, 4), rule.begin(torch.zeros(3, 4, 4)), {}, step)
