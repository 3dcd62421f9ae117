"""A named state that does not fit is refused with all its reasons, or what fits of it is taken and the rest told."""

# ruff: noqa: ANN401  # a table's entries may be anything

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import descend, optimizer_of, parameters, usual_chain
from thalweg.errors import CheckpointError, ParameterError
from thalweg.optimizer import LoadReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

ADAM = tw.chain(tw.adam(), tw.step(0.1))


def named(tensors: Sequence[Tensor], names: Sequence[str] = ("a", "b")) -> list[tuple[str, Tensor]]:
    return list(zip(names, tensors, strict=True))


def misfits() -> tuple[tw.Optimizer, dict[str, Any]]:
    """An optimizer, and a state where one parameter fits, and each of the others in another way does not."""
    theirs = tw.Optimizer(named(parameters([(2,), (2,), (2,)]), ("same", "shaped", "gone")), usual_chain("adam"))
    descend(theirs, 2)
    mine = tw.Optimizer(named(parameters([(2,), (3,), (2,)]), ("same", "shaped", "new")), usual_chain("adam"))
    descend(mine, 1)
    return mine, tw.named_state(theirs)


def test_strict_loading_names_all_that_does_not_fit_and_changes_nothing() -> None:
    mine, state = misfits()
    before = copy.deepcopy(mine.state_dict())
    with pytest.raises(CheckpointError) as caught:
        tw.load_named_state(mine, state)
    text = str(caught.value)
    assert "missing in the checkpoint: new" in text
    assert "in the checkpoint only: gone" in text
    assert "shaped: its state `m` has shape (2,), and the parameter's must have (3,)" in text
    assert "strict=False" in text
    after = mine.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert all(torch.equal(after["state"][at][n], v) for at in before["state"] for n, v in before["state"][at].items())


def test_loading_that_is_not_strict_takes_what_fits_and_says_so() -> None:
    mine, state = misfits()
    kept = copy.deepcopy(tw.named_state(mine)["state"])
    report = tw.load_named_state(mine, state, strict=False)
    assert isinstance(report, LoadReport)
    assert (report.loaded, report.missing, report.unexpected) == (("same",), ("new",), ("gone",))
    assert list(report.mismatched) == ["shaped"]
    assert not report.fits
    assert str(report).splitlines()[:2] == ["loaded 1 parameter", "missing in the checkpoint: new"]
    now = tw.named_state(mine)["state"]
    assert torch.equal(now["same"]["m"], state["state"]["same"]["m"])
    assert all(torch.equal(now[name]["m"], kept[name]["m"]) for name in ("shaped", "new"))
    descend(mine, 1)
    assert [int(tw.named_state(mine)["state"][name]["step"]) for name in ("same", "shaped", "new")] == [3, 2, 2]


OTHER_RULES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], str]] = {
    "another rule": (
        lambda params: optimizer_of("adam", params),
        lambda params: optimizer_of("rmsprop", params),
        r"a: its state is of chain\(rmsprop\(\), step\(\)\), and this optimizer steps by chain\(adam\(\), step\(\)\)",
    ),
    "a drop-in's, for a chain": (
        lambda params: optimizer_of("adam", params),
        tw.Adam,
        r"a: its state is of Adam, and this optimizer steps by chain\(adam\(\), step\(\)\)",
    ),
    "another drop-in's": (tw.AdamW, tw.Adam, "a: its state is of Adam, and this optimizer steps by AdamW"),
}


