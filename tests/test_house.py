"""The house is in order: pins, licence, what the wheel carries, what `import thalweg` costs."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import thalweg

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): number for name, number in pairs}


def closure() -> set[str]:
    """Everything that development needs here, directly or not, the tools that build the package included."""
    extras = PROJECT["project"]["optional-dependencies"]
    named = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"], "editables"]
    named += [line for extra in extras.values() for line in extra]
    todo = [requirement for requirement in map(Requirement, named) if requirement.name != "thalweg"]
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement = todo.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key in seen:
                continue
            seen.add(key)
            further = map(Requirement, requires(requirement.name) or [])
            todo += [needed for needed in further if not needed.marker or needed.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen}


def test_every_tool_and_library_is_pinned() -> None:
    assert closure() - pins().keys() == set()


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="not the environment that make sets up")
def test_what_is_installed_is_what_is_pinned() -> None:
    strangers: dict[str, str] = {}
    for name, pinned in pins().items():
        try:
            installed = version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
        if installed != pinned:
            strangers[name] = f"{installed} instead of {pinned}"
    assert not strangers


def test_every_library_that_is_imported_is_asked_for() -> None:
    distributions = packages_distributions()
    imported: dict[str, Path] = {}
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            imported |= {module.partition(".")[0]: file for module in modules}
    project = PROJECT["project"]
    asked = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    extras = [line for extra in ("gpu", "video") for line in project["optional-dependencies"][extra]]
    asked |= {canonicalize_name(Requirement(line).name) for line in extras}
    strangers = {
        name: file
        for name, file in imported.items()
        if name not in {*sys.stdlib_module_names, "thalweg"}
        and not asked & {canonicalize_name(found) for found in distributions.get(name, [])}
    }
    assert not strangers


def test_the_pins_name_no_build_of_pytorch() -> None:
    assert "+" not in pins()["torch"]


def test_the_licence_is_apache_2_to_the_letter() -> None:
    digest = hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest()
    # of LICENSE-2.0.txt as the Apache Software Foundation publishes it
    assert digest == "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_carries_every_file_of_the_package(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    expected = {
        file.relative_to(source).as_posix()
        for file in (source / "thalweg").rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    assert expected <= names
    assert "thalweg/py.typed" in names


def test_the_wheel_carries_the_licence_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if not name.startswith("thalweg")]


def test_the_wheel_stays_small(wheel: Path) -> None:
    # 2 MB of images are the most that it may carry, and the code is small beside them.
    assert wheel.stat().st_size < 3_000_000


def test_importing_thalweg_loads_no_compiler() -> None:
    command = "import sys, thalweg; print(*sorted({'numba', 'triton', 'llvmlite'} & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == ""


def test_every_public_name_is_there_and_documented() -> None:
    undocumented = [name for name in thalweg.__all__ if not (getattr(thalweg, name).__doc__ or "").strip()]
    assert not undocumented


def test_no_file_is_named_after_nothing() -> None:
    empty_words = re.compile(r"(utils?|helpers?|common|misc|base|managers?)\.py")
    assert not [file for file in (ROOT / "src").rglob("*.py") if empty_words.fullmatch(file.name)]


def test_every_module_says_what_it_answers_in_one_sentence() -> None:
    wordy = []
    for file in (ROOT / "src").rglob("*.py"):
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        if not re.match(r'r?""".+[.?!:]("""|$)', first):
            wordy.append(f"{file.relative_to(ROOT)}: {first}")
    assert not wordy
