"""A run goes from `torch.optim` into a chain that is the same formula and back, in the middle."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch

import thalweg as tw
from descents import descend, parameters
from dropins import CASES, WITH_STATE, Settings, label, theirs
from thalweg.chain import Chain
from thalweg.errors import HyperparameterError
from thalweg.optimizer import dropin
from thalweg.optimizer.dropin.dialect import TorchDialect, stage
from thalweg.optimizer.exchange import formulas_of
from thalweg.optimizer.fitting import dialect_of
from thalweg.optimizer.phrase import Language, language
from tolerances import TORCH, deviation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

DECAYED_ADAM = tw.chain(tw.adam(), tw.decay(), tw.step(0.5))
TYPED: dict[str, tuple[str, Settings, Chain]] = {
    "gradient descent": ("SGD", {"lr": 0.05}, tw.chain(tw.gradient_descent(), tw.step(1))),
    "heavy ball": (
        "SGD",
        {"lr": 0.02, "momentum": 0.8, "dampening": 0.4, "weight_decay": 0.1},
        tw.chain(tw.decay(), tw.heavy_ball(form="torch"), tw.step(1)),
    ),
    "nesterov": (
        "SGD",
        {"lr": 0.02, "momentum": 0.8, "nesterov": True, "maximize": True},
        tw.chain(tw.nesterov(form="torch"), tw.step(1)),
    ),
    "rprop": ("Rprop", {"lr": 0.05, "etas": (0.3, 1.5), "step_sizes": (1e-3, 0.2)}, tw.chain(tw.rprop(form="irprop-"))),
    "adagrad": ("Adagrad", {"initial_accumulator_value": 0.3}, tw.chain(tw.adagrad(), tw.step(1))),
    "adagrad with a falling rate": (
        "Adagrad",
        {"lr_decay": 0.05, "eps": 1e-4},
        tw.chain(tw.adagrad(rate_decay=0.5), tw.step(1)),
    ),
    "rmsprop": ("RMSprop", {"alpha": 0.9}, tw.chain(tw.rmsprop(), tw.step(1))),
    "rmsprop with momentum": (
        "RMSprop",
        {"alpha": 0.9, "momentum": 0.7, "centered": True, "eps": 1e-4},
        tw.chain(tw.rmsprop_momentum(centred=True, form="torch"), tw.step(1)),
    ),
    "adadelta": ("Adadelta", {"rho": 0.8, "eps": 1e-4}, tw.chain(tw.adadelta(), tw.step(0.5))),
    "adam": ("Adam", {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-3}, tw.chain(tw.adam(), tw.step(1))),
    "adam with amsgrad": ("Adam", {"amsgrad": True}, tw.chain(tw.adam(amsgrad=True), tw.step(1))),
    "adamw": ("AdamW", {"lr": 0.02, "weight_decay": 0.3}, DECAYED_ADAM),
    "adamw, as one rule": ("AdamW", {"lr": 0.02, "weight_decay": 0.3}, tw.chain(tw.adamw(), tw.step(1))),
    "adamw without decay": ("AdamW", {"lr": 0.02, "weight_decay": 0}, DECAYED_ADAM),
    "adamw as one rule, without decay": (
        "AdamW",
        {"weight_decay": 0, "eps": 0.0, "betas": (0.0, 0.9)},
        tw.chain(tw.adamw(), tw.step(1)),
    ),
    "a rate of zero": ("AdamW", {"lr": 0.0, "weight_decay": 0}, DECAYED_ADAM),
    "a falling rate that does not fall": ("Adagrad", {}, tw.chain(tw.adagrad(rate_decay=0.5), tw.step(1))),
    "adamax": ("Adamax", {"lr": 0.02}, tw.chain(tw.adamax(), tw.step(1))),
    "radam": ("RAdam", {"lr": 0.02, "betas": (0.8, 0.9)}, tw.chain(tw.radam(), tw.step(1))),
}


def fresh(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


def goes_on(name: str, settings: Settings, chain: Chain) -> None:
    """Ten steps of torch's, ten of ours, ten of torch's again, against thirty of torch's."""
    expected = descend(theirs(name)(parameters(), **settings), 30)
    first = theirs(name)(parameters(), **settings)
    reached = descend(first, 10)
    second = tw.Optimizer(fresh(reached), chain)
    assert tw.load_torch_state(second, copy.deepcopy(first.state_dict()), name).fits
    reached = descend(second, 10, start=10)
    third = theirs(name)(fresh(reached))  # the settings come with the state
    third.load_state_dict(copy.deepcopy(tw.torch_state(second, name)))
    assert deviation(descend(third, 10, start=20), expected) <= TORCH[torch.float64]


