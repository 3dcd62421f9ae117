"""The text of a kernel: kept beside this file, and reviewed like code when it changes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import thalweg as tw
from descents import usual_chain
from dialects import DIALECTS, Dialect
from thalweg.errors import BackendError
from thalweg.formula import Direction, Update, Zeros, rule
from thalweg.kernels import CHECK, plan
from thalweg.kernels.numba import STORAGE, emit

KEPT = Path(__file__).parent / "adam_float32.txt"


def test_the_kernel_of_adam_in_single_precision_is_the_one_that_was_reviewed() -> None:
    text = emit(plan(tw.chain(tw.adam(), tw.step(0.1)).trace()), "float32", guard=True)
    assert text == KEPT.read_text(encoding="utf-8")


@pytest.mark.parametrize("guard", [True, False])
@pytest.mark.parametrize("dtype", STORAGE)
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_kernel_is_python_and_has_no_bare_number_in_its_loop(dialect: Dialect, dtype: str, guard: bool) -> None:
    # a bare number is a float64 and would make all of a float32 loop so, at half the speed
    tree = ast.parse(emit(plan(usual_chain(dialect.stage).trace()), dtype, guard=guard))
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For) and getattr(node.target, "id", "") == "j"]
    assert len(loops) == 1
    wrapped = {
        id(inner)
        for call in ast.walk(loops[0])
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "number"
        for inner in ast.walk(call)
    }
    numbers = [n for n in ast.walk(loops[0]) if isinstance(n, ast.Constant) and id(n) not in wrapped]
    assert not [n.value for n in numbers if isinstance(n.value, float)]


def test_the_same_structure_gives_the_same_text_whatever_the_numbers() -> None:
    some, others = (tw.chain(tw.adam(beta), tw.step(rate)) for beta, rate in ((0.8, 0.1), (0.9, 0.2)))
    assert emit(plan(some.trace()), "float32", guard=True) == emit(plan(others.trace()), "float32", guard=True)


def test_only_a_guarded_kernel_looks_at_the_gradients_finiteness() -> None:
    adam = plan(tw.chain(tw.adam(), tw.step(0.1)).trace())
    assert "good" in emit(adam, "float32", guard=True)
    assert "good" not in emit(adam, "float32", guard=False)


def test_the_kernel_that_looks_stores_nothing() -> None:
    body = emit(CHECK, "float32", guard=True).split("def kernel")[1]
    assert "store_" not in body
    assert "load_float32(at_s_g" in body


def test_a_dtype_that_no_kernel_takes_is_refused() -> None:
    adam = plan(tw.chain(tw.adam(), tw.step(0.1)).trace())
    with pytest.raises(
        BackendError,
        match="the numba backend takes float32, float64, bfloat16, float16, and not complex64; use backend='reference'",
    ):
        emit(adam, "complex64", guard=True)


def test_a_chain_with_more_states_than_a_kernel_can_tell_apart_is_refused() -> None:
    def many(g: Direction, a: Zeros, b: Zeros, c: Zeros, d: Zeros) -> Update:
        return g + a + b + c + d, a + g, b + g, c + g, d + g

    made = rule(title="Many", source="a test")(many)
    chain = tw.chain(*(made() for _ in range(9)), tw.step(0.1))
    with pytest.raises(BackendError, match="a kernel takes 32 arrays, this chain has 38; use backend='reference'"):
        emit(plan(chain.trace()), "float32", guard=True)


def test_states_whose_names_would_be_one_variable_are_told_apart() -> None:
    def a(g: Direction, b_c: Zeros) -> Update:
        return g + 1, b_c + g

    def a_b(g: Direction, c: Zeros) -> Update:
        return g + c, c + 10 * g

    def both(g: Direction, b_c: Zeros, c: Zeros) -> Update:
        return g + b_c, b_c + g, c + g

    stages = [rule(title="One", source="a test")(formula)() for formula in (a, a_b, both)]
    text = emit(plan(tw.chain(*stages, tw.step(0.1)).trace()), "float32", guard=True)
    loaded = [line.split(" = ")[0].strip() for line in text.splitlines() if " = load_" in line]
    assert len(set(loaded)) == len(loaded) == 6
