"""`thalweg bench` as its user meets it: the table at every width, JSON and nothing else, mistakes in one sentence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from thalweg import rules
from thalweg.cli.app import app
from thalweg.cli.bench_table import print_bench
from thalweg.errors import RaceError
from thalweg.lab import bench as lab_bench
from thalweg.lab.bench import Bandwidth, BenchRecord, Opposed, Pattern, Row, Size, Skipped, bandwidth, spread

if TYPE_CHECKING:
    from pathlib import Path

run = CliRunner().invoke
QUICK = ("--sizes", "2x3,1x900", "--rounds", "2")


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "cache_bytes", lambda _device: 2_048)
    monkeypatch.setattr(bandwidth, "LEAST_ARRAY", 4_096)


def opposed(name: str, ratio: float) -> Opposed:
    spreads = spread([ratio * 0.95, ratio, ratio * 1.05])
    return Opposed(name=name, call=f"{name}()", seconds=spread([1.0]), ratio=spreads, rounds=(1.0,))


def record_of(
    names: tuple[str, ...], *opponents: str, busy: float = 0.0, skipped: tuple[Skipped, ...] = ()
) -> BenchRecord:
    def row(name: str, size: Size, seconds: float) -> Row:
        in_memory = size.elements > 1_000_000
        return Row(
            rule=name,
            title=name,
            chain=name,
            size=size,
            seconds=spread([seconds]),
            nanoseconds_per_parameter=seconds * 1e9 / size.elements,
            bytes_per_parameter=28,
            bytes_per_second=28 * size.elements / seconds,
            share_of_bandwidth=spread([0.94, 0.95, 1.01]) if in_memory else None,
            against=tuple(opposed(other, 0.0604 if "default" in other else 0.948) for other in opponents)
            if name == "adam"
            else (),
            rounds=(seconds, seconds),
        )

    fast = spread([6.1e10])
    return BenchRecord(
        created="2026-11-22T12:00:00+00:00",
        command="thalweg bench",
        machine={"cpu": "A Processor [of some kind]", "cores": 2, "threads": 2, "memory_gib": 23.4, "system": "Linux"},
        versions={"python": "3.11.7", "thalweg": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6"},
        device="cpu",
        threads=2,
        dtype="float32",
        busy_cores=busy,
        bandwidth=Bandwidth(
            bytes_per_second=fast,
            pattern="scale",
            formula="a ← s·a",
            array_bytes=2**27,
            cache_bytes=2**25,
            patterns=tuple(
                Pattern(name=n, formula="a ← s·a", bytes_per_second=fast) for n in ("copy", "scale", "triad")
            ),
        ),
        rows=tuple(row(name, size, seconds) for size, seconds in SIZES for name in names),
        skipped=skipped,
    )


SIZES = ((Size(150, (1_000,)), 4.71e-5), (Size(4, (5_000_000,)), 0.0111))
ALL_OPPONENTS = ("torch fused", "torch default", "optax")


def printed(
    record: BenchRecord, width: int, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
) -> list[str]:
    patch.setenv("COLUMNS", str(width))
    print_bench(record)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("width", [80, 120, 160])
@pytest.mark.parametrize("opponents", [(), ALL_OPPONENTS[:2], ALL_OPPONENTS])
def test_the_tables_fit_the_terminal_and_nothing_is_cut_off(
    width: int, opponents: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = printed(record_of(tuple(rules.catalogue()), *opponents), width, capsys, monkeypatch)
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    for name in rules.catalogue():
        assert sum(line.split()[:1] == [name] for line in lines) == 2
    assert sum("0.0604" in line for line in lines) == (2 if opponents else 0)


def test_spreads_are_shown_where_there_is_room(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = record_of(("adam", "heavy_ball_two_sequences"), "torch fused", "torch default")
    wide = "\n".join(printed(record, 120, capsys, monkeypatch))
    assert "0.948 (0.924–0.972)" in wide
    assert "95% (94–98%)" in wide
    narrow = "\n".join(printed(record, 80, capsys, monkeypatch))
    assert "(94–98%)" not in narrow


def test_the_table_says_what_was_measured(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(record_of(("adam", "qhm"), *ALL_OPPONENTS), 90, capsys, monkeypatch)
    text = "\n".join(lines)
    assert "A Processor [of some kind], 2 of 2 threads" in text
    assert "Python 3.11.7, thalweg 0.1.0, torch 2.13.0" in text
    assert "61.0 GB/s: torch's a ← s·a, in turns with the rules" in text
    assert "150 tensors of 1,000 float32" in text
    assert "4 tensors of 5,000,000 float32" in text
    small, large = (line.split() for line in lines if line.startswith("adam"))
    assert small == ["adam", "47.1", "µs", "0.314", "28", "0.948", "0.0604", "0.948"]
    assert large == ["adam", "11.1", "ms", "0.555", "28", "50.5", "95%", "0.948", "0.0604", "0.948"]
    assert [line.split()[-3:] for line in lines if line.startswith("qhm")] == [["–", "–", "–"]] * 2
    assert "Medians of 2 rounds" in text
    assert "busy" not in text


def test_what_spoils_a_measurement_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    skipped = (Skipped(rule="sam", why="it needs a [second] gradient"),)
    text = "\n".join(printed(record_of(("adam",), busy=1.34, skipped=skipped), 100, capsys, monkeypatch))
    assert "sam was left out: it needs a [second] gradient" in text
    assert "Other programs kept 1.3 processors busy" in text


@pytest.mark.usefixtures("small_machine")
def test_a_bench_prints_a_row_for_each_rule_and_writes_its_record(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    answer = run(app, ["bench", "adam", "lion", *QUICK, "--json", str(file)])
    assert answer.exit_code == 0, answer.output
    assert "2 tensors of 3 float32" in answer.stdout
    assert "1 tensor of 900 float32" in answer.stdout
    assert len(re.findall(r"^(?:adam|lion) +\S+ [µm]s", answer.stdout, re.MULTILINE)) == 4
    assert f"Record: {file}" in answer.stdout.replace("\n", "")
    assert "measuring the memory's speed, 0 of 4 done" in answer.stderr
    assert [row["rule"] for row in json.loads(file.read_text("utf-8"))["rows"]] == ["adam", "adam", "lion", "lion"]


def test_json_alone_is_on_stdout_where_it_is_asked_for() -> None:
    command = ["bench", "adam", "--sizes", "2x3", "--rounds", "1", "--against", "none", "--threads", "1", "--json", "-"]
    answer = subprocess.run(
        [sys.executable, "-m", "thalweg", *command], capture_output=True, text=True, encoding="utf-8", check=True
    )
    record = json.loads(answer.stdout)
    assert record["command"] == f"thalweg {' '.join(command)}"
    assert record["threads"] == 1
    assert record["rows"][0]["against"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["adm"], "there is no rule `adm`; did you mean `adam`"),
        (
            ["--sizes", "150"],
            "the size '150' is not a number of tensors and their shape; type it as in --sizes 150x1000",
        ),
        (["--dtype", "float23"], "there is no dtype `float23`; did you mean `float32`"),
        (["--device", "tpu"], "there is no device `tpu` to measure on; choose one of cpu, cuda"),
        (["--against", "jax"], "there is no opponent `jax`; known are: none, optax, torch"),
        (["--json", "missing/file.json"], "cannot write missing/file.json: it is a folder, or in none"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_measured(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure_nothing(*_: object, **_settings: object) -> None:
        pytest.fail("measured")

    monkeypatch.setattr(lab_bench, "run_bench", measure_nothing)
    answer = run(app, ["bench", *arguments])
    assert answer.exception is not None
    assert said in str(answer.exception)


def test_a_mistake_ends_with_the_status_of_a_wrong_command() -> None:
    command = [sys.executable, "-m", "thalweg", "bench", "--sizes", "1x2x"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stdout == ""


def test_a_bench_that_is_interrupted_ends_as_a_shell_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **_settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lab_bench, "run_bench", interrupt)
    answer = run(app, ["bench", "adam"])
    assert answer.exit_code == 130
    assert "thalweg: interrupted; nothing was written" in answer.stderr


@pytest.mark.usefixtures("small_machine")
def test_a_record_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **_settings: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.write_text", refuse)
    answer = run(app, ["bench", "adam", "--sizes", "1x2", "--rounds", "1", "--json", str(tmp_path / "bench.json")])
    assert isinstance(answer.exception, RaceError)
    assert "bench.json: Permission denied; choose another with --json" in str(answer.exception)


def test_help_comes_without_torch() -> None:
    code = (
        "import sys; sys.argv = ['thalweg', 'bench', '--help']\n"
        "from thalweg.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'numpy', 'jax') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--against" in answer.stdout
    assert answer.stdout.strip().endswith("[]")
