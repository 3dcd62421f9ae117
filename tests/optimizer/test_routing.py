"""A route splits the parameters of a model into groups, each with its own chain."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import thalweg as tw
from descents import descend, give_gradients, parameters
from networks import TransformerClassifier
from thalweg.errors import ChainError, CheckpointError, ParameterError, UnknownNameError
from tolerances import deviation

if TYPE_CHECKING:
    from collections.abc import Callable

MUON = tw.chain(tw.muon(polar="full"), tw.decay(0.1), tw.step(0.02))
ADAM = tw.chain(tw.adam(), tw.step(3e-3))
DESCENT = tw.chain(tw.gradient_descent(), tw.step(0.1))
USUAL = tw.route({"matrix": MUON, "*": ADAM})


class Tower(nn.Module):
    """A small model whose last layer is known for a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(7, 6)
        self.blocks = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 6), nn.Linear(6, 3))
        self.double()


class Autoencoder(nn.Module):
    """Whose last layer may be an output or not."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.restore = nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)


def names_in(optimizer: tw.Optimizer) -> list[list[str]]:
    return [group["param_names"] for group in optimizer.param_groups]


def test_each_parameter_goes_to_the_first_chain_that_is_for_its_role() -> None:
    optimizer = tw.Optimizer(Tower(), tw.route({"matrix": MUON, "norm": DESCENT, "*": ADAM}))
    assert names_in(optimizer) == [
        ["blocks.0.weight", "blocks.2.weight"],
        ["blocks.1.weight", "blocks.1.bias"],
        ["embed.weight", "blocks.0.bias", "blocks.2.bias", "blocks.3.weight", "blocks.3.bias"],
    ]
    assert [group["lr"] for group in optimizer.param_groups] == [0.02, 0.1, 3e-3]
    assert [group["roles"][0] for group in optimizer.param_groups] == ["matrix", "norm", "embedding"]


def test_keys_are_tried_in_order_and_may_be_patterns_of_names() -> None:
    chains = {"blocks.0.*": DESCENT, "matrix": MUON, "*.bias": tw.chain(tw.lion(), tw.step(1e-4)), "*": ADAM}
    optimizer = tw.Optimizer(Tower(), tw.route(chains))
    assert names_in(optimizer) == [
        ["blocks.0.weight", "blocks.0.bias"],
        ["blocks.2.weight"],
        ["blocks.1.bias", "blocks.2.bias", "blocks.3.bias"],
        ["embed.weight", "blocks.1.weight", "blocks.3.weight"],
    ]


def test_a_routed_model_steps_as_an_optimizer_for_each_part_would() -> None:
    model, other = Tower(), Tower()
    together = tw.Optimizer(model, USUAL)
    matrices = ["blocks.0.weight", "blocks.2.weight"]
    rest = [p for name, p in other.named_parameters() if name not in matrices]
    apart = [tw.Optimizer([p for n, p in other.named_parameters() if n in matrices], MUON), tw.Optimizer(rest, ADAM)]
    for step in range(6):
        for some in (model, other):
            give_gradients(list(some.parameters()), step)
        for optimizer in (together, *apart):
            optimizer.step()
    assert deviation(model.parameters(), other.parameters()) == 0


def test_one_chain_with_selected_stages_steps_as_a_route_with_equal_rates() -> None:
    model, other = Tower(), Tower()
    chain = tw.chain(tw.muon(polar="full", only="matrix"), tw.adam(skip="matrix"), tw.step(0.02))
    route = tw.route(
        {"matrix": tw.chain(tw.muon(polar="full"), tw.step(0.02)), "*": tw.chain(tw.adam(), tw.step(0.02))}
    )
    optimizers = tw.Optimizer(model, chain), tw.Optimizer(other, route)
    for step in range(6):
        for some, optimizer in zip((model, other), optimizers, strict=True):
            give_gradients(list(some.parameters()), step)
            optimizer.step()
    assert deviation(model.parameters(), other.parameters()) <= 1e-14


def test_a_stage_that_gathers_over_the_model_sees_all_routes() -> None:
    model, other = Tower(), Tower()
    chains = {
        "matrix": tw.chain(tw.clip(0.5, norm_eps=0), tw.gradient_descent(), tw.step(0.1)),
        "*": tw.chain(tw.clip(0.5, norm_eps=0), tw.gradient_descent(), tw.step(0.2)),
    }
    routed = tw.Optimizer(model, tw.route(chains))
    give_gradients(list(model.parameters()), 0)
    give_gradients(list(other.parameters()), 0)
    length = float(torch.nn.utils.get_total_norm([p.grad for p in other.parameters() if p.grad is not None]))
    routed.step()
    for name, p in other.named_parameters():
        assert p.grad is not None
        rate = 0.1 if name in {"blocks.0.weight", "blocks.2.weight"} else 0.2
        expected = p.detach() - rate * p.grad * min(1.0, 0.5 / length)
        torch.testing.assert_close(dict(model.named_parameters())[name].detach(), expected, rtol=1e-12, atol=0)


def test_schedules_and_controllers_are_each_routes_own() -> None:
    chains = {
        "matrix": tw.chain(tw.muon(), tw.step(tw.step_decay(0.4, factor=0.5, every=1))),
        "*": tw.chain(tw.adam(), tw.step(tw.exponential(0.1, factor=0.9))),
    }
    optimizer = tw.Optimizer(Tower(), tw.route(chains))
    descend(optimizer, 3)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1, 0.081])


def test_roles_can_be_corrected_and_given() -> None:
    corrected = tw.Optimizer(Tower(), USUAL, roles={"blocks.3.weight": "matrix"})
    assert names_in(corrected)[0] == ["blocks.0.weight", "blocks.2.weight", "blocks.3.weight"]
    named = [("a", torch.zeros(3, 3, requires_grad=True)), ("b", torch.zeros(3, requires_grad=True))]
    given = tw.Optimizer(named, USUAL, roles={"a": "matrix", "b": "bias"})
    assert names_in(given) == [["a"], ["b"]]
    by_name = tw.Optimizer(named, tw.route({"a": MUON, "*": ADAM}))
    assert names_in(by_name) == [["a"], ["b"]]
    unnamed = tw.Optimizer([tensor for _, tensor in named], tw.route({"*": ADAM}))
    assert len(unnamed.param_groups[0]["params"]) == 2


def test_a_route_for_a_role_that_no_parameter_has_makes_no_group() -> None:
    assert len(tw.Optimizer(Tower(), tw.route({"convolution": MUON, "*": ADAM})).param_groups) == 1


def test_a_routed_run_is_saved_and_resumed_bit_for_bit() -> None:
    uninterrupted = Tower()
    descend(tw.Optimizer(uninterrupted, USUAL), 7)
    model = Tower()
    first = tw.Optimizer(model, USUAL)
    descend(first, 3)
    again = Tower()
    again.load_state_dict(model.state_dict())
    for load in (
        lambda second: second.load_state_dict(copy.deepcopy(first.state_dict())),
        lambda second: tw.load_named_state(second, copy.deepcopy(tw.named_state(first))),
    ):
        other = copy.deepcopy(again)
        second = tw.Optimizer(other, USUAL)
        load(second)
        descend(second, 4, start=3)
        assert all(torch.equal(a, b) for a, b in zip(other.parameters(), uninterrupted.parameters(), strict=True))
    copied = copy.deepcopy(first)
    assert repr(copied.param_groups[0]["chain"]) == repr(MUON)
    descend(copied, 1)


def test_a_state_of_another_route_is_refused() -> None:
    first = tw.Optimizer(Tower(), USUAL)
    descend(first, 1)
    second = tw.Optimizer(Tower(), tw.route({"matrix": MUON, "*": DESCENT}))
    with pytest.raises(
        CheckpointError, match=r"the state is of chain\(adam\(\), step\(\)\), and this optimizer steps by"
    ):
        second.load_state_dict(first.state_dict())


def test_a_group_that_joins_brings_its_chain() -> None:
    optimizer = tw.Optimizer(Tower(), USUAL)
    new = ("new", torch.zeros(3, 3, requires_grad=True))
    with pytest.raises(ChainError, match=r"a parameter group that joins route\(.*\) brings its own `chain`"):
        optimizer.add_param_group({"params": [new]})
    optimizer.add_param_group({"params": [new], "chain": MUON, "lr": 0.5})
    assert (optimizer.param_groups[2]["lr"], len(optimizer.param_groups)) == (0.5, 3)
    descend(optimizer, 1)


def vector() -> torch.Tensor:
    return parameters([(3,)])[0]


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "nothing is for some": (
        lambda: tw.Optimizer(Tower(), tw.route({"matrix": MUON, "bias": ADAM})),
        ParameterError,
        r"has no chain for `embed.weight` \(an embedding\), .*, `blocks.3.weight` \(a head\); add one, or '\*' for",
    ),
    "nothing is for an unnamed one": (
        lambda: tw.Optimizer([vector()], tw.route({"": ADAM})),
        ChainError,
        "a route goes by roles and patterns of names, and one is ''; write a text",
    ),
    "a role that is not certain": (
        lambda: tw.Optimizer(Autoencoder(), USUAL),
        ParameterError,
        r"depends on a role that is not certain: `restore.weight` may be matrix or head .* as roles=\{'restore.weight'",
    ),
    "a word that means nothing": (
        lambda: tw.Optimizer(Tower(), tw.route({"matrx": MUON, "*": ADAM})),
        UnknownNameError,
        "`matrx` is no role, and no parameter's name fits it; did you mean `matrix`",
    ),
    "a pattern that fits nothing": (
        lambda: tw.Optimizer(Tower(), tw.route({"layers.*": MUON, "*": ADAM})),
        UnknownNameError,
        r"`layers.\*` is no role, and no parameter's name fits it",
    ),
    "roles that are not known": (
        lambda: tw.Optimizer([("w", vector())], USUAL),
        ChainError,
        "goes by the role `matrix`; give the model itself, or `roles=`, to know roles",
    ),
    "names that are not known": (
        lambda: tw.Optimizer([vector()], tw.route({"w*": ADAM, "*": DESCENT})),
        ChainError,
        r"goes by the name `w\*`; give the model, or named parameters, to know names",
    ),
    "groups": (
        lambda: tw.Optimizer([{"params": [vector()]}], tw.route({"*": ADAM})),
        ParameterError,
        "a route makes the parameter groups itself; give the model, or named parameters",
    ),
    "a matrix method for a vector": (
        lambda: tw.Optimizer(Tower(), tw.route({"norm": MUON, "*": ADAM})),
        ParameterError,
        r"cannot step `blocks.1.weight` \(a norm\): muon takes a hidden weight, and the parameter is a norm's weight",
    ),
    "no parameters": (lambda: tw.Optimizer([], tw.route({"*": ADAM})), ParameterError, "there are no parameters to"),
    "an empty route": (lambda: tw.route({}), ChainError, "an empty route leads nowhere; write for example `route"),
    "a rule for a chain": (
        lambda: tw.route({"*": tw.adam()}),  # pyright: ignore[reportArgumentType]
        ChainError,
        r"route: `\*` leads to adam\(\); write `chain\(…\)`",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_route_that_cannot_be_followed_says_why(name: str) -> None:
    make, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        make()


def test_a_role_that_is_not_certain_does_no_harm_where_both_go_the_same_way() -> None:
    assert len(tw.Optimizer(Autoencoder(), tw.route({"norm": DESCENT, "*": ADAM})).param_groups) == 1
    assert len(tw.Optimizer(Autoencoder(), tw.route({"squeeze.*": MUON, "restore.*": ADAM})).param_groups) == 2


def test_a_real_model_is_routed_by_its_roles() -> None:
    model = TransformerClassifier()
    optimizer = tw.Optimizer(model, USUAL)
    matrices, rest = names_in(optimizer)
    assert all(".weight" in name or "in_proj" in name for name in matrices)
    assert {"embed.weight", "pos_embed", "cls_token", "out.weight"} <= set(rest)
    descend(optimizer, 2)
    assert all(torch.isfinite(p).all() for p in model.parameters())
