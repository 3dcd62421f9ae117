"""`benchmarks/kfac.py` at a tiny size: it finishes, and records what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kfac.py"


def test_the_benchmark_records_every_method_at_a_tiny_size(tmp_path: Path) -> None:
    sizes = [
        "--updates",
        "3",
        "--tuning",
        "2",
        "--look",
        "1",
        "--batch",
        "20",
        "--images",
        "40",
        "--widths",
        "784",
        "6",
        "3",
        "--threads",
        "1",
    ]
    command = [sys.executable, str(SCRIPT), *sizes, "--record", str(tmp_path / "record.json")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    rows = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))["rows"]
    methods = [row["method"] for row in rows]
    assert methods == ["SGD with momentum", "K-FAC, clipped", "K-FAC, fitted", "PRONG"]
    assert all(method in result.stdout for method in methods)
    assert rows[0]["has_reached"]