@pytest.mark.parametrize("is_stepped", [True, False])
@pytest.mark.parametrize(("mine", "other", "message"), OTHER_RULES.values(), ids=OTHER_RULES)
def test_the_state_of_another_rule_is_refused(mine: Any, other: Any, message: str, is_stepped: bool) -> None:
    theirs, own = other(named(parameters([(2,)]), ("a",))), mine(named(parameters([(2,)]), ("a",)))
    descend(theirs, int(is_stepped))
    with pytest.raises(CheckpointError, match=message):
        tw.load_named_state(own, tw.named_state(theirs))
    assert tw.load_named_state(own, tw.named_state(theirs), strict=False).loaded == ()


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no dictionary": (lambda _: [], "this is not what `named_state` gives"),
    "torch's": (lambda _: tw.Adam(parameters([(2,)])).state_dict(), "looks like a `state_dict`: use `load_state_dict`"),
    "a newer format": (
        lambda s: s | {"format": 99},
        r"of format 99, and this version of thalweg reads up to 1; .*upda",
    ),
    "groups without a rule": (lambda s: s["groups"][0].pop("rule"), "the checkpoint's groups are broken: KeyError"),
    "a state of no group": (lambda s: s["state"].update(z={}), "the checkpoint's state of z is broken: of no group"),
    "a state missing": (
        lambda s: s["state"]["a"].pop("m"),
        "a: its state holds step, v, and this optimizer keeps m, step, v: it is another rule's",
    ),
    "a state that is no tensor": (lambda s: s["state"]["a"].update(m=5.0), "a: its state `m` is 5.0, and no tensor"),
    "a sparse state": (
        lambda s: s["state"]["a"].update(m=torch.ones(2).to_sparse()),
        "a: its state `m` is a torch.sparse_coo tensor of torch.float32, and no dense tensor of real numbers",
    ),
    "a step count that is none": (lambda s: s["state"]["a"].update(step="two"), "a: its state `step` is 'two', and no"),
    "a number missing": (lambda s: s["groups"][0]["settings"].pop("beta1"), "group 0: the saved group lacks beta1"),
    "a number out of range": (
        lambda s: s["groups"][0]["settings"].update(beta1=1.5),
        r"group 0: adam: `beta1` is 1.5; it must lie in \[0, 1\)",
    ),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_state_is_refused_and_nothing_changes(change: Any, message: str) -> None:
    first, second = (tw.Optimizer(named(parameters([(2,)]), ("a",)), ADAM) for _ in range(2))
    descend(first, 1)
    saved = copy.deepcopy(tw.named_state(first))
    changed = change(saved)
    with pytest.raises(CheckpointError, match=message):
        tw.load_named_state(second, changed if isinstance(changed, dict | list) else saved)
    assert second.state_dict()["state"] == {}
    assert second.param_groups[0]["steps"] == 0


def test_an_argument_that_is_no_optimizer_is_refused() -> None:
    with pytest.raises(
        CheckpointError, match=r"the first argument is a SGD, .*one of torch's is taken over by `load_t"
    ):
        tw.named_state(torch.optim.SGD(parameters()))  # pyright: ignore[reportArgumentType]


def test_an_unknown_choice_of_settings_is_refused() -> None:
    optimizer = tw.Adam(named(parameters([(2,), (2,)])))
    with pytest.raises(CheckpointError, match="`settings` is 'mine'; known are: own, saved"):
        tw.load_named_state(optimizer, tw.named_state(optimizer), settings="mine")  # pyright: ignore[reportArgumentType]


def test_without_names_it_is_said_what_to_do() -> None:
    with pytest.raises(ParameterError, match=r"have no names .*make it with the model or with .*or pass `model=`"):
        tw.named_state(tw.Adam(parameters([(2,)])))


def test_two_parameters_of_one_name_are_refused() -> None:
    first, second = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    optimizer = tw.Adam([{"params": first.named_parameters()}, {"params": second.named_parameters()}])
    with pytest.raises(ParameterError, match="several parameters are called `weight`, `bias`; give each its own name"):
        tw.named_state(optimizer)


def test_a_model_gives_the_names_that_the_optimizer_lacks() -> None:
    model, again = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    first = tw.Adam([model.bias, model.weight])
    descend(first, 2)
    second = tw.Adam(again)
    assert tw.load_named_state(second, tw.named_state(first, model=model)).loaded == ("weight", "bias")
    assert torch.equal(second.state[again.bias]["exp_avg"], first.state[model.bias]["exp_avg"])


def test_another_models_parameters_are_refused() -> None:
    optimizer = tw.Adam(torch.nn.Linear(2, 1))
    with pytest.raises(ParameterError, match=r"parameter 0 of group 0 \(1×2\) is not the model's"):
        tw.named_state(optimizer, model=torch.nn.Linear(2, 1))


def test_names_of_a_wrapped_model_are_recognised_and_model_mends_them() -> None:
    model, inner = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    state = tw.named_state(tw.Adam(model))
    wrapped = tw.Adam(torch.nn.ModuleDict({"module": inner}))
    with pytest.raises(CheckpointError, match=r"The names differ by `module\.`: pass `model=`"):
        tw.load_named_state(wrapped, state)
    assert tw.load_named_state(wrapped, state, model=inner).fits
