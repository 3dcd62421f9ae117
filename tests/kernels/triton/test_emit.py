"""The text of a kernel: kept beside this file, and reviewed like code when it changes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import thalweg as tw
from descents import usual_chain
from dialects import DIALECTS, Dialect
from thalweg.errors import BackendError
from thalweg.kernels import CHECK, plan
from thalweg.kernels.triton.emit import STORAGE, emit

KEPT = Path(__file__).parent / "adam_float32.txt"
ADAM = plan(tw.chain(tw.adam(), tw.step(0.1)).trace())


def test_the_kernel_of_adam_in_single_precision_is_the_one_that_was_reviewed() -> None:
    assert emit(ADAM, "float32", guard=True) == KEPT.read_text(encoding="utf-8")


@pytest.mark.parametrize("dtype", STORAGE)
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_numbers_of_a_formula_have_the_type_that_is_computed_in(dialect: Dialect, dtype: str) -> None:
    # a bare 0.1 would be a float32, in a float64 kernel too
    tree = ast.parse(emit(plan(usual_chain(dialect.stage).trace()), dtype, guard=False))
    (update,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "update")
    calls = [node for node in ast.walk(update) if isinstance(node, ast.Call)]
    typed = [call for call in calls if ast.unparse(call.func) == "tl.full"]
    number = "tl.float64" if dtype == "float64" else "tl.float32"
    assert all(ast.unparse(call.args[2]) == number for call in typed)
    wrapped = {id(inner) for call in typed for inner in ast.walk(call)}
    bare = [node for node in ast.walk(update) if isinstance(node, ast.Constant) and id(node) not in wrapped]
    assert not [node.value for node in bare if isinstance(node.value, float)]


def test_the_same_structure_gives_the_same_text_whatever_the_numbers() -> None:
    some, others = (tw.chain(tw.adam(beta), tw.step(rate)) for beta, rate in ((0.8, 0.1), (0.9, 0.2)))
    assert emit(plan(some.trace()), "float32", guard=True) == emit(plan(others.trace()), "float32", guard=True)


def test_only_a_guarded_kernel_looks_at_the_gradients_finiteness() -> None:
    assert "good" in emit(ADAM, "float32", guard=True)
    assert "good" not in emit(ADAM, "float32", guard=False)


def test_only_a_scaled_kernel_divides_gradients_and_writes_them() -> None:
    scaled, plain = (emit(ADAM, "float32", guard=True, scaled=scaled) for scaled in (True, False))
    assert "store(at_s1_g" in scaled
    assert "grad_scale" not in plain
    assert "store(at_s1_g" not in plain


def test_the_kernel_that_looks_stores_nothing() -> None:
    text = emit(CHECK, "float32", guard=True)
    assert "store(at_" not in text
    assert "load(at_s1_g" in text


def test_a_dtype_that_no_kernel_takes_is_refused() -> None:
    with pytest.raises(
        BackendError,
        match="takes float32, float64, bfloat16, float16, and not complex64; use backend='reference'",
    ):
        emit(ADAM, "complex64", guard=True)