@pytest.mark.parametrize(("name", "settings", "chain"), TYPED.values(), ids=TYPED)
def test_a_run_goes_into_the_chain_that_one_would_type_and_back(name: str, settings: Settings, chain: Chain) -> None:
    goes_on(name, settings, chain)


def as_chain(case: tuple[str, Settings]) -> Chain:
    """The chain that torch's settings say."""
    name, settings = case
    words = language(name)
    return words.dialect.read({**words.defaults, **settings})


def in_our_range(case: tuple[str, Settings]) -> bool:
    """Whether our rules take the numbers: a drop-in also takes what torch does."""
    chain = as_chain(case)
    try:
        chain.replace(chain.numbers(*chain.traces()), *chain.traces())
    except HyperparameterError:
        return False
    return True


@pytest.mark.parametrize("case", [case for case in CASES if in_our_range(case)], ids=label)
def test_a_run_goes_into_the_chain_that_the_drop_in_is_and_back(case: tuple[str, Settings]) -> None:
    goes_on(*case, as_chain(case))


@pytest.mark.parametrize("case", [case for case in WITH_STATE if in_our_range(case)], ids=label)
def test_what_comes_back_is_what_went_in(case: tuple[str, Settings]) -> None:
    name, settings = case
    first = theirs(name)(parameters(), **settings)
    descend(first, 3)
    before = first.state_dict()
    ours = tw.Optimizer(parameters(), as_chain(case))
    tw.load_torch_state(ours, before, theirs(name))
    after = tw.torch_state(ours, theirs(name))
    assert after["param_groups"] == before["param_groups"]
    for at, state in before["state"].items():
        kept = {key: value for key, value in state.items() if value is not None}
        assert after["state"].get(at, {}).keys() == kept.keys()
        assert all(torch.equal(after["state"][at][key], value) for key, value in kept.items())


@pytest.mark.parametrize("name", [name for name in dropin.__all__ if name != "SparseAdam"])  # it takes sparse gradients
def test_a_state_that_was_never_stepped_is_taken(name: str) -> None:
    def matrices() -> list[Tensor]:
        return parameters([(3, 4), (2, 5)])

    params = matrices if name in ("Adafactor", "Muon") else parameters  # torch's own take no empty tensor, or no vector
    ours = tw.Optimizer(params(), as_chain((name, {})))
    assert tw.load_torch_state(ours, theirs(name)(params()).state_dict(), name).fits
    tolerance = 1e-9 if name in ("ASGD", "NAdam") else TORCH[torch.float64]  # torch keeps numbers in single precision
    tolerance = 1e-6 if name == "Muon" else tolerance  # its iteration is in bfloat16
    assert deviation(descend(ours, 3), descend(theirs(name)(params()), 3)) <= tolerance


def pair(order: str = "ab") -> list[tuple[str, Tensor]]:
    a, b = parameters([(3,), (3,)])
    return [(name, {"a": a, "b": b}[name]) for name in order]


