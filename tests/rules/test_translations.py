"""What a rule says of torch, of Keras and of papers is so: each translation is typed there and takes the same steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import thalweg as tw
from oracles import ORACLES
from oracles.gradients import START, gradients
from tolerances import TORCH, deviation
from translations import STEPS, Case, cases, constant, differing_defaults, falling, our_path, path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from thalweg.formula import Rule


def torch_path(case: Case, rate: Callable[[int], float]) -> list[Tensor]:
    """Where torch's optimizer goes, made as the translation says."""
    make = getattr(torch.optim, case.translation.name.removeprefix("torch.optim."))
    return path(
        lambda parameters: make(parameters, **case.values(0, rate(0)), foreach=False),
        lambda optimizer, k: optimizer.param_groups[0].update(case.values(k, rate(k))),
    )


@pytest.fixture
def numbers_kept_in_double_precision() -> Iterator[None]:
    """For NAdam and ASGD, which keep a tensor's own numbers in the default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


to_torch = pytest.mark.parametrize("case", cases("torch"), ids=str)
pytestmark = pytest.mark.usefixtures("numbers_kept_in_double_precision")


@to_torch
def test_torchs_optimizer_as_translated_takes_the_same_ten_steps(case: Case) -> None:
    assert deviation(our_path(case, constant), torch_path(case, constant)) < TORCH[torch.float64]


@pytest.mark.parametrize("case", [case for case in cases("torch") if case.rule.learning_rate], ids=str)
def test_it_also_does_so_while_the_rate_changes_unless_it_says_otherwise(case: Case) -> None:
    apart = deviation(our_path(case, falling), torch_path(case, falling))
    if case.translation.needs_constant_rate:
        assert apart > 1e-3
    else:
        assert apart < TORCH[torch.float64]


@to_torch
def test_every_number_of_a_translation_matters(case: Case) -> None:
    ours = our_path(case, constant)
    for name in case.settings.keys() - case.translation.fixed.keys():
        default = case.rule.hyperparameters[name].default
        if case.settings[name] == default:
            continue
        without = Case(case.rule, case.translation, case.settings | {name: default})
        assert deviation(ours, torch_path(without, constant)) > 1e-9, name


def test_every_optimizer_of_torch_that_the_catalogue_has_is_translated_to() -> None:
    named = {case.translation.name.removeprefix("torch.optim.") for case in cases("torch")}
    theirs = {name for name, kind in vars(torch.optim).items() if isinstance(kind, type)}
    without_twin = {"LBFGS", "Optimizer", "SparseAdam"}
    assert named | {"Muon"} == theirs - without_twin


@pytest.mark.parametrize("rule", [rule for rule in tw.rules.catalogue().values() if rule.translations], ids=repr)
def test_the_defaults_that_are_not_ours_are_said(rule: Rule) -> None:
    for name in {t.name for t in rule.translations if t.library == "torch"}:
        make = getattr(torch.optim, name.removeprefix("torch.optim."))
        said, there = differing_defaults(rule, make, name=name)
        assert said == there


def test_torchs_muon_as_translated_takes_the_same_ten_steps() -> None:
    rule = tw.muon().rule
    (translation,) = rule.translations
    settings = {"momentum": 0.8, "nesterov": False, "a": 3.0, "b": -4.0, "c": 1.5, "steps": 4, "eps": 0.03}
    settings |= {"adjust": "match_rms_adamw"}
    typed = translation.values({"lr": 0.02, **settings})
    said, there = differing_defaults(rule, torch.optim.Muon, name=translation.name)
    assert said == there
    ours, theirs = (torch.linspace(-1, 1, 12).sin().reshape(4, 3).requires_grad_() for _ in range(2))
    ours_by = tw.Optimizer([ours], tw.chain(tw.muon(**settings), tw.step(0.02)))
    theirs_by = torch.optim.Muon([theirs], **typed)
    for k in range(STEPS):
        for tensor, by in ((ours, ours_by), (theirs, theirs_by)):
            tensor.grad = (torch.arange(12.0) * (k + 1)).cos().reshape(4, 3)
            by.step()
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert translation.holds(tw.muon(**settings).values)
    assert not translation.holds(tw.muon(polar="svd").values)


PAPERS: list[tuple[str, str, dict[str, Any], tuple[str, str], Callable[[dict[str, float]], dict[str, float]]]] = [
    (
        "adamw", "Loshchilov and Hutter 2019", {"beta1": 0.7, "beta2": 0.95, "eps": 0.03, "weight_decay": 0.1},
        ("adamw", "paper"),
        lambda p: {"lr": p["α"], "weight_decay": p["λ"], "beta1": p["β1"], "beta2": p["β2"], "eps": p["ε"]},
    ),
    (
        "adan", "Xie et al. 2022", {"beta1": 0.9, "beta2": 0.7, "beta3": 0.95, "eps": 0.03, "weight_decay": 0.5},
        ("adan", "corrected"),
        lambda p: {
            "lr": p["η"], "beta1": p["β1"], "beta2": p["β2"], "beta3": p["β3"], "eps": p["ε"], "weight_decay": p["λ"],
        },
    ),
    (
        "nesterov_acceleration", "Nesterov 2004", {"kappa": 81.0}, ("nesterov_acceleration", "constant"),
        lambda p: {
            "lr": 1 / p["L"],
            "beta": (np.sqrt(p["L"]) - np.sqrt(p["μ"])) / (np.sqrt(p["L"]) + np.sqrt(p["μ"])),
        },
    ),
    (
        "delta_bar_delta", "Jacobs 1988", {"kappa": 0.1, "phi": 0.2, "theta": 0.6}, ("delta_bar_delta", "jacobs"),
        lambda p: {"lr": p["ε0"], "kappa": p["κ"] / p["ε0"], "phi": p["φ"], "theta": p["θ"]},
    ),
    (
        "yogi", "Zaheer et al. 2018", {"beta1": 0.7, "beta2": 0.95, "eps": 0.03, "v0": 0}, ("yogi", "paper"),
        lambda p: {"lr": p["η"], "beta1": p["β1"], "beta2": p["β2"], "eps": p["ε"], "v0": 0},
    ),
    (
        "rmsprop_momentum", "Graves 2013",
        {"beta": 0.8, "rho": 0.85, "eps": 0.03, "epsilon": "inside", "centred": True}, ("rmsprop_momentum", "graves"),
        lambda p: {"lr": p["gimel"], "momentum": p["beth"], "rho": p["aleph"], "eps": p["daleth"]},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "paper", "settings", "key", "letters"), PAPERS, ids=[case[0] for case in PAPERS])
def test_a_papers_own_numbers_give_its_own_steps(
    name: str,
    paper: str,
    settings: dict[str, Any],
    key: tuple[str, str],
    letters: Callable[[dict[str, float]], dict[str, float]],
) -> None:
    rule = tw.rules.get(name)
    (translation,) = [t for t in rule.translations if t.name == paper]
    case = Case(rule, translation, settings)
    assert translation.holds(rule(**settings).values)
    oracle = ORACLES[key](START, **letters(case.values()))
    expected = [torch.from_numpy(oracle.step(g)) for g in gradients(STEPS)]
    vectors = [arrived for arrived in our_path(case, constant) if arrived.ndim == 1]
    assert deviation(vectors, expected) < TORCH[torch.float64]
