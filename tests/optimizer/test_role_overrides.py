"""Roles that are guessed, roles that are given, and patterns of names."""

from __future__ import annotations

import re
from typing import Any

import pytest
from torch import nn

from networks import MLP, TinyGPT
from thalweg import doubts, roles
from thalweg.errors import ParameterError, UnknownNameError
from thalweg.optimizer.roles import ROLES, Role, match, matching


def test_a_guess_is_taken_for_a_hidden_layer_and_said_to_be_one() -> None:
    model = MLP(8, 4, 4, 8)
    assert roles(model)["fc3.weight"] == "matrix"
    assert doubts(model)["fc3.weight"] == (
        "`fc3.weight` may be matrix or head (it is the last that was registered); "
        "say which, as overrides={'fc3.weight': 'head'}"
    )
    two_ended = nn.ModuleDict({"policy_head": nn.Linear(8, 3), "value": nn.Linear(8, 1)})
    assert doubts(two_ended)["value.weight"] == (
        "`value.weight` may be matrix or head (no layer takes as many features as it gives); "
        "say which, as overrides={'value.weight': 'head'}"
    )
    settled: dict[str, Role] = {"fc3.weight": "head"}
    assert roles(model, overrides=settled)["fc3.weight"] == "head"
    assert doubts(model, overrides=settled) == {}


def test_a_weight_that_hidden_layers_share_is_a_matrix_and_one_that_a_head_shares_is_a_guess() -> None:
    model = MLP(4, 4, 4, 4)
    model.fc2.weight = model.fc1.weight
    assert roles(model)["fc1.weight"] == "matrix"
    assert "fc1.weight" not in doubts(model)
    model.fc3.weight = model.fc1.weight
    assert roles(model)["fc1.weight"] == "matrix"
    assert doubts(model)["fc1.weight"].startswith("`fc3.weight` may be matrix or head")
    inner, head = nn.Linear(8, 8), nn.Linear(8, 8, bias=False)
    head.weight = inner.weight
    shared = nn.ModuleDict({"inner": inner, "lm_head": head})
    assert roles(shared)["inner.weight"] == "matrix"
    assert doubts(shared)["inner.weight"] == (
        "`inner.weight` may be matrix or head (it is also `lm_head.weight`, a head); "
        "say which, as overrides={'inner.weight': 'head'}"
    )
    assert roles(shared, overrides={"lm_head.weight": "head"})["inner.weight"] == "head"
    assert doubts(shared, overrides={"lm_head.weight": "head"}) == {}


def test_an_override_holds_for_all_that_its_pattern_matches_and_a_later_one_before_an_earlier() -> None:
    model = TinyGPT(tied=True)
    found = roles(model, overrides={"transformer.h.*": "vector", "*.up.weight": "matrix", "lm_head.weight": "head"})
    assert found["transformer.h.1.attn.c_attn.weight"] == "vector"
    assert found["transformer.h.1.up.weight"] == "matrix"
    assert found["transformer.wte.weight"] == "head"  # by its other name
    assert found["transformer.wpe.weight"] == "embedding"


def test_a_pattern_is_a_shell_pattern_of_the_whole_name() -> None:
    names = ["layers.0.weight", "layers.10.attention.weight", "layers.0.bias", "head.weight"]
    assert [name for name in names if match("layers.*.weight", name)] == names[:2]
    assert matching("layers.?.*", names) == ["layers.0.weight", "layers.0.bias"]
    assert not match("weight", "head.weight")
    assert not match("HEAD.weight", "head.weight")


def test_a_pattern_that_matches_nothing_is_an_error_that_names_the_nearest() -> None:
    model = TinyGPT(tied=False)
    with pytest.raises(UnknownNameError, match=re.escape("`transformer.h.*.upp.weight` matches no parameter; did you")):
        roles(model, overrides={"transformer.h.*.upp.weight": "matrix"})
    with pytest.raises(UnknownNameError, match=r"did you mean `layers\.\*\.weight`\?"):
        matching("layer.*.weights", [f"layers.{i}.weight" for i in range(100)])
    with pytest.raises(UnknownNameError, match=r"`x` matches no parameter; known are: fc1\.bias, fc1\.weight, fc2"):
        doubts(MLP(4, 3, 2, 1), overrides={"x": "matrix"})


def test_an_unknown_role_is_an_error_that_names_the_nearest() -> None:
    wrong: Any = {"fc1.weight": "matrx"}
    with pytest.raises(UnknownNameError, match=r"overrides: `fc1.weight` is to be 'matrx'; did you mean `matrix`\?"):
        roles(MLP(4, 3, 2, 1), overrides=wrong)
    assert set(ROLES) == {"embedding", "head", "norm", "bias", "matrix", "convolution", "vector"}


def test_roles_of_what_is_no_module_are_an_error() -> None:
    wrong: Any = list(MLP(4, 3, 2, 1).parameters())
    with pytest.raises(ParameterError, match="roles are read off a module, and this is list; pass the model itself"):
        roles(wrong)
    assert roles(nn.ReLU()) == {}
