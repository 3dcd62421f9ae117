"""Imports point down only: the contracts of pyproject.toml, held by import-linter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def lint(*, package: Path, settings: Path) -> subprocess.CompletedProcess[str]:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    arguments = ["--config", str(settings), "--no-cache", "--no-logo"]
    environment = os.environ | {"PYTHONPATH": str(package), "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, "-c", command, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_import_points_down() -> None:
    result = lint(package=ROOT / "src", settings=ROOT / "pyproject.toml")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("room", "line", "contract"),
    [
        ("formula", "import thalweg.rules", "Imports point down only"),
        ("optimizer", "import thalweg.lab", "Imports point down only"),
        ("elsewhere", "", "Imports point down only"),
        ("rules", "import torch", "A formula knows nothing but the language"),
        ("formula", "import numpy", "A formula knows nothing but the language"),
        ("kernels", "import thalweg.rules", "Imports point down only"),
        ("matrix", "import thalweg.kernels", "Imports point down only"),
        ("report", "import thalweg.lab.race", "The report reads records and runs nothing"),
    ],
)
def test_an_import_that_points_elsewhere_is_found(tmp_path: Path, room: str, line: str, contract: str) -> None:
    package = tmp_path / "thalweg"
    for folder in ("formula", "rules", "kernels", "optimizer", "lab", "report", room):
        (package / folder).mkdir(parents=True, exist_ok=True)
        (package / folder / "__init__.py").touch()
    for module in ("__init__.py", "errors.py", "lab/race.py"):
        (package / module).touch()
    clean = lint(package=tmp_path, settings=ROOT / "pyproject.toml")
    assert (clean.returncode == 0) == (room != "elsewhere"), clean.stdout + clean.stderr

    (package / room / "wrong.py").write_text(line + "\n")
    result = lint(package=tmp_path, settings=ROOT / "pyproject.toml")
    assert result.returncode != 0
    assert f"{contract} BROKEN" in result.stdout
