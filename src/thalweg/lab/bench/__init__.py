"""The machine's bench: how long each rule's step takes here, beside the memory, torch and optax."""

from thalweg.lab.bench.measure import Listener, Progress, run_bench
from thalweg.lab.bench.records import Bandwidth, BenchRecord, Opposed, Pattern, Row, Skipped, Spread, spread
from thalweg.lab.bench.settings import LARGE_MODEL, SMALL_MODEL, Bench, Size, read_sizes

__all__ = [
    "LARGE_MODEL",
    "SMALL_MODEL",
    "Bandwidth",
    "Bench",
    "BenchRecord",
    "Listener",
    "Opposed",
    "Pattern",
    "Progress",
    "Row",
    "Size",
    "Skipped",
    "Spread",
    "read_sizes",
    "run_bench",
    "spread",
]
