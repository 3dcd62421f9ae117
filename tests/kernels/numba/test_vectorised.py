"""Every rule's loop is vectorised: its machine code has packed instructions, and no call in between."""

from __future__ import annotations

import platform

import llvmlite.binding as llvm
import pytest

from descents import RULES, usual_chain
from thalweg.formula.scalar import descend
from thalweg.kernels import plan
from thalweg.kernels.numba import compile as compiler
from thalweg.kernels.numba import emit

pytestmark = pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="reads x86 machine code")


def machine_code(rule: str, dtype: str) -> str:
    text = emit(plan(usual_chain(rule).trace()), dtype, guard=True)
    made: list[str] = []
    with pytest.MonkeyPatch.context() as patch:  # what is compiled here is kept for the tests that step by it
        compile_text = compiler._compile
        patch.setattr(compiler, "_compile", lambda text: made.append(compile_text(text)) or made[0])
        compiler.compile_kernel(text)
    return compiler._machine().emit_assembly(llvm.parse_assembly(made[0] if made else compile_text(text)))


@pytest.mark.parametrize("rule", RULES)
def test_the_loop_in_single_precision_is_vectorised(rule: str) -> None:
    code = machine_code(rule, "float32")
    computed = {node.operation for node in descend(*(value for _, value in plan(usual_chain(rule).trace()).stores))}
    assert "mulps" in code or "subps" in code or "minps" in code
    assert "divps" in code or "divide" not in computed
    assert "sqrtps" in code or "rsqrt" in code or "sqrt" not in computed
    assert "sqrtpd" not in code, "a float64 has slipped into the loop"
    assert "divpd" not in code, "a float64 has slipped into the loop"


@pytest.mark.parametrize(("dtype", "packed"), [("float64", "divpd"), ("bfloat16", "divps"), ("float16", "divps")])
def test_adams_loop_is_vectorised_in_every_dtype(dtype: str, packed: str) -> None:
    code = machine_code("adam", dtype)
    if dtype == "float16" and "cvtph2ps" not in code:
        pytest.skip("this processor does not convert float16")
    assert packed in code
