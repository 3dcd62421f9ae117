"""The program: what it prints, what it answers, how quickly it helps; as a process where that is the point."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

import thalweg
from thalweg.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Answer(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def thalweg_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """What the program answers, run in this process: one of its own would import PyTorch each time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def say(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["thalweg", *arguments])
        _ = capsys.readouterr()
        try:
            main()
        except SystemExit as left:
            code = left.code or 0
        else:
            code = 0
        assert isinstance(code, int)
        return Answer(code, *capsys.readouterr())

    return say


def process(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "thalweg", *arguments]


def test_help_names_the_commands_and_loads_neither_torch_nor_a_compiler() -> None:
    code = (
        "import sys; sys.argv = ['thalweg', '--help']\n"
        "from thalweg.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'numba', 'scipy', 'plotly', 'sqlalchemy', 'numpy') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("race", "list", "explain", "report", "bench"):
        assert command in answer.stdout
    assert answer.stdout.strip().endswith("[]")


def test_races_help_says_how_much_it_runs(thalweg_says: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    from thalweg.lab.program import PROTOCOLS

    monkeypatch.setenv("COLUMNS", "300")
    said = thalweg_says("race", "--help").stdout
    surface, training = PROTOCOLS["surface"], PROTOCOLS["training"]
    assert f"tuned over: {surface.trials} on surfaces, {training.trials} in training." in said
    assert f"chosen setting is run: {surface.seeds}." in said
    assert surface.seeds == training.seeds
    assert f"is tried: {surface.tuning_seeds} on surfaces, {training.tuning_seeds} in training." in said
    assert f"one run: {surface.steps} on surfaces" in said


def test_version_is_the_packages() -> None:
    answer = subprocess.run(process("--version"), capture_output=True, text=True, check=True)
    assert answer.stdout == f"thalweg {thalweg.__version__}\n"


def test_what_is_wrong_is_told_by_a_process_on_stderr_and_in_its_status() -> None:
    answer = subprocess.run(process("explain", "adm"), capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("thalweg: there is no rule `adm`; did you mean `adam`")
    assert len(answer.stderr.splitlines()) == 1


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
        (["race", "beale", "--optimizers", "chain(adam()"], 2, "is not a chain ('(' was never closed)"),
        (["race", "beale", "--optimizers", "chain(adam(), step(cosine(lr)))"], 2, "cosine() missing 1 required"),
        (["race", "beale", "--optimizers", "chain(adam(), step(cosine(lr, steps=0)))"], 2, "`steps` is 0; it must be"),
        (["race", "beale", "--optimizers", "chain(adam(beta1=1), step(lr))"], 2, "`beta1` is 1; it must lie in [0, 1)"),
        (["race", "beale", "--optimizers", "chain(adam())"], 2, "gives a direction and no step follows"),
        (
            ["race", "booth", "--optimizers", "muon"],
            2,
            "`muon` cannot race on `booth`: a surface has one vector to step",
        ),
        (["bench", "muon"], 2, "`muon` sees a weight as a matrix"),
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
    arguments: list[str], status: int, said: str, thalweg_says: Callable[..., Answer]
) -> None:
    answer = thalweg_says(*arguments)
    assert said in " ".join(answer.stderr.replace("│", " ").split())
    assert answer.returncode == status


def test_a_problem_file_that_fails_to_import_is_told_in_one_sentence(
    tmp_path: Path, thalweg_says: Callable[..., Answer]
) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    answer = thalweg_says("race", "broken.py")
    assert answer.returncode == 1
    assert "no_such_module" in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, thalweg_says: Callable[..., Answer]) -> None:
    (tmp_path / "file").write_text("")
    answer = thalweg_says("race", "booth", "--out", "file/out")
    assert answer.returncode == 2
    assert "cannot make the folder file/out" in answer.stderr


def test_a_small_race_ends_with_its_report_and_findings_and_goes_no_second_time(
    tmp_path: Path, thalweg_says: Callable[..., Answer]
) -> None:
    arguments = ("race", "booth", "--optimizers", "gradient_descent,adam", "--trials", "3", "--seeds", "2")
    first = thalweg_says(*arguments, "--steps", "40", "--workers", "1")
    assert first.returncode == 0, first.stderr
    assert "On the surfaces" in first.stdout
    assert "Report: thalweg-race/report.html" in first.stdout
    assert (tmp_path / "thalweg-race" / "report.html").stat().st_size > 100_000
    assert "booth: adam takes lr" in first.stderr

    again = thalweg_says(*arguments, "--steps", "40", "--workers", "1")
    assert again.returncode == 0
    assert "takes lr" not in again.stderr
    assert again.stdout == first.stdout

    drawn = thalweg_says("report", "thalweg-race/race.sqlite", "--out", "again.html")
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "again.html").exists()


PAUSED = """
import time
from pathlib import Path
import torch
from thalweg.lab.problem import Problem

calls = 0

def loss(model, batch):
    global calls
    calls += 1
    if calls > 40 and not Path("go_on").exists():  # a run calls it some ten times
        print("paused", flush=True)
        time.sleep(600)
    return (model(batch[0]) - 1).square().mean()

X = torch.linspace(-1, 1, 20).unsqueeze(1)
problem = Problem(
    name="paused", model=lambda: torch.nn.Linear(1, 1), loss=loss, train=(X,), test=(X,), batch_size=5, steps=5,
)
"""


def test_an_interrupted_race_says_where_its_runs_are_and_goes_on(
    tmp_path: Path, thalweg_says: Callable[..., Answer]
) -> None:
    (tmp_path / "paused.py").write_text(PAUSED)
    arguments = ("race", "paused.py", "--optimizers", "adam,rmsprop", "--trials", "3", "--tuning-seeds", "1")
    arguments += ("--seeds", "1", "--workers", "1")
    race = subprocess.Popen(
        process(*arguments),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert race.stdout is not None
    assert race.stdout.readline() == "paused\n"
    race.send_signal(signal.SIGINT)
    _, said = race.communicate()
    assert race.returncode == 130
    assert "Traceback" not in said
    last = r"thalweg: interrupted; (\d+) of (\d+) runs are in .*race\.sqlite: the same command goes on from there"
    found = re.fullmatch(last, said.splitlines()[-1])
    assert found is not None, said
    assert 0 < int(found[1]) < int(found[2])

    (tmp_path / "go_on").touch()
    again = thalweg_says(*arguments)
    assert again.returncode == 0, again.stderr
    assert f"runs, {found[1]} of them done before" in again.stderr
    assert "Report: thalweg-race/report.html" in again.stdout
