"""Matrix methods in the grammar: how they print, compare, and divide a chain."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

import thalweg as tw
from thalweg.errors import ChainError, HyperparameterError
from thalweg.matrix import muon

STAGES = [
    (tw.muon(), "muon()"),
    (tw.muon(0.9), "muon(0.9)"),
    (tw.muon(momentum=0.9, only="matrix"), "muon(momentum=0.9, only='matrix')"),
    (tw.soap(every=5, skip=("norm", "bias")), "soap(every=5, skip=('norm', 'bias'))"),
    (tw.psgd_kron(only=["fc*"]), "psgd_kron(only='fc*')"),
]


@pytest.mark.parametrize(("stage", "text"), STAGES, ids=[text for _, text in STAGES])
def test_a_stage_prints_as_it_is_typed_and_compares_by_what_it_says(stage: tw.Chain, text: str) -> None:
    assert repr(stage) == text
    assert eval(text, vars(tw)) == stage  # noqa: S307  # what it prints is what was typed
    assert copy.deepcopy(stage) == stage
    assert pickle.loads(pickle.dumps(stage)) == stage  # noqa: S301


def test_stages_for_other_parameters_or_with_other_numbers_are_not_equal() -> None:
    assert len({tw.muon(), tw.muon(0.9), tw.muon(only="matrix"), tw.muon(skip="matrix"), tw.soap()}) == 5


def test_the_form_of_a_chain_leaves_its_numbers_out() -> None:
    chain = tw.chain(tw.clip(0.5), tw.muon(0.9, polar="svd", only="matrix"), tw.adam(skip="matrix"), tw.step(0.1))
    assert chain.form == "chain(clip(), muon(polar='svd', only='matrix'), adam(skip='matrix'), step())"
    assert chain.selects == ("matrix",)


def test_a_method_of_the_matrix_room_is_taken_as_it_is() -> None:
    assert tw.chain(muon(0.9), tw.step(0.1)) == tw.chain(tw.muon(0.9), tw.step(0.1))


@pytest.mark.parametrize("thing", [tw.muon, muon], ids=["ours", "the room's"])
def test_a_method_that_is_not_called_is_no_stage(thing: object) -> None:
    with pytest.raises(ChainError, match=r"chain stage 1: <matrix .*muon> is no stage; write `muon\(\)`"):
        tw.chain(thing, tw.step(0.1))  # pyright: ignore[reportArgumentType]


def test_what_is_no_stage_at_all_is_refused() -> None:
    with pytest.raises(ChainError, match=r"chain stage 2: 0\.1 is no stage"):
        tw.chain(tw.muon(), 0.1)  # pyright: ignore[reportArgumentType]


def test_numbers_have_their_own_names_where_they_are_free() -> None:
    chain = tw.chain(tw.muon(), tw.adam(), tw.step(0.1))
    numbers = chain.numbers(*chain.traces())
    assert {"momentum", "a", "b", "c", "muon.steps", "muon.eps", "adam.eps", "beta1", "beta2", "lr"} == set(numbers)
    changed = chain.replace({"muon.steps": 3, "lr": 0.2}, *chain.traces())
    assert repr(changed) == "chain(muon(steps=3), adam(), step(0.2))"
    with pytest.raises(HyperparameterError, match=r"muon: `steps` is 2\.5; it must be a whole number"):
        chain.replace({"muon.steps": 2.5}, *chain.traces())


def test_of_two_methods_each_has_a_trace_of_its_own() -> None:
    chain = tw.chain(tw.muon(only="a*"), tw.soap(only="b*"), tw.decay(), tw.step(0.1))
    cuts = [traced.cut for traced in chain.traces()]
    assert [cut.direction.name for cut in cuts if cut is not None] == ["muon.direction", "soap.direction"]


def test_a_chain_is_cut_in_two_by_a_method_that_sees_the_matrix_whole() -> None:
    chain = tw.chain(tw.heavy_ball(form="averaged"), tw.muon(), tw.decay(0.1), tw.step(0.1), tw.ema())
    (traced,) = chain.traces()
    before, behind = traced.parts
    assert repr(before.parameter) == "p"
    assert [kept.name for kept in before.states] == ["v", "muon.direction"]
    assert [kept.name for kept in behind.states] == ["average", "muon.direction"]
    assert traced.cut is not None
    assert behind.states[-1].after is behind.states[-1].before
    assert repr(before.states[-1].after) == repr(before.states[0].after)
    assert repr(behind.parameter) == "subtract(p, multiply(lr, add(muon.direction, multiply(weight, p))))"
    assert tw.chain(tw.adam(), tw.step(0.1)).traces()[0].parts[0].cut is None


def test_the_names_of_states_do_not_depend_on_a_schedule() -> None:
    names = [tw.psgd_kron(momentum=momentum).states for momentum in (0.9, lambda k: 0.9 / (k + 1))]
    assert names[0] == names[1]
    assert "m" in names[0]
    assert "m" not in tw.psgd_kron().states


def test_naming_a_method_does_not_load_torch_and_calling_it_does() -> None:
    command = (
        "import sys, thalweg as tw; chain = tw.chain(tw.clip(), tw.adam(), tw.step(0.1)); "
        "print(tw.muon, 'torch' in sys.modules); tw.muon(); print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True)
    assert result.stdout.split("\n")[:2] == ["<matrix method muon> False", "True"]


def test_a_route_prints_as_it_is_typed_and_is_a_value() -> None:
    route = tw.route({"matrix": tw.chain(tw.muon(), tw.step(0.02)), "*": tw.chain(tw.adam(), tw.step(3e-4))})
    assert repr(route) == "route({'matrix': chain(muon(), step(0.02)), '*': chain(adam(), step(0.0003))})"
    assert eval(repr(route), vars(tw)) == route  # noqa: S307
    assert copy.deepcopy(route) == route
