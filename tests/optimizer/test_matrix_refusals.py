"""What a matrix method does not step is refused when the optimizer is made, with what to do about it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import thalweg as tw
from descents import descend, parameters
from networks import ConvNet, TransformerClassifier
from thalweg.errors import ChainError, CheckpointError, HyperparameterError, ParameterError
from thalweg.optimizer.sharding import check_stackable

if TYPE_CHECKING:
    from collections.abc import Callable

MUON = tw.chain(tw.muon(), tw.step(0.02))
ROUTED = r"Send it to another rule: chain\(muon\(only='matrix'\), adam\(skip='matrix'\), step\(…\)\), or route\("


class Autoencoder(nn.Module):
    """Whose last layer may be an output or not."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.restore = nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "a vector": (
        lambda: tw.Optimizer(parameters([(3, 4), (7,)]), MUON),
        ParameterError,
        rf"cannot step parameter 1 of its group: muon takes tensors of two dimensions or more, .* \(7,\). {ROUTED}",
    ),
    "a bias": (
        lambda: tw.Optimizer(nn.Linear(3, 2), MUON),
        ParameterError,
        rf"cannot step `weight` \(a head\): muon takes a hidden weight, and the parameter is an output layer. {ROUTED}",
    ),
    "an embedding": (
        lambda: tw.Optimizer(TransformerClassifier(), tw.chain(tw.muon(skip="vector"), tw.step(0.1))),
        ParameterError,
        r"cannot step `pos_embed` \(an embedding\): muon takes a hidden weight, and the parameter is an embedding",
    ),
    "a vector by its role": (
        lambda: tw.Optimizer([("w", parameters([(4, 4)])[0])], MUON, roles={"w": "vector"}),
        ParameterError,
        r"cannot step `w` \(a vector\): muon takes matrices, and the parameter is a vector",
    ),
    "too large": (
        lambda: tw.Optimizer(parameters([(40, 40)]), tw.chain(tw.full_matrix_adagrad(), tw.step(0.1))),
        ParameterError,
        "a tensor of 1600 elements needs a matrix of 1600 × 1600, and `largest` is 1024; raise it, or give such",
    ),
    "an empty one": (
        lambda: tw.Optimizer(parameters([(0, 3)]), MUON),
        ParameterError,
        r"muon takes no empty tensor, and the parameter has shape \(0, 3\)",
    ),
    "nothing left for a vector": (
        lambda: tw.Optimizer(
            nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)),
            tw.chain(tw.clip(1.0), tw.muon(only="matrix"), tw.decay(), tw.step(0.02)),
        ),
        ChainError,
        r"no rule for `0.bias` \(a bias\): it would go down its plain gradient at .* that takes over, as adam\(",
    ),
    "two for one": (
        lambda: tw.Optimizer(parameters([(4, 4)]), tw.chain(tw.muon(), tw.clip(), tw.soap(), tw.step(0.02))),
        ChainError,
        r"stage 3, soap\(\): stage 1, muon\(\), sees the matrix whole, too, .* by `only` and `skip`, or route them",
    ),
    "the move is made": (
        lambda: tw.Optimizer(parameters([(4, 4)]), tw.chain(tw.rprop(), tw.muon())),
        ChainError,
        r"chain stage 2, muon\(\): takes a direction, but the stage before it has already made the move",
    ),
    "without a step": (
        lambda: tw.Optimizer(parameters([(4, 4)]), tw.chain(tw.muon())),
        ChainError,
        r"muon\(\) gives a direction and no step follows; end the chain with `step\(learning_rate\)`",
    ),
    "behind the step": (
        lambda: tw.chain(tw.step(0.1), tw.muon()),
        ChainError,
        r"chain stage 1, step\(0.1\): `step` moves the parameter, so it must be the last stage",
    ),
    "not called": (lambda: tw.chain(tw.muon, tw.step(0.1)), ChainError, r"is no stage; write `muon\(\)`"),  # pyright: ignore[reportArgumentType]
    "no chain": (
        lambda: tw.Optimizer(parameters([(4, 4)]), tw.muon()),  # pyright: ignore[reportArgumentType]
        ChainError,
        r"the second argument must be a chain, and is muon\(\); write `chain\(muon\(\), step\(…\)\)`",
    ),
    "an unknown number": (lambda: tw.muon(beta=0.9), HyperparameterError, r"muon\(\) has no hyper-parameter `beta`"),
    "a group's number out of range": (
        lambda: tw.Optimizer([{"params": parameters([(4, 4)]), "momentum": 1.5}], MUON),
        HyperparameterError,
        r"muon: `momentum` is 1.5; it must lie in \[0, 1\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_when_it_is_made(name: str) -> None:
    make, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        make()


def test_a_role_that_is_not_certain_must_be_settled_where_it_makes_a_difference() -> None:
    for chain in (MUON, tw.chain(tw.muon(only="matrix"), tw.adam(skip="matrix"), tw.step(0.1))):
        with pytest.raises(
            ParameterError,
            match=r"depends on a role that is not certain: `restore.weight` may be matrix or head \(it is the last "
            r"that was registered\); say which, as roles=\{'restore.weight': 'head'\}",
        ):
            tw.Optimizer(Autoencoder(), chain)
    both = tw.Optimizer(Autoencoder(), MUON, roles={"restore.weight": "matrix"})
    assert both.param_groups[0]["roles"] == ["matrix", "matrix"]
    everything = tw.Optimizer(Autoencoder(), tw.chain(tw.full_matrix_adagrad(), tw.step(0.1)))
    assert len(everything.param_groups[0]["params"]) == 2


def test_convolutions_are_hidden_weights_too() -> None:
    model = ConvNet()
    chain = tw.chain(tw.muon(only=("matrix", "convolution")), tw.adam(skip=("matrix", "convolution")), tw.step(0.02))
    optimizer = tw.Optimizer(model, chain)
    descend(optimizer, 1)
    by_muon = {name for name, p in model.named_parameters() if "muon.m" in optimizer.state[p]}
    assert by_muon == {"conv1.weight", "conv2.weight", "fc1.weight"}
    assert optimizer.state[model.conv2.weight]["muon.m"].shape == (16, 72)


def test_a_state_of_another_shape_is_refused_before_anything_is_loaded() -> None:
    first, second = (tw.Optimizer(parameters([shape]), MUON) for shape in ((4, 6), (6, 4)))
    descend(first, 2)
    with pytest.raises(
        CheckpointError, match=r"parameter 0: its state `m` has shape \(4, 6\), and the parameter's must"
    ):
        second.load_state_dict(first.state_dict())
    assert not second.state


def test_a_state_of_another_method_is_refused() -> None:
    first = tw.Optimizer(parameters([(4, 6)]), tw.chain(tw.soap(), tw.step(0.02)))
    descend(first, 1)
    with pytest.raises(CheckpointError, match=r"the state is of chain\(soap\(\), step\(\)\), and this optimizer"):
        tw.Optimizer(parameters([(4, 6)]), MUON).load_state_dict(first.state_dict())


def test_a_state_that_a_user_has_put_in_with_another_shape_is_refused() -> None:
    optimizer = tw.Optimizer(parameters([(4, 6)]), MUON)
    descend(optimizer, 1)
    optimizer.state[optimizer.param_groups[0]["params"][0]]["m"] = torch.zeros(2, 2)
    with pytest.raises(ParameterError, match=r"keeps a state `m` of shape \(4, 6\), and has one of shape"):
        descend(optimizer, 1)


def test_a_matrix_that_is_cut_along_one_dimension_twice_is_refused() -> None:
    placements = pytest.importorskip("torch.distributed.tensor.placement_types")
    tensor = SimpleNamespace(placements=(placements._StridedShard(0, split_factor=2), placements.Shard(0)))
    with pytest.raises(ParameterError, match=r"`weight` is cut along one dimension twice, .* needs the whole of it"):
        check_stackable(tensor, "`weight`")
