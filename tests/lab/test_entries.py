from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from thalweg import surfaces
from thalweg.errors import ProblemError, RaceError, UnknownNameError
from thalweg.lab import problems
from thalweg.lab.entries import (
    DEFAULT_PROBLEMS,
    SurfaceReference,
    TrainingReference,
    problem_of,
    resolve,
    surface_of,
)

if TYPE_CHECKING:
    from pathlib import Path

LINES = """
import torch
from torch import nn
from thalweg.lab.problem import Problem

x = torch.linspace(-1, 1, 8).unsqueeze(1)

def line(name):
    return Problem(
        name=name, model=lambda: nn.Linear(1, 1), loss=lambda m, b: nn.functional.mse_loss(m(b[0]), b[1]),
        train=(x, x), test=(x, x), batch_size=4, steps=3,
    )

problems = [line("one"), line("two")]
"""


def test_a_surface_with_two_starts_is_two_problems() -> None:
    assert [reference.name for reference in resolve(["beale"])] == ["beale (2, -2)", "beale (-3, 3)"]


def test_a_surface_with_one_start_keeps_its_name() -> None:
    (reference,) = resolve(["rosenbrock"])
    assert reference == SurfaceReference("rosenbrock", (-1.2, 1.0), "rosenbrock")
    assert surface_of(reference) == surfaces.get("rosenbrock")


def test_a_start_of_ones_own_is_part_of_the_name() -> None:
    (reference,) = resolve(["beale"], start=(1.0, 0.25))
    assert reference == SurfaceReference("beale", (1.0, 0.25), "beale (1, 0.25)")


def test_the_default_race_is_six_surface_problems_and_more_and_two_networks() -> None:
    references = resolve(DEFAULT_PROBLEMS)
    assert {r.surface for r in references if isinstance(r, SurfaceReference)} == set(DEFAULT_PROBLEMS[:5])
    assert [r.name for r in references if isinstance(r, TrainingReference)] == ["mnist_softmax", "mnist_mlp"]


def test_a_training_problem_is_found_by_its_name() -> None:
    (reference,) = resolve(["quadratic_deep"])
    assert isinstance(reference, TrainingReference)
    assert problem_of(reference).title == problems.get("quadratic_deep").title


def test_a_file_of_the_users_own_gives_all_its_problems(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(LINES)
    one, two = resolve([str(file)])
    assert (one.name, two.name) == ("one", "two")
    assert isinstance(two, TrainingReference)
    assert problem_of(two).steps == 3


def test_an_unknown_problem_is_told_what_it_might_have_been() -> None:
    with pytest.raises(
        UnknownNameError, match="there is no surface or training problem `bealle`; did you mean `beale`"
    ):
        resolve(["bealle"])


def test_a_missing_file_says_so() -> None:
    with pytest.raises(ProblemError, match=r"there is no file `nowhere.py`"):
        resolve(["nowhere.py"])


def test_the_same_problem_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(LINES)
    (tmp_path / "b.py").write_text(LINES)
    with pytest.raises(RaceError, match=r"`(one|two)` is asked for twice"):
        resolve([str(tmp_path / "a.py"), str(tmp_path / "b.py")])


def test_a_start_without_a_surface_is_refused() -> None:
    with pytest.raises(RaceError, match="a start belongs to a surface, and none of quadratic_deep is one"):
        resolve(["quadratic_deep"], start=(1.0, 2.0))


def test_a_start_with_too_many_coordinates_is_refused() -> None:
    with pytest.raises(RaceError, match=r"the start \(1, 2, 3\) has 3 coordinates, and `beale` needs 2"):
        resolve(["beale"], start=(1.0, 2.0, 3.0))
