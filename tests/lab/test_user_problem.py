"""A user's own file: what it may say, and one clear sentence for whatever is wrong with it."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from thalweg.errors import ProblemError
from thalweg.lab.user_problem import load_user_problem, source_of

ROOT = Path(__file__).parents[2]

SOUND = """
import torch
from torch import nn
from thalweg.lab.problem import Problem

X = torch.linspace(-1, 1, 20).unsqueeze(1)

def make(name, **changes):
    settings = dict(
        model=lambda: nn.Linear(1, 1), loss=lambda m, b: ((m(b[0]) - 1) ** 2).mean(), train=(X,), test=(X,),
        batch_size=5, steps=3,
    )
    return Problem(name=name, **(settings | changes))
"""


@pytest.fixture(autouse=True)
def _own_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def _write(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_works() -> None:
    (problem,) = load_user_problem(ROOT / "examples" / "my_problem.py")
    assert problem.name == "spirals"
    assert len(problem.training_set[0]) == 1000


def test_a_file_may_define_one_problem_or_several(tmp_path: Path) -> None:
    (one,) = load_user_problem(_write(tmp_path, SOUND + "problem = make('one')"))
    assert one.name == "one"
    several = load_user_problem(_write(tmp_path, SOUND + "problems = [make('one'), make('two')]"))
    assert [problem.name for problem in several] == ["one", "two"]


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_mine.py").write_text("steps = 11", encoding="utf-8")
    text = SOUND + "from neighbour_of_mine import steps\nproblem = make('one', steps=steps)"
    (problem,) = load_user_problem(_write(tmp_path, text))
    assert problem.steps == 11


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import torch\n\nx = 1 +\n", "`mine.py` cannot be imported: SyntaxError: invalid syntax (line 3)"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module' (line 1)"),
        (
            "def f():\n    return 1 / 0\nf()",
            "cannot be imported: ZeroDivisionError: division by zero (line 2)",
        ),
        (
            "import json\njson.loads('x')",
            "JSONDecodeError: Expecting value: line 1 column 1 (char 0) (line 2)",
        ),
        ("raise SystemExit(2)", "cannot be imported: SystemExit: 2 (line 1)"),
        (SOUND + "problem = make('one', steps=-1)", "cannot be imported: problem `one`: steps must be"),
        ("x = 1", "`mine.py` defines no `problem`; give it one: `problem = Problem(...)`"),
        (SOUND + "mine = make('one')", "`mine.py` defines no `problem`; rename `mine`"),
        (SOUND + "problem = make('a'); problems = []", "defines both `problem` and `problems`; keep one"),
        ("problems = []", "`problems` in `mine.py` must be a list of at least one Problem, but is []"),
        ("problem = 3", "a problem in `mine.py` must be a Problem, but is an int"),
        (SOUND + "problems = [make('a'), make]", "must be a Problem, but is a function"),
        (SOUND + "problems = [make('a'), make('a')]", "two problems in `mine.py` have the same name"),
        (SOUND + "problem = make('a', model=dict)", "`mine.py`: problem `a`: model() must return"),
        (
            SOUND + "problem = make('a', loss=lambda m, b: m(b[0]))",
            "must return a scalar, but returned a tensor",
        ),
        (
            SOUND + "problem = make('a', loss=lambda m, b: b[1])",
            "raised IndexError: tuple index out of range (line 14)",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProblemError, match=re.escape(message)) as caught:
        load_user_problem(_write(tmp_path, text))
    assert str(caught.value).startswith("`") or "`mine.py`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_users_own_exception_is_kept_as_the_cause(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        load_user_problem(_write(tmp_path, "1 / 0"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_file_that_failed_can_be_mended_and_loaded_again(tmp_path: Path) -> None:
    with pytest.raises(ProblemError):
        load_user_problem(_write(tmp_path, "1 / 0"))
    (problem,) = load_user_problem(_write(tmp_path, SOUND + "problem = make('mended_now')"))
    assert problem.name == "mended_now"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=re.escape("there is no file `no/such.py`")):
        load_user_problem("no/such.py")
    with pytest.raises(ProblemError, match="there is no file"):
        load_user_problem(tmp_path)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("problem = 1", encoding="utf-8")
    with pytest.raises(ProblemError, match=r"is not a Python file; its name must end in \.py"):
        load_user_problem(path)


def _git(folder: Path, *arguments: str) -> str:
    names = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org", "-c", "commit.gpgsign=false"]
    run = subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return run.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    _git(tmp_path, "init")
    (tmp_path / ".gitignore").write_text("ignored.py\n", encoding="utf-8")
    _write(tmp_path, "x = 1")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-m", "One")
    return tmp_path


def test_the_source_is_the_files_checksum_and_its_repositorys_commit(repository: Path) -> None:
    assert source_of(repository / "mine.py") == {
        "file": "mine.py",
        "sha256": hashlib.sha256(b"x = 1").hexdigest(),
        "commit": _git(repository, "rev-parse", "HEAD"),
        "dirty": False,
    }


def test_a_repository_with_changes_is_dirty(repository: Path) -> None:
    _write(repository, "x = 2")
    assert source_of(repository / "mine.py")["dirty"] is True


@pytest.mark.parametrize("name", ["new.py", "ignored.py"])
def test_a_file_that_git_does_not_track_is_dirty(repository: Path, name: str) -> None:
    (repository / name).write_text("x = 1", encoding="utf-8")
    assert source_of(repository / name)["dirty"] is True


def test_another_repository_in_the_environment_is_not_asked(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = _git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert source_of(repository / "mine.py")["commit"] == commit


def test_outside_a_repository_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path, "x = 1")
    source = source_of(path)
    assert source["commit"] is None
    assert source["dirty"] is None
    assert source["sha256"] == hashlib.sha256(b"x = 1").hexdigest()
    monkeypatch.setenv("PATH", "")
    assert source_of(ROOT / "README.md")["commit"] is None
