"""Kernels compile for GPUs that are not there, and what they compile to is what memory likes."""

# ruff: noqa: ANN401  # Triton's objects have no types

from __future__ import annotations

import functools
import inspect
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

import thalweg as tw
from descents import RULES, usual_chain
from thalweg.chain.clip import clip
from thalweg.errors import BackendError
from thalweg.kernels import CHECK, plan
from thalweg.kernels.triton.body import THREADS
from thalweg.kernels.triton.compile import build, kernel_for, load
from thalweg.kernels.triton.constants import THREADS as FOR_CONSTANTS
from thalweg.kernels.triton.constants import emit_constants
from thalweg.kernels.triton.emit import emit
from thalweg.kernels.triton.tile_emit import emit_tiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from thalweg.kernels import Plan

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
WIDE = {
    "sm_80": (r"\bld\.global\.v4\.b32", r"\bst\.global\.v4\.b32"),
    "sm_90": (r"\bld\.global\.v4\.b32", r"\bst\.global\.v4\.b32"),
    "gfx942": (r"\b(?:global|buffer)_load_dwordx4", r"\b(?:global|buffer)_store_dwordx4"),
}
"""How reading and writing 16 bytes at once looks."""
RULES_AND_PASSES = [(rule, place) for rule in RULES for place in range(len(plan(usual_chain(rule).trace()).passes))]
A_FEW = ["adam", "adan", "lion", "radam", "rprop"]
"""Rules with cases, roots, signs, many states."""


def assembly(kernel: Any) -> str:
    return kernel.asm["ptx"] if "ptx" in kernel.asm else kernel.asm["amdgcn"]


def count(pattern: str, kernel: Any) -> int:
    return len(re.findall(pattern, assembly(kernel)))


@functools.cache
def built(
    rule: str, target: str, dtype: str = "float32", *, place: int = -1, guard: bool = True, scaled: bool = False
) -> Any:
    planned = plan_of(rule)
    text = (
        emit_tiles(planned, dtype, width=128, guard=guard, place=place)
        if planned.is_by_row
        else emit(planned, dtype, guard=guard, place=place, scaled=scaled)
    )
    return build(text, TARGETS[target], threads=THREADS)


def plan_of(rule: str) -> Plan:
    return plan(usual_chain(rule).trace())


def assert_wide(rule: str, place: int, target: str) -> None:
    planned = plan_of(rule)
    stored = {slot for slot, _ in planned.passes[place].stores}
    guarded = ({"g"} if place == 0 else set()) | (stored if len(planned.passes) == 1 else set())
    loaded = {*planned.loads_of(planned.passes[place]), *guarded}
    kernel = built(rule, target, place=place)
    for pattern, arrays in zip(WIDE[target], (loaded, stored), strict=True):
        found = count(pattern, kernel)
        assert found >= len(arrays)
        assert found % max(len(arrays), 1) == 0  # a short loop is unrolled


@pytest.mark.parametrize("target", ["sm_90", "gfx942"])
@pytest.mark.parametrize(("rule", "place"), RULES_AND_PASSES)
def test_every_rule_reads_and_writes_sixteen_bytes_at_once(rule: str, place: int, target: str) -> None:
    assert_wide(rule, place, target)


@pytest.mark.parametrize("rule", A_FEW)
def test_so_it_does_on_an_older_gpu(rule: str) -> None:
    assert_wide(rule, 0, "sm_80")


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
@pytest.mark.parametrize("target", TARGETS)
def test_so_does_every_dtype(dtype: str, target: str) -> None:
    kernel = built("adam", target, dtype)
    load, store = (
        pattern.replace("v4\\.b32", "v2\\.b64") if dtype == "float64" else pattern for pattern in WIDE[target]
    )
    assert count(load, kernel) == 4
    assert count(store, kernel) == 3


@pytest.mark.parametrize(("rule", "place"), RULES_AND_PASSES)
def test_no_rule_needs_more_registers_than_there_are(rule: str, place: int) -> None:
    registers, stack = resources(built(rule, "sm_90", place=place))
    assert stack == 0
    assert registers <= 168  # so that three programs of 128 threads share a multiprocessor's 65,536


