"""The program as a process: what it prints, what it answers, how quickly it helps."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import thalweg

if TYPE_CHECKING:
    from pathlib import Path


def thalweg_says(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "thalweg", *arguments], capture_output=True, text=True, check=False, cwd=cwd
    )


def test_help_names_the_commands_and_loads_neither_torch_nor_a_compiler() -> None:
    code = (
        "import sys; sys.argv = ['thalweg', '--help']\n"
        "from thalweg.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'numba', 'scipy', 'plotly', 'sqlalchemy', 'numpy') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("race", "list", "explain", "report"):
        assert command in answer.stdout
    assert answer.stdout.strip().endswith("[]")


def test_version_is_the_packages() -> None:
    assert thalweg_says("--version").stdout == f"thalweg {thalweg.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["explain", "adm"], 2, "thalweg: there is no rule `adm`; did you mean `adam`"),
        (["race", "beal"], 2, "thalweg: there is no surface or training problem `beal`; did you mean `beale`?"),
        (
            ["race", "beale", "--optimizers", "adm"],
            2,
            "thalweg: there is no optimizer `adm` to race; did you mean `adam`",
        ),
        (["race", "beale", "--start", "a,b"], 2, "the start 'a,b' is not a point; type it as in --start 2,-2"),
        (["race", "beale", "--start", "1,2,3"], 2, "has 3 coordinates, and `beale` needs 2"),
        (["race", "mnist_mlp", "--start", "1,2"], 2, "a start belongs to a surface"),
        (["race", "beale", "--trials", "0"], 2, "greater than or equal to 1"),
        (["race", "missing.py"], 1, "missing.py"),
        (["report", "missing.sqlite"], 1, "missing.sqlite"),
        (["rce"], 2, "No such command 'rce'"),
    ],
)
def test_wrong_input_gets_one_sentence_and_the_right_status(
    arguments: list[str], status: int, said: str, tmp_path: Path
) -> None:
    answer = thalweg_says(*arguments, cwd=tmp_path)
    assert said in " ".join(answer.stderr.replace("│", " ").split())
    assert "Traceback" not in answer.stderr
    assert answer.returncode == status


def test_a_problem_file_that_fails_to_import_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    answer = thalweg_says("race", "broken.py", cwd=tmp_path)
    assert answer.returncode == 1
    assert "no_such_module" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = thalweg_says("race", "booth", "--out", "file/out", cwd=tmp_path)
    assert answer.returncode == 2
    assert "cannot make the folder file/out" in answer.stderr


def test_a_small_race_ends_with_its_report_and_findings_and_goes_no_second_time(tmp_path: Path) -> None:
    arguments = ("race", "booth", "--optimizers", "gradient_descent,adam", "--trials", "3", "--seeds", "2")
    first = thalweg_says(*arguments, "--steps", "40", "--workers", "1", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "On the surfaces" in first.stdout
    assert "Report: thalweg-race/report.html" in first.stdout
    assert (tmp_path / "thalweg-race" / "report.html").stat().st_size > 100_000
    assert "booth: adam takes lr" in first.stderr

    again = thalweg_says(*arguments, "--steps", "40", "--workers", "1", cwd=tmp_path)
    assert again.returncode == 0
    assert "takes lr" not in again.stderr
    assert again.stdout == first.stdout

    drawn = thalweg_says("report", "thalweg-race/race.sqlite", "--out", "again.html", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "again.html").exists()


def test_an_interrupted_race_says_where_its_runs_are_and_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "thalweg", "race", "rosenbrock", "--optimizers", "adam,rmsprop"]
    command += ["--steps", "3000", "--workers", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    said = [process.stderr.readline()]  # how many runs there are
    said.append(process.stderr.readline())  # the first choice: some runs are in the store
    process.send_signal(signal.SIGINT)
    said += process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == 130
    assert re.search(r"thalweg: interrupted; \d+ of \d+ runs are in .*race\.sqlite: the same command goes on", said[-1])
    assert "Traceback" not in "".join(said)

    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "of them done before" in again.stderr
    assert "Report: thalweg-race/report.html" in again.stdout
