"""How a user's own Python file becomes problems to race."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from thalweg.errors import ProblemError, ThalwegError
from thalweg.lab.problem import Problem, describe
from thalweg.lab.problem_check import check, tell

if TYPE_CHECKING:
    from types import ModuleType

SECONDS_FOR_GIT = 20


class Source(TypedDict):
    """Which code a problem was: enough to tell later whether it is still the same."""

    file: str
    sha256: str
    commit: str | None
    dirty: bool | None


def load_user_problem(path: str | Path) -> tuple[Problem, ...]:
    """The problems that a Python file defines as `problem`, or as `problems`, each checked by one step.

    The file is run as `python FILE` would run it, but for `__name__`: its folder is where its imports are
    looked for first. Whatever is wrong with it is a ProblemError of one sentence that names the file.
    """
    file = Path(path)
    if not file.is_file():
        raise ProblemError(f"there is no file `{path}`")
    if file.suffix != ".py":
        raise ProblemError(f"`{path}` is not a Python file; its name must end in .py")
    problems = _find_problems(_import_file(file.resolve()), file)
    for problem in problems:
        try:
            check(problem, file=file.resolve())
        except ThalwegError as error:
            raise ProblemError(f"`{file.name}`: {error}") from error
    return problems


def source_of(path: str | Path) -> Source:
    """The state of a user's file for the records: its SHA-256, its repository's commit, and changes since.

    Commit and dirty are None outside a git repository, or without git. A file that git does not track makes
    its repository dirty.
    """
    file = Path(path).resolve()
    commit = _ask_git(file, "rev-parse", "HEAD")
    changes = _ask_git(file, "status", "--porcelain")
    tracked = _ask_git(file, "ls-files", "--", file.name)
    known = commit is not None and changes is not None
    return {
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "commit": commit if known else None,
        "dirty": bool(changes) or not tracked if known else None,
    }


def _import_file(file: Path) -> ModuleType:
    name = f"thalweg_user_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ProblemError(f"`{file.name}` cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ProblemError(f"`{file.name}` cannot be imported: {_tell_import(error, file)}") from error
    return module


def _tell_import(error: Exception | SystemExit, file: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f"{type(error).__name__}: {error.msg} (line {error.lineno})"
    return tell(error, file=file)


def _find_problems(module: ModuleType, file: Path) -> tuple[Problem, ...]:
    names = vars(module)
    if "problem" in names and "problems" in names:
        raise ProblemError(f"`{file.name}` defines both `problem` and `problems`; keep one of them")
    if "problem" not in names and "problems" not in names:
        others = [name for name, value in names.items() if isinstance(value, Problem)]
        hint = f"rename `{others[0]}`" if others else "give it one: `problem = Problem(...)`"
        raise ProblemError(f"`{file.name}` defines no `problem`; {hint}")
    found: object = names.get("problem", names.get("problems"))
    if "problem" in names:
        found = [found]
    if not isinstance(found, list | tuple) or not found:
        raise ProblemError(f"`problems` in `{file.name}` must be a list of at least one Problem, but is {found!r:.60}")
    problems = cast("tuple[Problem, ...]", tuple(found))
    for problem in problems:
        if not isinstance(problem, Problem):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ProblemError(f"a problem in `{file.name}` must be a Problem, but is {describe(problem)}")
    if len({problem.name for problem in problems}) < len(problems):
        raise ProblemError(f"two problems in `{file.name}` have the same name; give each its own")
    return problems


def _ask_git(file: Path, *question: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    # the repository is the file's, even where git itself runs us and names its own
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(  # noqa: S603  git itself, with arguments of ours
            [git, "-C", str(file.parent), *question],
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS_FOR_GIT,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
