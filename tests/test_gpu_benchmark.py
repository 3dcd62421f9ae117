"""`benchmarks/gpu.py` at a tiny size, in the interpreter: it finishes, keeps what it has, and tells what is wrong."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="there is no Triton here")
TINY = ["--device", "cpu", "--parameters", "91", "--tensors", "3", "--rounds", "1"]


@pytest.fixture
def gpu() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_it_measures_rules_and_checks_what_it_can_here(gpu: ModuleType, tmp_path: Path) -> None:
    kept = tmp_path / "record.json"
    assert gpu.main([*TINY, "--rules", "lion", "lamb", "--record", str(kept)]) == 0
    record = json.loads(kept.read_text())
    assert record["scaler"]["right"]
    assert record["late_news"]["right"]
    assert record["graph"] == {"skipped": "needs a GPU"}
    assert record["lion"]["bytes_per_parameter"] == 20
    assert record["lion"]["share_of_a_copy"]["median"] > 0
    assert record["lamb"] == {"skipped": "needs sums"}
    assert record["host"]["microseconds"].keys() == {"adam", "adam, capturable", "torch fused Adam"}
    assert record["parameters"] == {"all": 91, "tensors": 3, "bytes_copied": 728}
    assert record["failed"] == []


def test_what_fails_or_is_wrong_is_in_the_record_and_the_rest_goes_on(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        message = "no such luck"
        raise RuntimeError(message)

    monkeypatch.setattr(gpu, "graph", broken)
    monkeypatch.setattr(gpu, "host_time", lambda _: {"tensors": 0})
    monkeypatch.setattr(gpu, "TOLERANCE", 0.0)
    kept = tmp_path / "record.json"
    assert gpu.main([*TINY, "--rules", "gradient_descent", "--record", str(kept)]) == 1
    record = json.loads(kept.read_text())
    assert record["graph"] == {"error": "RuntimeError: no such luck"}
    assert record["failed"] == ["graph", "graph_with_sums", "scaler"]
    assert record["gradient_descent"]["bytes_per_parameter"] == 12


def test_nothing_is_begun_when_time_is_up(gpu: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([*TINY, "--minutes", "0"]) == 0
    assert "failed: nothing" in capsys.readouterr().out