def test_parameters_are_found_by_name_where_both_sides_have_names() -> None:
    first = torch.optim.AdamW(pair("ab"), lr=0.2)
    descend(first, 2)
    params = pair("ba")
    second = tw.Optimizer([{"params": params[:1]}, {"params": params[1:]}], DECAYED_ADAM)
    assert tw.load_torch_state(second, first.state_dict(), torch.optim.AdamW).loaded == ("b", "a")
    exported = dict(zip("ab", first.state_dict()["state"].values(), strict=True))
    for name, parameter in params:
        assert torch.equal(second.state[parameter]["m"], exported[name]["exp_avg"])
    assert [group["lr"] for group in second.param_groups] == [0.2, 0.2]


def test_a_drop_in_finds_its_parameters_by_name_too() -> None:
    first, second = torch.optim.SGD(pair("ab"), momentum=0.5), tw.SGD(pair("ba"))
    descend(first, 2)
    assert tw.load_torch_state(second, first.state_dict(), "SGD").fits
    assert second.param_groups[0]["momentum"] == 0.5
    a, b = (second.param_groups[0]["params"][at] for at in (1, 0))
    for at, parameter in enumerate((a, b)):
        assert torch.equal(
            second.state[parameter]["momentum_buffer"], first.state_dict()["state"][at]["momentum_buffer"]
        )
    assert tw.torch_state(second, "SGD").keys() == {"state", "param_groups"}


def test_a_model_gives_the_names_that_the_optimizer_lacks() -> None:
    model, again = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    first = torch.optim.AdamW(model.named_parameters())
    descend(first, 1)
    second = tw.Optimizer([again.bias, again.weight], DECAYED_ADAM)
    tw.load_torch_state(second, first.state_dict(), "AdamW", model=again)
    assert torch.equal(second.state[again.bias]["m"], first.state[model.bias]["exp_avg"])


def test_a_group_without_decay_goes_into_one_with_decay_of_zero() -> None:
    (a, b), (c, d) = parameters([(3,), (3,)]), parameters([(3,), (3,)])
    first = torch.optim.AdamW([{"params": [a]}, {"params": [b], "weight_decay": 0.0}], weight_decay=0.5)
    descend(first, 2)
    second = tw.Optimizer([{"params": [c]}, {"params": [d]}], DECAYED_ADAM)
    tw.load_torch_state(second, first.state_dict(), "AdamW")
    assert [group["weight"] for group in second.param_groups] == [0.5, 0.0]
    exported = tw.torch_state(second, "AdamW")["param_groups"]
    assert [group["weight_decay"] for group in exported] == [0.5, 0.0]


def test_what_torch_has_kept_for_other_settings_is_left() -> None:
    first = torch.optim.Adam(pair(), amsgrad=True)
    descend(first, 2)
    first.param_groups[0]["amsgrad"] = False
    second = tw.Optimizer(pair(), tw.chain(tw.adam(), tw.step(1)))
    assert tw.load_torch_state(second, first.state_dict(), "Adam").fits
    assert {*second.state[second.param_groups[0]["params"][0]]} == {"m", "v", "step"}


def test_a_schedule_goes_on_from_torchs_step_count() -> None:
    first = torch.optim.AdamW(pair())
    descend(first, 3)
    schedule = tw.linear(1.0, 0.0, steps=10)
    second = tw.Optimizer(pair(), tw.chain(tw.adam(), tw.decay(), tw.step(schedule)))
    tw.load_torch_state(second, first.state_dict(), "AdamW")
    assert second.param_groups[0]["steps"] == 3
    assert tw.torch_state(second, "AdamW")["param_groups"][0]["lr"] == schedule(3)
    descend(second, 1)
    assert second.param_groups[0]["lr"] == schedule(3)


def test_what_a_scheduler_has_left_in_the_group_goes_both_ways() -> None:
    first = torch.optim.AdamW(pair(), lr=0.4)
    torch.optim.lr_scheduler.StepLR(first, 1)
    second = tw.Optimizer(pair(), DECAYED_ADAM)
    tw.load_torch_state(second, first.state_dict(), "AdamW")
    assert second.param_groups[0]["initial_lr"] == 0.4
    assert tw.torch_state(second, "AdamW")["param_groups"][0]["initial_lr"] == 0.4