def resources(kernel: Any) -> tuple[int, int]:
    """Registers and bytes of stack that a thread takes."""
    tool = triton.knobs.nvidia.cuobjdump.path
    (cubin,) = (path for name, path in kernel.metadata_group.items() if name.endswith(".cubin"))
    listed = subprocess.run([tool, "-res-usage", cubin], check=True, capture_output=True, text=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", listed)
    assert found
    return int(found[1]), int(found[2])


def test_arithmetic_is_rounded_as_on_the_cpu() -> None:
    code = assembly(built("adam", "sm_90"))
    assert "sqrt.rn.f32" in code
    assert "div.rn.f32" in code
    assert not re.search(r"\b(?:fma|approx|div\.full)\b|\bftz\b", code)


@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
def test_bfloat16_is_rounded_to_the_nearest(target: str) -> None:
    assert "cvt.rn.bf16" in assembly(built("adam", target, "bfloat16"))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("per", ["model", "tensor"])
def test_passes_that_sum_compile(per: str, target: str) -> None:
    planned = plan(tw.chain(clip(1.0, per=per, kind="largest"), clip(1.0, per=per), tw.adam(), tw.step(0.1)).trace())
    assert len(planned.passes) > 1
    for place in range(len(planned.passes)):
        assert build(emit(planned, "float32", guard=True, place=place), TARGETS[target], threads=THREADS).asm


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("width", [16, 512])
def test_so_do_tiles_of_matrices_that_are_narrow_or_low(width: int, target: str) -> None:
    planned = plan_of("adafactor")
    assert planned.is_by_row
    for place in range(len(planned.passes)):
        text = emit_tiles(planned, "float32", width=width, guard=True, place=place)
        assert build(text, TARGETS[target], threads=THREADS).asm


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_random_numbers_and_states_in_8_bits_compile_and_need_no_stack(dtype: str, target: str) -> None:
    text = emit(
        plan(tw.chain(tw.adam(), tw.step(0.1), tw.stochastic_rounding()).trace()),
        dtype,
        guard=True,
        dtypes={"m": "int8", "v": "uint8"},
    )
    kernel = build(text, TARGETS[target], threads=THREADS)
    if target == "sm_90":
        registers, stack = resources(kernel)
        assert stack == 0
        assert registers <= 168


@pytest.mark.parametrize("target", TARGETS)
def test_tiles_that_draw_compile(target: str) -> None:
    text = emit_tiles(
        plan(tw.chain(tw.adafactor(), tw.step(0.1), tw.stochastic_rounding()).trace()),
        "bfloat16",
        width=128,
        guard=True,
    )
    assert build(text, TARGETS[target], threads=THREADS).asm


@pytest.mark.parametrize("target", TARGETS)
def test_the_kernel_that_looks_and_the_scaled_one_compile(target: str) -> None:
    assert build(emit(CHECK, "float32", guard=True), TARGETS[target], threads=THREADS).asm
    load, store = WIDE[target]
    scaled = built("adam", target, guard=False, scaled=True)
    assert count(load, scaled) == 4
    assert count(store, scaled) == 4


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("rule", ["adam", "ademamix", "nadam", "nesterov_acceleration", "asgd"])
def test_constants_compile(rule: str, target: str) -> None:
    stage = tw.ademamix(alpha_warmup=30.0, beta3_warmup=50.0, beta_start=0.7) if rule == "ademamix" else rule
    text = emit_constants(plan(usual_chain(stage).trace()), "float32")
    assert build(text, TARGETS[target], threads=FOR_CONSTANTS).asm


def test_a_kernel_that_does_not_compile_says_so() -> None:
    text = 'import triton.language as tl\n\n\n@jit\ndef kernel(x: "*fp32"):\n    tl.store(x, nobody)\n'
    with pytest.raises(BackendError, match=r"Triton could not compile this kernel for 90: [^$]*nobody is not defined"):
        build(text, TARGETS["sm_90"], threads=THREADS)


class ImaginaryDriver:
    """A GPU of which nothing is there but what Triton asks of it between compiling and launching."""

    def __init__(self) -> None:
        self.launched: list[tuple[tuple[int, ...], tuple[Any, ...], int]] = []
        self.utils = self

    def launcher_cls(self, source: Any, _metadata: Any) -> Callable[..., None]:
        def launch(x: int, y: int, z: int, _stream: int, _function: int, *rest: Any) -> None:
            arguments = rest[-len(source.signature) :]
            self.launched.append(((x, y, z), arguments, len(rest)))

        return launch

    def get_current_target(self) -> GPUTarget:
        return TARGETS["sm_90"]

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, _device: int) -> int:
        return 0

    def get_device_properties(self, _device: int) -> dict[str, int]:
        return {"max_shared_mem": 232_448}

    def load_binary(self, *_arguments: Any) -> tuple[int, ...]:
        return 1, 2, 32, 0, 1024


@pytest.fixture
def imaginary(monkeypatch: pytest.MonkeyPatch) -> ImaginaryDriver:
    made = ImaginaryDriver()
    monkeypatch.setattr(driver, "_active", made)
    return made


def test_a_compiled_kernel_is_launched_with_one_program_a_chunk_and_all_its_tables(imaginary: ImaginaryDriver) -> None:
    text = emit(plan_of("adam"), "float32", guard=True)
    tables = [torch.zeros(8) for _ in range(4)]
    launch = kernel_for(text, torch.device("cuda", 0), threads=THREADS)
    launch(17, *tables)
    launch(18, *tables)
    (grid, arguments, given), (second, _, _) = imaginary.launched
    assert (grid, second) == ((17, 1, 1), (18, 1, 1))
    assert all(a is b for a, b in zip(arguments, tables, strict=True))
    assert given == 4 + len(
        tables
    )  # what belongs to every launch, and nothing else that a kernel could take for a table


def test_the_text_is_there_for_a_debugger() -> None:
    function = load(emit(plan_of("adam"), "float32", guard=True), lambda function: function)
    assert inspect.getsource(function).startswith("@jit\ndef kernel(")


def test_without_triton_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton.runtime", None)
    with pytest.raises(BackendError, match=re.escape('the triton backend needs Triton: `pip install "thalweg[gpu]"`')):
        kernel_for("a text of nobody's", torch.device("cpu"), threads=THREADS)
