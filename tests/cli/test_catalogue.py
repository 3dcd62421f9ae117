from __future__ import annotations

import pytest
from typer.testing import CliRunner

from thalweg import rules, surfaces
from thalweg.cli.app import app

run = CliRunner().invoke


def test_list_names_every_rule_and_every_surface() -> None:
    answer = run(app, ["list"])
    assert answer.exit_code == 0
    for name in (*rules.catalogue(), *surfaces.catalogue(), "mnist_softmax", "mnist_mlp", "quadratic_deep", "cosine"):
        assert name in answer.stdout


def test_list_of_one_shelf_leaves_the_others_out() -> None:
    answer = run(app, ["list", "surfaces"])
    assert "beale" in answer.stdout
    assert "adamw" not in answer.stdout


@pytest.mark.parametrize("name", rules.catalogue())
def test_explain_says_of_every_rule_what_a_user_asks(name: str) -> None:
    rule = rules.get(name)
    answer = run(app, ["explain", name], env={"COLUMNS": "200"})
    assert answer.exit_code == 0
    assert rule.title in answer.stdout
    assert rule.source in answer.stdout
    assert rule.notes["when"] in answer.stdout
    assert "p ← " in answer.stdout
    for hyper in rule.hyperparameters:
        assert hyper in answer.stdout


def test_explain_counts_the_bytes_that_a_step_of_adam_moves() -> None:
    answer = run(app, ["explain", "adam"], env={"COLUMNS": "200"})
    assert "28 bytes a parameter and step in float32: 4 reads, 3 writes" in answer.stdout
    assert "m, v (8 bytes a parameter in float32)" in answer.stdout


def test_explain_draws_the_formula_as_its_paper_prints_it() -> None:
    lines = run(app, ["explain", "heavy_ball"]).stdout.splitlines()
    drawn = [line.strip() for line in lines if "←" in line]
    assert drawn == ["v ← β⋅v - α⋅g", "p ← p + v"]