def test_an_optimizer_keeps_its_own_numbers_where_that_is_asked_for() -> None:
    first = torch.optim.AdamW(pair(), lr=0.4)
    descend(first, 2)
    second = tw.Optimizer(pair(), DECAYED_ADAM)
    assert tw.load_torch_state(second, first.state_dict(), "AdamW", settings="own").fits
    assert (second.param_groups[0]["lr"], second.param_groups[0]["steps"]) == (0.5, 2)


def small_network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2)).double()


def decaying_weights_alone(model: torch.nn.Module) -> torch.optim.Optimizer:
    """As one writes it for torch: two groups."""
    named = list(model.named_parameters())
    weights = [(name, p) for name, p in named if p.dim() > 1]
    others = [(name, p) for name, p in named if p.dim() < 2]
    return torch.optim.AdamW([{"params": weights}, {"params": others, "weight_decay": 0.0}], lr=0.1, weight_decay=0.5)


def test_torchs_groups_with_and_without_decay_become_one_and_two_again() -> None:
    def steps(optimizer: torch.optim.Optimizer, model: torch.nn.Module, which: range) -> list[Tensor]:
        for step in which:
            for at, p in enumerate(model.parameters()):
                random = torch.Generator().manual_seed(100 * step + at)
                p.grad = torch.randn(p.shape, generator=random, dtype=p.dtype)
            optimizer.step()
        return [p.detach().clone() for p in model.parameters()]

    whole, model = small_network(), small_network()
    expected = steps(decaying_weights_alone(whole), whole, range(15))
    first = decaying_weights_alone(model)
    steps(first, model, range(5))
    second = tw.Optimizer(model, tw.chain(tw.adam(), tw.decay(skip=("norm", "bias")), tw.step(1)))
    assert tw.load_torch_state(second, first.state_dict(), "AdamW").fits
    assert (second.param_groups[0]["weight"], second.param_groups[0]["lr"]) == (0.5, 0.1)
    steps(second, model, range(5, 10))
    third = decaying_weights_alone(model)
    third.load_state_dict(tw.torch_state(second, "AdamW"))
    assert [group["weight_decay"] for group in third.param_groups] == [0.5, 0.0]
    assert deviation(steps(third, model, range(10, 15)), expected) <= TORCH[torch.float64]


def test_a_number_that_torch_has_fixed_is_taken_as_it_is_and_no_other_can_be_said() -> None:
    def chain_of(group: Mapping[str, Any]) -> Chain:
        momentum = float(group["momentum"])
        return Chain((stage(tw.heavy_ball, beta=momentum, dampening=0.25, form="torch"),), tw.step(float(group["lr"])))

    dialect = TorchDialect("Made", chain_of, {"v": "buffer"}, {})
    words = Language("Made", tw.SGD, dialect, {"lr": 0.1, "momentum": 0.9, "unused": 0.5})
    own = tw.Optimizer(parameters(), tw.chain(tw.heavy_ball(dampening=0.5, form="torch"), tw.step(1)))
    (formula, *_) = formulas_of(own.param_groups[0], dialect_of(own))
    phrase = words.any_phrase(formula)
    assert phrase is not None
    assert phrase.states == {"v": "buffer"}
    assert phrase.numbers_in({"lr": 0.2, "momentum": 0.3}) == {"lr": 0.2, "beta": 0.3, "dampening": 0.25}
    for dampening, can_be_said in ((0.25, True), (0.5, False)):
        numbers = {"lr": 0.2, "beta": 0.3, "dampening": dampening}
        said = phrase.say(numbers)
        assert said == {"lr": 0.2, "momentum": 0.3, "unused": 0.5}
        assert words.means(said, formula, numbers) is can_be_said
