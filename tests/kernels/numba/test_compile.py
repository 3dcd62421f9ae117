"""Compiled kernels are kept for the next process; a cache that cannot be used costs time, never a step."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

STEP = """
import torch, thalweg as tw
parameter = torch.ones(3, requires_grad=True)
parameter.grad = torch.ones(3)
optimizer = tw.Optimizer([parameter], tw.chain(tw.gradient_descent(), tw.step(0.25)))
optimizer.step()
assert parameter.tolist() == [0.75] * 3
from thalweg.kernels.numba.compile import compile_kernel
from thalweg.kernels.numba.emit import emit
from thalweg.kernels import plan
text = emit(plan(tw.chain(tw.gradient_descent(), tw.step(0.25)).trace()), "float32", guard=True)
print("warm" if compile_kernel(text).was_cached else "cold")
"""


def start(cache: Path, **environment: str) -> subprocess.Popen[str]:
    variables = {**os.environ, "THALWEG_CACHE": str(cache), **environment}
    return subprocess.Popen([sys.executable, "-c", STEP], env=variables, stdout=subprocess.PIPE, text=True)


def stepped(process: subprocess.Popen[str]) -> str:
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return printed.strip()


def test_a_kernel_is_compiled_once_for_all_processes_and_mended_if_it_is_broken(tmp_path: Path) -> None:
    at_once = [start(tmp_path) for _ in range(2)]
    assert "cold" in [stepped(process) for process in at_once]
    assert not list(tmp_path.rglob("*.tmp"))
    assert stepped(start(tmp_path)) == "warm"
    machine_code = list(tmp_path.rglob("*.o"))
    assert machine_code
    for file in machine_code:
        file.write_bytes(file.read_bytes()[:1000])
    assert stepped(start(tmp_path)) == "cold"
    assert stepped(start(tmp_path)) == "warm"


def test_a_process_that_finds_its_kernels_does_without_numba(tmp_path: Path) -> None:
    told = f"{STEP}\nimport sys\nassert 'numba' not in sys.modules"
    stepped(start(tmp_path))
    variables = {**os.environ, "THALWEG_CACHE": str(tmp_path)}
    answer = subprocess.run([sys.executable, "-c", told], env=variables, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "warm"


def test_a_cache_that_is_no_folder_costs_time_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert stepped(start(file, TMPDIR=str(elsewhere))) == "cold"
    assert not list(elsewhere.iterdir()), "what a process wrote for itself goes away with it"


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="everything can be written by root")
@pytest.mark.parametrize("holds_text", [False, True])
def test_a_read_only_cache_costs_time_and_nothing_else(tmp_path: Path, holds_text: bool) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    if holds_text:
        stepped(start(cache))
        for file in cache.rglob("*.o"):
            file.unlink()
    for folder in (*(path for path in cache.rglob("*") if path.is_dir()), cache):
        folder.chmod(0o555)
    assert stepped(start(cache, HOME="/nonexistent", XDG_CACHE_HOME="/nonexistent")) == "cold"
