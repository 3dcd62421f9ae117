"""The roles of parameters, on the kinds of model that people train."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from networks import MLP, ConvNet, LanguageRNN, TinyGPT, TransformerClassifier
from thalweg.optimizer.roles import doubts, roles

if TYPE_CHECKING:
    from collections.abc import Callable


def shortened(found: dict[str, Any]) -> dict[str, Any]:
    """The roles of the first block for those of all, if they agree."""
    short = {re.sub(r"\b(h|layers)\.\d+\.", r"\1.*.", name): role for name, role in found.items()}
    assert all(short[re.sub(r"\b(h|layers)\.\d+\.", r"\1.*.", name)] == role for name, role in found.items())
    return short


def named(**names: str) -> dict[str, str]:
    """Roles by name, from the names of each role."""
    return {name: role for role, listed in names.items() for name in listed.split()}


BLOCK = named(
    vector="h.*.layer_scale h.*.temperature",
    norm="h.*.ln_1.weight h.*.ffn_norm.weight",
    matrix="h.*.attn.c_attn.weight h.*.attn.c_proj.weight h.*.up.weight h.*.down.weight",
    bias="h.*.attn.c_attn.bias h.*.attn.c_proj.bias",
)
GPT = {
    f"transformer.{name}": role for name, role in (named(embedding="wpe.weight", norm="ln_f.weight") | BLOCK).items()
}
LAYERS = {
    f"encoder.layers.*.{name}": role
    for name, role in named(
        matrix="self_attn.in_proj_weight self_attn.out_proj.weight linear1.weight linear2.weight",
        bias="self_attn.in_proj_bias self_attn.out_proj.bias linear1.bias linear2.bias",
        norm="norm1.weight norm1.bias norm2.weight norm2.bias",
    ).items()
}
LSTM = {
    f"rnn.{name}_l{layer}{way}": role
    for name, role in named(matrix="weight_ih weight_hh weight_hr", bias="bias_ih bias_hh").items()
    for layer in (0, 1)
    for way in ("", "_reverse")
}
MODELS: dict[str, tuple[Callable[[], nn.Module], dict[str, str]]] = {
    "an MLP": (
        lambda: MLP(784, 64, 32, 10),
        named(matrix="fc1.weight fc2.weight", head="fc3.weight", bias="fc1.bias fc2.bias fc3.bias"),
    ),
    "a sequential MLP": (
        lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4), nn.Softmax(dim=1)),
        named(matrix="0.weight", head="2.weight", bias="0.bias 2.bias"),
    ),
    "a linear model": (lambda: nn.Linear(4, 2), named(head="weight", bias="bias")),
    "a ConvNet": (
        ConvNet,
        named(
            convolution="conv1.weight conv2.weight",
            norm="bn1.weight bn1.bias bn2.weight bn2.bias",
            vector="prelu.weight",
            matrix="fc1.weight",
            head="fc2.weight",
            bias="conv2.bias fc1.bias fc2.bias",
        ),
    ),
    "a fully convolutional net": (
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ConvTranspose2d(8, 3, 3, bias=False)),
        named(convolution="0.weight", bias="0.bias", norm="1.weight 1.bias", head="2.weight"),
    ),
    "torch's transformer encoder": (
        TransformerClassifier,
        named(embedding="embed.weight pos_embed cls_token", head="out.weight", bias="out.bias") | LAYERS,
    ),
    "a recurrent language model": (
        LanguageRNN,
        named(embedding="words.weight", head="decoder.weight", bias="decoder.bias") | LSTM,
    ),
    "a GPT": (lambda: TinyGPT(tied=False), named(embedding="transformer.wte.weight", head="lm_head.weight") | GPT),
    "a GPT with tied weights": (lambda: TinyGPT(tied=True), named(embedding="transformer.wte.weight") | GPT),
    "a GPT tied under its head's name": (
        lambda: TinyGPT(tied=True, head_first=True),
        named(embedding="lm_head.weight") | GPT,
    ),
    "attention with biases for its keys": (
        lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=3, add_bias_kv=True),
        named(
            matrix="q_proj_weight k_proj_weight v_proj_weight out_proj.weight",
            bias="in_proj_bias bias_k bias_v out_proj.bias",
        ),
    ),
    "a bag of words with an adaptive softmax": (
        lambda: nn.ModuleDict(
            {
                "bag": nn.EmbeddingBag(20, 8),
                "mix": nn.Bilinear(8, 8, 8),
                "loss": nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], div_value=2.0),
            }
        ),
        named(
            embedding="bag.weight",
            matrix="mix.weight",
            bias="mix.bias",
            head="loss.head.weight loss.tail.0.0.weight loss.tail.0.1.weight loss.tail.1.0.weight loss.tail.1.1.weight",
        ),
    ),
}


@pytest.mark.parametrize(("make", "expected"), MODELS.values(), ids=MODELS)
def test_every_parameter_has_its_role_without_a_doubt(make: Callable[[], nn.Module], expected: dict[str, str]) -> None:
    model = make()
    assert shortened(dict(roles(model))) == expected
    assert list(roles(model)) == [name for name, _ in model.named_parameters()]
    assert doubts(model) == {}


@pytest.mark.parametrize("name", ["an MLP", "a ConvNet", "a fully convolutional net", "a recurrent language model"])
def test_norms_biases_and_vectors_are_what_timm_does_not_decay(name: str) -> None:
    model = MODELS[name][0]()  # timm's rule: no decay for parameters of one dimension or none
    flat = {parameter for parameter, tensor in model.named_parameters() if tensor.ndim <= 1}
    assert {parameter for parameter, role in roles(model).items() if role in ("norm", "bias", "vector")} == flat


@pytest.mark.parametrize("name", [name for name in dir(nn) if re.search(r"Norm(\dd)?$", name)])
def test_every_norm_of_torchs_is_one(name: str) -> None:
    arguments: dict[str, tuple[Any, ...]] = {"GroupNorm": (2, 4), "LayerNorm": ([4, 3],)}
    settings = {"affine": True} if "InstanceNorm" in name else {}
    layer = getattr(nn, name)(*(() if "Lazy" in name else arguments.get(name, (4,))), **settings)
    assert set(roles(nn.Sequential(layer, nn.Linear(4, 2))).values()) - {"head", "bias"} <= {"norm"}
    assert Counter(roles(layer).values())["norm"] == len(list(layer.parameters()))


def test_what_is_only_called_a_norm_is_none() -> None:
    class Normal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean, self.log_scale = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))

    class PreNormModel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.inner = nn.Parameter(torch.zeros(4)), nn.Linear(4, 2)

    class NormalizedLinear(nn.Linear):
        pass

    assert set(roles(Normal()).values()) == {"vector"}
    assert roles(PreNormModel())["gate"] == "vector"
    assert roles(nn.Sequential(NormalizedLinear(4, 4), nn.Linear(4, 2)))["0.weight"] == "matrix"


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
def test_a_parametrised_weight_keeps_its_role_and_its_length_is_a_vector() -> None:
    model = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(4, 8)),
        parametrizations.spectral_norm(nn.Conv2d(8, 8, 3)),
        parametrizations.orthogonal(nn.Linear(8, 8, bias=False)),
        parametrizations.weight_norm(nn.LSTM(8, 8, bias=False), "weight_hh_l0"),
        nn.utils.weight_norm(nn.Linear(8, 8, bias=False)),
        nn.utils.spectral_norm(nn.Linear(8, 8, bias=False)),
        nn.utils.weight_norm(nn.GRU(8, 8, bias=False), "weight_hh_l0"),
        parametrizations.weight_norm(nn.Linear(8, 2)),
    )
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    assert roles(model) == {
        "0.bias": "bias",
        "0.parametrizations.weight.original0": "vector",
        "0.parametrizations.weight.original1": "matrix",
        "1.bias": "bias",
        "1.parametrizations.weight.original": "convolution",
        "2.parametrizations.weight.original": "matrix",
        "3.weight_ih_l0": "matrix",
        "3.parametrizations.weight_hh_l0.original0": "vector",
        "3.parametrizations.weight_hh_l0.original1": "matrix",
        "4.weight_g": "vector",
        "4.weight_v": "matrix",
        "5.weight_orig": "matrix",
        "6.weight_ih_l0": "matrix",
        "6.weight_hh_l0_g": "vector",
        "6.weight_hh_l0_v": "matrix",
        "7.bias": "bias",
        "7.parametrizations.weight.original0": "vector",
        "7.parametrizations.weight.original1": "head",
    }
    assert doubts(model) == {}
    # reading a parametrised weight would move the vectors of a spectral norm
    assert all(torch.equal(buffers[name], value) for name, value in model.named_buffers())


def test_an_embedding_is_one_by_whatever_class_it_inherits_it() -> None:
    class Lookup(nn.Embedding):
        pass

    class Words(nn.EmbeddingBag):
        pass

    model = nn.ModuleDict({"one": Lookup(8, 4), "other": Words(8, 4)})
    assert roles(model) == {"one.weight": "embedding", "other.weight": "embedding"}
    assert doubts(model) == {}


def test_layers_whose_shapes_are_not_known_yet_have_roles() -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(10))
    assert list(roles(model).values()) == ["convolution", "bias", "norm", "norm", "head", "bias"]


def test_a_wrapped_model_has_the_same_roles() -> None:
    class Wrapper(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.module = model

    for make, _ in MODELS.values():
        model = make()
        assert roles(Wrapper(model)) == {f"module.{name}": role for name, role in roles(model).items()}


def test_reading_roles_runs_nothing_and_needs_no_memory() -> None:
    with torch.device("meta"):
        model = TransformerClassifier()
    model.register_forward_pre_hook(lambda *_: pytest.fail("the model was run"))
    assert shortened(dict(roles(model))) == MODELS["torch's transformer encoder"][1]
