"""A problem says at once what is wrong with it, and is checked by one step before it is raced."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thalweg.errors import ProblemError
from thalweg.lab.evaluation import evaluate
from thalweg.lab.problem import Batch, Problem
from thalweg.lab.problem_check import check

X = torch.linspace(-1, 1, 40).unsqueeze(1)


def squares(model: nn.Module, batch: Batch) -> Tensor:
    inputs, targets = batch
    return F.mse_loss(model(inputs), targets)


def line(**changes: Any) -> Problem:
    """A problem with nothing wrong but `changes`."""
    whole: dict[str, Any] = {
        "name": "line",
        "model": lambda: nn.Linear(1, 1),
        "loss": squares,
        "train": (X, 2 * X),
        "test": (X, 2 * X),
        "batch_size": 8,
        "steps": 5,
    }
    return Problem(**(whole | changes))


def test_a_sound_problem_passes() -> None:
    check(line())


def test_the_title_is_the_name_unless_given() -> None:
    assert line().title == "line"
    assert line(title="A line").title == "A line"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "a problem's name is letters, digits, `_`, `-` and `.`; '' is not"),
        ({"name": "a b"}, "'a b' is not"),
        ({"name": 3}, "3 is not"),
        (
            {"model": 5},
            "problem `line`: model must be a function, but is an int",
        ),
        ({"loss": None}, "problem `line`: loss must be a function, but is None"),
        ({"metrics": {"error": 1.0}}, "problem `line`: error must be a function, but is a float"),
        ({"metrics": {"test_loss": squares}}, "a metric cannot be called `test_loss`"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, but is 0"),
        ({"steps": 2.5}, "steps must be a whole number of at least 1, but is 2.5"),
        ({"data_order": "sorted"}, "data_order must be 'reshuffled' or 'fixed', but is 'sorted'"),
        ({"target": float("nan")}, "target must be a finite loss, but is nan"),
        ({"rates": {"adam": (1.0, 0.1)}}, "rates['adam'] must be a range 0 < low ≤ high, but is (1.0, 0.1)"),
    ],
)
def test_a_wrong_field_is_named_when_the_problem_is_made(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError, match=re.escape(message)):
        line(**changes)


class Constant(nn.Module):
    """Has a parameter, and makes nothing of it."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


THE_MODEL = nn.Linear(1, 1)
SHIFTS = iter(range(1000))


def _shifting() -> nn.Module:
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, next(SHIFTS))
    return model


def _absent() -> Batch:
    raise FileNotFoundError("no such file: points.csv\nand more")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": X}, "train must be a tuple of tensors, or return one, but is a Tensor"),
        ({"test": lambda: None}, "test must be a tuple of tensors, or return one, but is None"),
        ({"train": ()}, "train needs equally many examples in all arrays, one at least, but has 0"),
        ({"train": (X, X[1:])}, "in all arrays, one at least, but has 40, 39"),
        ({"train": (X[:0], X[:0])}, "but has 0, 0"),
        ({"batch_size": 41}, "its 40 training examples do not fill one batch of 41; give it more"),
        ({"train": _absent}, "loading its data raised FileNotFoundError: no such file: points.csv"),
        ({"model": lambda: None}, "model() must return a torch.nn.Module, but returned None"),
        ({"model": lambda: THE_MODEL}, "model() returned the same model twice; let it build a new one"),
        ({"model": nn.ReLU}, "its model has no parameter to train"),
        ({"model": _shifting}, "two models of one seed start with different `weight`"),
        (
            {"model": lambda: nn.Linear(2, 1)},
            "its loss on the first batch raised RuntimeError: mat1 and mat2",
        ),
        ({"loss": lambda _model, _batch: 3.0}, "its loss must return a tensor, but returned a float"),
        ({"loss": lambda m, b: m(b[0])}, "a scalar, but returned a tensor of shape (8, 1)"),
        ({"loss": lambda m, b: squares(m, b) * torch.nan}, "its loss starts at nan on the first batch"),
        ({"loss": lambda m, b: squares(m, b).detach()}, "its loss does not depend on the parameters"),
        ({"model": Constant}, "its loss does not depend on the parameters"),
        ({"loss": lambda m, b: (m(b[0]) * 0).abs().sqrt().mean()}, "the gradient of its loss is not finite"),
        ({"test": (X, X * torch.inf)}, "its loss on the test set starts at inf"),
        ({"metrics": {"wrong": lambda m, b: m(b)}}, "its evaluation on the test set raised TypeError: "),
    ],
)
def test_what_would_fail_in_a_race_is_told_before_it(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError, match=re.escape(message)) as caught:
        check(line(**changes))
    assert str(caught.value).startswith("problem `line`: ")
    assert "\n" not in str(caught.value)


def test_data_is_loaded_once_and_only_when_asked_for() -> None:
    loads: list[int] = []

    def load() -> Batch:
        loads.append(1)
        return X, 2 * X

    problem = line(train=load)
    assert loads == []
    assert problem.training_set is problem.training_set
    assert loads == [1]


def test_building_a_model_leaves_torchs_random_state_alone() -> None:
    before = torch.get_rng_state()
    line().build_model(7)
    assert torch.equal(before, torch.get_rng_state())


def test_evaluation_is_in_evaluation_mode_and_leaves_each_module_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(1, 64), nn.Dropout(0.5), nn.Linear(64, 1))
    model[2].eval()
    problem = line()
    assert evaluate(problem, model) == evaluate(problem, model)  # dropout would make them differ
    assert [module.training for module in model.modules()] == [True, True, True, False]


def test_evaluation_weighs_a_last_small_chunk_by_its_size() -> None:
    inputs = torch.cat([torch.zeros(1000, 1), torch.ones(1, 1)])
    problem = line(test=(inputs, inputs), metrics={"mean": lambda _model, batch: batch[0].mean()})
    assert evaluate(problem, problem.build_model(0))["mean"] == pytest.approx(1 / 1001)


def test_the_spec_is_plain_json() -> None:
    spec = line(target=0.5, rates={"adam": (1e-4, 1e-1)}, provenance=lambda: "made up").spec()
    assert json.loads(json.dumps(spec)) == spec
    assert spec["provenance"] == "made up"
    assert (spec["n_train"], spec["parameters"], spec["rates"]) == (40, 2, {"adam": [1e-4, 1e-1]})
