"""The face of a matrix method: stages, what it takes, what it refuses, and what its notes say."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg.matrix
from thalweg.errors import FormulaError, HyperparameterError, UnknownNameError
from thalweg.formula import Fraction  # noqa: TC001  # `matrix_rule` reads annotations
from thalweg.matrix import (
    Count,
    as_matrix,
    catalogue,
    full_matrix_adagrad,
    get,
    matrix_rule,
    muon,
    psgd_kron,
    shampoo,
    soap,
)

if TYPE_CHECKING:
    from thalweg.matrix import MatrixRule

every_rule = pytest.mark.parametrize("rule", catalogue().values(), ids=lambda rule: rule.name)


def test_a_stage_prints_as_it_is_typed() -> None:
    assert repr(muon()) == "muon()"
    assert repr(muon(0.9, polar="svd")) == "muon(0.9, polar='svd')"
    assert repr(shampoo(beta2=0.999, every=20, graft="adam")) == "shampoo(beta2=0.999, every=20, graft='adam')"
    assert eval(repr(soap(every=5, eps=1e-6))) == soap(every=5, eps=1e-6)  # noqa: S307  # what it says can be typed


def test_stages_are_equal_when_they_are_typed_alike() -> None:
    assert muon(0.9) == muon(momentum=0.9)
    assert muon(0.9) != muon(0.8)
    assert len({soap(), soap(), soap(every=3), shampoo()}) == 3


@every_rule
def test_rules_and_stages_can_be_copied_and_pickled(rule: MatrixRule) -> None:
    assert copy.deepcopy(rule) is rule
    assert pickle.loads(pickle.dumps(rule)) is rule  # noqa: S301  # our own bytes
    stage = rule()
    assert pickle.loads(pickle.dumps(stage)) == stage  # noqa: S301  # as above
    assert copy.deepcopy(stage) == stage
    assert repr(rule) == f"<matrix rule {rule.name}>"


def test_options_and_numbers_are_told_apart() -> None:
    stage = psgd_kron(momentum=0.5, rate=lambda step: 1 / step)
    assert stage.options == {"whiten": "gradient", "scale": None, "max_size": None}
    assert stage.numbers.keys() == {"rate", "momentum", "probability", "max_skew", "seed"}
    assert stage.values == stage.options | stage.numbers
    assert psgd_kron().options["momentum"] is None


def test_a_stage_can_be_given_other_values() -> None:
    assert muon(0.9).replace({"momentum": 0.8, "eps": 1e-7}) == muon(0.8)
    assert repr(muon(0.9).replace({"momentum": 0.8})) == "muon(0.8)"
    with pytest.raises(HyperparameterError, match=r"muon: `momentum` is 2\.0; it must lie in"):
        muon().replace({"momentum": 2.0})


@pytest.mark.parametrize(
    ("rule", "first", "typed", "message"),
    [
        (muon, (), {"momentun": 0.9}, r"muon\(\) has no hyper-parameter `momentun`; did you mean `momentum`"),
        (muon, (0.9, 0.1), {}, r"muon\(\) takes 1 positional argument, and got 2; name the others"),
        (muon, (0.9,), {"momentum": 0.8}, r"muon\(\) got `momentum` twice, by position and by name"),
        (muon, (), {"momentum": 1.0}, r"muon: `momentum` is 1.0; it must lie in \[0, 1\)"),
        (muon, (), {"steps": 100}, r"muon: `steps` is 100; it must lie in \[0, 100\)"),
        (muon, (), {"steps": 4.5}, r"muon: `steps` is 4.5; it must be a whole number"),
        (muon, (), {"polar": "qr"}, r"muon: `polar` is 'qr'; choose one of 'bfloat16', 'full', 'svd'"),
        (muon, (), {"nesterov": "yes"}, r"muon: `nesterov` is 'yes'; choose one of False, True"),
        (soap, (), {"every": 0}, r"soap: `every` is 0; it must lie in \[1, ∞\)"),
        (shampoo, (), {"graft": "lion"}, r"shampoo: `graft` is 'lion'; choose one of 'sgd', 'adagrad', 'adam'"),
        (psgd_kron, (), {"probability": 1.1}, r"psgd_kron: `probability` is 1.1; it must lie in \[0, 1\]"),
        (muon, (), {"polar": "svd", "steps": 3}, r"`steps` has no effect while `polar` is 'svd'; leave it out"),
        (shampoo, (), {"graft_eps": 1e-3}, r"`graft_eps` has no effect while `graft` is None; leave it out"),
        (shampoo, (), {"graft": "sgd", "graft_beta2": 0.9}, r"`graft_beta2` has no effect while `graft` is 'sgd'"),
        (psgd_kron, (), {"whiten": "momentum"}, r"`whiten` has no effect while `momentum` is None; leave it out"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(
    rule: MatrixRule, first: tuple[Any, ...], typed: dict[str, Any], message: str
) -> None:
    with pytest.raises(HyperparameterError, match=message):
        rule(*first, **typed)


def test_numbers_are_checked_at_each_step() -> None:
    stack = torch.ones(1, 2, 2)
    states = muon.begin(stack)
    with pytest.raises(HyperparameterError, match=r"`momentum` is 1\.5; it must lie in"):
        muon.direction(stack, states, {"momentum": 1.5}, 1)
    with pytest.raises(HyperparameterError, match="muon: `momentum` is a schedule; give its value at this step"):
        muon.direction(stack, states, {"momentum": lambda _: 0.9}, 1)
    with pytest.raises(HyperparameterError, match="has no hyper-parameter `beta`"):
        muon.begin(stack, {"beta": 0.9})
    assert torch.equal(states["m"], torch.zeros_like(stack))


def test_a_count_may_come_as_a_float() -> None:
    stack = torch.randn(1, 3, 3)
    plain = shampoo.direction(stack, shampoo.begin(stack), {"every": 3}, 1)
    assert torch.equal(shampoo.direction(stack, shampoo.begin(stack), {"every": 3.0}, 1), plain)


@every_rule
def test_every_default_has_its_source(rule: MatrixRule) -> None:
    assert rule.notes.keys() == {*rule.hyperparameters, "dialect", "when"}
    assert all(rule.notes.values())
    assert rule.doc
    assert rule.source
    assert rule.title
    assert rule.learning_rate
    assert len(rule.algorithm) >= 3
    assert not any(line != line.strip() or not line for line in rule.algorithm)


@every_rule
def test_every_default_lies_in_its_range(rule: MatrixRule) -> None:
    assert rule.check(rule().values) == rule().values


MATRICES = (muon, shampoo, soap, psgd_kron)


@pytest.mark.parametrize("rule", MATRICES, ids=lambda rule: rule.name)
def test_matrix_methods_take_hidden_weights_and_leave_the_rest(rule: MatrixRule) -> None:
    assert rule.takes((64, 32), "matrix")
    assert rule.takes((16, 3, 5, 5), "matrix")
    assert rule.takes((64, 32))
    assert not rule.takes((64,))
    assert not rule.takes(())
    assert not any(rule.takes((64, 32), role) for role in ("embedding", "head", "norm", "bias"))
    stage = rule()
    assert stage.refusal((64, 32), "matrix") == ""
    assert stage.refusal((64, 32), "embedding") == (
        f"{rule.name} takes a hidden weight, and the parameter is an embedding"
    )
    assert stage.refusal((64,), "matrix") == (
        f"{rule.name} takes tensors of two dimensions or more, and the parameter has shape (64,)"
    )
    assert stage.refusal((0, 3), "matrix") == f"{rule.name} takes no empty tensor, and the parameter has shape (0, 3)"


def test_full_matrix_adagrad_takes_every_role_up_to_a_size() -> None:
    for role in ("matrix", "embedding", "head", "norm", "bias"):
        assert full_matrix_adagrad.takes((30, 30), role)
        assert full_matrix_adagrad.takes((7,), role)
        assert not full_matrix_adagrad.takes((40, 30), role)
    assert full_matrix_adagrad.takes(())


def test_a_tensor_is_viewed_as_rows_of_filters() -> None:
    assert as_matrix((64, 32)) == (64, 32)
    assert as_matrix((16, 3, 5, 5)) == (16, 75)
    assert as_matrix((7,)) == (1, 7)
    assert as_matrix(()) == (1, 1)


def test_the_catalogue_is_found_by_name() -> None:
    assert get("soap") is soap
    assert set(catalogue()) <= set(thalweg.matrix.__all__)
    with pytest.raises(UnknownNameError, match="there is no matrix method `shampo`; did you mean `shampoo`"):
        get("shampo")


def test_a_method_of_ones_own_needs_one_function() -> None:
    def begin(blank: torch.Tensor, **_: Any) -> dict[str, torch.Tensor]:
        return {"m": blank.new_zeros(blank.shape)}

    def spectral_clip(G: Any, states: Any, t: Any, *, beta: Fraction = 0.5, every: Count = 2) -> Any:  # noqa: ANN401
        """Average."""
        assert isinstance(every, int)
        return states["m"].lerp_(G, 1 - beta).clone()

    made = matrix_rule(title="A test", source="here", algorithm="D ← m", begin=begin, beta="0.5, half")(spectral_clip)
    stage = made(beta=0.75)
    assert repr(stage) == "spectral_clip(beta=0.75)"
    assert made.whole == {"every"}
    stack = torch.ones(2, 3, 3)
    assert torch.equal(made.direction(stack, made.begin(stack), stage.numbers, 1), 0.25 * stack)
    with pytest.raises(FormulaError, match="has a note on `bta`, which it does not have; did you mean `beta`"):
        matrix_rule(title="A test", source="here", algorithm="", begin=begin, bta="0.5")(spectral_clip)
