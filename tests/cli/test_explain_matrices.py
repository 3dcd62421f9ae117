"""`thalweg explain` of methods that see a weight as a matrix, and of chains that treat parameters apart."""

from __future__ import annotations

import unicodedata

import pytest
import torch
from typer.testing import CliRunner

import thalweg as tw
from thalweg import matrix
from thalweg.chain import matrix_methods
from thalweg.cli import matrix_facts
from thalweg.cli.app import app
from thalweg.cli.treatments import treatments

MUON = "chain(clip(1.0), muon(only='matrix'), adam(skip='matrix'), decay(0.1, skip=('norm', 'bias')), step(0.02))"


def explained(*arguments: str, width: int = 200) -> str:
    answer = CliRunner().invoke(app, ["explain", *arguments], env={"COLUMNS": str(width)})
    assert answer.exit_code == 0, answer.output + str(answer.exception)
    return answer.stdout


def test_every_matrix_method_can_be_named() -> None:
    assert {name: method.rule for name, method in matrix_methods().items()} == matrix.catalogue()


@pytest.mark.parametrize("name", matrix_methods())
def test_explain_says_of_every_matrix_method_what_a_user_asks(name: str) -> None:
    rule = matrix.get(name)
    printed = " ".join(explained(name).split())
    for said in (rule.title, rule.doc, rule.source, rule.notes["when"], rule.notes["dialect"], "p ← p - α⋅D"):
        assert said in printed
    for line in rule.algorithm:
        assert " ".join(line.split()) in printed
    for hyper in rule.hyperparameters:
        assert f" {hyper} " in printed
    taken = "hidden weights" if "bias" not in rule.roles else "any parameter of at most 1024 elements (`largest`)"
    assert f"Takes {taken}" in printed
    assert ("torch.optim." if rule.translations else "Neither torch nor Keras has it.") in printed


@pytest.mark.parametrize("name", matrix_methods())
def test_what_is_printed_of_it_fits_a_terminal_of_80_columns(name: str) -> None:
    for line in explained(name, width=80).splitlines():
        assert sum(not unicodedata.combining(character) for character in line.rstrip()) <= 80


@pytest.mark.parametrize(
    "typed", ["full_matrix_adagrad()", "shampoo(graft='adam')", "soap(largest=20)", "muon()", "psgd_kron(momentum=0.9)"]
)
def test_the_states_that_are_told_are_those_that_an_optimizer_keeps(
    typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix_facts, "SIZES", ((32, 16),))
    stage = tw.chain(eval(typed, vars(tw).copy())).stages[0]  # noqa: S307  # what stands above
    told = matrix_facts.states_of(stage)  # pyright: ignore[reportArgumentType]  # a matrix method
    weight = torch.randn(32, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weight.grad = torch.ones(32, 16)
    optimizer = tw.Optimizer([weight], tw.chain(stage, tw.step(0.01)))
    optimizer.step()
    kept = {name.rpartition(".")[2]: value for name, value in optimizer.state[weight].items() if name != "step"}
    size = sum(state.nbytes for state in kept.values()) / weight.numel()
    count = f"{size:,.0f}" if size >= 100 else f"{size:.3g}"
    assert f"({count} bytes a parameter in float32)" in told
    for name, state in kept.items():
        assert f"{name} {' × '.join(map(str, state.shape)) or 'one number'}" in told


def test_a_typed_method_is_translated_with_its_settings() -> None:
    printed = " ".join(explained("chain(muon(momentum=0.9, adjust='match_rms_adamw'), step(0.01))").split())
    assert "torch.optim.Muon(lr=0.01, weight_decay=0.0, momentum=0.9, nesterov=True" in printed
    assert "ns_coefficients=(3.4445, -4.775, 2.0315), eps=1e-07, ns_steps=5, adjust_lr_fn='match_rms_adamw')" in printed
    assert "typed" in explained("muon(momentum=0.9, only='matrix')")


def test_parameters_that_a_chain_treats_apart_are_drawn_apart() -> None:
    printed = explained(MUON)
    matrices, spared, others = (printed.index(f"For {name}\n") for name in ("matrix", "norm, bias", "all others"))
    assert "G ← g⋅min" in printed[matrices:spared]
    assert "p ← p - α⋅(D + λ⋅p)" in printed[matrices:spared]
    assert "β₁" not in printed[matrices:spared]
    assert "λ⋅p" not in printed[spared:others]
    assert "p ← p - α⋅(d + λ⋅p)" in printed[others:]
    assert "State, matrix        of a weight of 1024 × 256: m 1024 × 256" in printed
    assert "State, all others    adam.m, v (8 bytes a parameter in float32)" in printed


def test_a_parameter_that_no_stage_is_for_is_said_to_be_refused() -> None:
    assert "Refused" in explained("chain(adam(only='matrix'), step(0.1))")
    assert "Refused" not in explained(MUON)
    chain = tw.chain(tw.lars(only="matrix"), tw.adam(skip="matrix"), tw.step(0.1))  # which do not compose with another
    assert [one.heading for one in treatments(chain)] == ["For matrix", "For all others"]
    assert "lars: LARS; adam: Adam" in explained(repr(chain))


def test_a_chain_may_treat_shapes_and_roles_apart() -> None:
    chain = tw.chain(tw.adafactor(skip="head"), tw.adamw(only="head"), tw.step(0.1))
    assert [one.heading for one in treatments(chain)] == [
        "For head, elements of matrices",
        "For head, elements of vectors",
        "For all others, elements of matrices",
        "For all others, elements of vectors",
    ]


def test_every_chain_of_a_route_is_drawn() -> None:
    printed = explained("route({'matrix': chain(muon(), step(0.02)), '*': chain(adam(), step(3e-4))})")
    to_matrices, to_others = printed.index("To matrix\n"), printed.index("To all others\n")
    assert to_matrices < printed.index("muon: Muon") < to_others < printed.index("adam: Adam")


@pytest.mark.parametrize("name", ["chain", "route", "step"])
def test_what_composes_is_explained_too(name: str) -> None:
    assert (getattr(tw, name).__doc__ or "").splitlines()[0] in explained(name)
