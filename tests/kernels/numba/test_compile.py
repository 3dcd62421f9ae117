"""Compiled kernels are kept for the next process; a cache that cannot be used costs time, never a step."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

import thalweg as tw
from thalweg.kernels import plan
from thalweg.kernels.numba import emit
from thalweg.kernels.numba.compile import Kernel

if TYPE_CHECKING:
    from pathlib import Path

TEXT = emit(plan(tw.chain(tw.gradient_descent(), tw.step(0.25)).trace()), "float32", guard=True)
COMPILE = """
import sys
from thalweg.kernels.numba import compile_kernel
assert compile_kernel(sys.stdin.read()).address
"""
STEP = """
import sys, torch, thalweg as tw
parameter = torch.ones(3, requires_grad=True)
parameter.grad = torch.ones(3)
optimizer = tw.Optimizer([parameter], tw.chain(tw.gradient_descent(), tw.step(0.25)))
optimizer.step()
assert parameter.tolist() == [0.75] * 3
assert "numba" not in sys.modules
"""


def test_two_processes_compile_a_kernel_at_once_and_later_ones_do_without_numba(tmp_path: Path) -> None:
    variables = {**os.environ, "THALWEG_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", COMPILE]
    at_once = [subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, text=True) for _ in range(2)]
    for process in at_once:
        assert process.stdin is not None
        process.stdin.write(TEXT)
        process.stdin.close()
    assert [process.wait() for process in at_once] == [0, 0]
    assert len(list(tmp_path.rglob("*.o"))) == 1
    assert not list(tmp_path.rglob("*.tmp"))
    done = subprocess.run([sys.executable, "-c", STEP], env=variables, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


KERNELS: list[Kernel] = []
"""Compiled code stays for as long as the process lives."""


def is_cached() -> bool:
    KERNELS.append(Kernel(TEXT))
    assert KERNELS[-1].address
    return KERNELS[-1].was_cached


def test_a_kernel_is_compiled_once_and_mended_if_it_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path))
    assert not is_cached()
    assert is_cached()
    (machine_code,) = tmp_path.rglob("*.o")
    machine_code.write_bytes(machine_code.read_bytes()[:1000])
    assert not is_cached()
    assert is_cached()


def test_a_cache_that_is_no_folder_costs_time_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("THALWEG_CACHE", str(file))
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    assert not is_cached()
    assert not is_cached()
    assert not list(elsewhere.iterdir())


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="everything can be written by root")
@pytest.mark.parametrize("has_been_used", [False, True])
def test_a_read_only_cache_costs_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_been_used: bool
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("THALWEG_CACHE", str(cache))
    if has_been_used:
        assert not is_cached()
        for file in cache.rglob("*.o"):
            file.unlink()
    for folder in (*(path for path in cache.rglob("*") if path.is_dir()), cache):
        folder.chmod(0o555)
    assert not is_cached()
    assert not is_cached()
