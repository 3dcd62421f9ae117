from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from thalweg.lab.bench import bandwidth
from thalweg.lab.bench.bandwidth import Probe, cache_bytes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "cache_bytes", lambda _device: 2_048)
    monkeypatch.setattr(bandwidth, "LEAST_ARRAY", 4_096)


def describe(folder: Path, cpu: int, index: int, **facts: str) -> None:
    where = folder / f"cpu{cpu}" / "cache" / f"index{index}"
    where.mkdir(parents=True)
    for name, text in facts.items():
        (where / name).write_text(f"{text}\n")


def test_the_last_caches_count_each_once_however_many_processors_share_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cpu in range(4):
        describe(tmp_path, cpu, 0, level="1", size="48K", shared_cpu_list=str(cpu))
        describe(tmp_path, cpu, 3, level="3", size="32768K", shared_cpu_list="0-1" if cpu < 2 else "2-3")
    describe(tmp_path, 4, 3, level="3")  # says neither its size nor who shares it
    monkeypatch.setattr(bandwidth, "CACHES", tmp_path)
    assert cache_bytes("cpu") == 2 * 32 * 2**20


def test_where_the_system_does_not_say_a_likely_cache_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "CACHES", tmp_path / "nowhere")
    assert cache_bytes("cpu") == bandwidth.LIKELY_CACHE


@pytest.mark.usefixtures("small")
def test_the_arrays_are_four_times_the_cache_and_every_pattern_is_measured() -> None:
    record = Probe("cpu", rounds=3).record()
    assert record.array_bytes == 4 * 2_048
    assert [pattern.name for pattern in record.patterns] == ["copy", "scale", "triad", "update"]
    assert all(pattern.bytes_per_second.low > 0 for pattern in record.patterns)
    assert record.pattern in {pattern.name for pattern in record.patterns}


@pytest.mark.usefixtures("small")
def test_a_patterns_bytes_are_its_reads_and_writes() -> None:
    probe = Probe("cpu", rounds=1)
    moves = {"copy": 2, "scale": 2, "triad": 3, "update": 3}[probe.record().pattern]
    assert probe.speeds([1.0, 2.0]) == [moves * 8_192, moves * 4_096]


@pytest.mark.usefixtures("small")
def test_the_speed_is_that_of_the_turns_beside_the_rules_once_there_are_any() -> None:
    probe = Probe("cpu", rounds=3)
    before = probe.record()
    assert (
        before.bytes_per_second
        == {pattern.name: pattern for pattern in before.patterns}[before.pattern].bytes_per_second
    )
    (beside,) = probe.speeds([1.0])
    assert probe.record().bytes_per_second.median == beside


@pytest.mark.usefixtures("small")
def test_the_memory_is_held_within_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    class Little:
        available = 12_000

    monkeypatch.setattr(bandwidth.psutil, "virtual_memory", Little)
    assert Probe("cpu", rounds=1).record().array_bytes == 1_000
