"""Which layers of a model are taken for its head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from torch import nn

from networks import MLP, Conv1D
from thalweg.optimizer.roles import doubts, roles

if TYPE_CHECKING:
    from collections.abc import Callable


class Named(nn.Module):
    """A body, and whatever is registered after it."""

    def __init__(self, **further: nn.Module) -> None:
        super().__init__()
        self.body = nn.ModuleList(nn.TransformerEncoderLayer(8, 2, 16) for _ in range(2))
        for name, module in further.items():
            setattr(self, name, module)


class Telling(Named):
    def __init__(self, method: str) -> None:
        super().__init__(first=nn.Linear(8, 8), last=nn.Linear(8, 8))
        setattr(self, method, lambda: self.first)


class Stage(nn.Module):
    """A block of convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)


def dense_head() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))


HEADS: dict[str, tuple[Callable[[], nn.Module], set[str], set[str]]] = {
    "told as Hugging Face's models tell": (lambda: Telling("get_output_embeddings"), {"first"}, set()),
    "told as timm's models tell": (lambda: Telling("get_classifier"), {"first"}, set()),
    "called so, wherever it is registered": (
        lambda: Named(lm_head=nn.Linear(8, 8), pooler=nn.Linear(8, 8)),
        {"lm_head"},
        set(),
    ),
    "the last in what is called so": (lambda: Named(classifier=dense_head()), {"classifier.2"}, set()),
    "all that are listed as such": (
        lambda: Named(heads=nn.ModuleList([dense_head(), nn.Linear(8, 8)])),
        {"heads.0.2", "heads.1"},
        set(),
    ),
    "the last, if none takes as many features": (lambda: Named(out=nn.Linear(8, 3)), {"out"}, set()),
    "a guess, if others take as many": (lambda: Named(pooler=nn.Linear(8, 8)), set(), {"pooler"}),
    "a guess beside one that is called so": (
        lambda: Named(policy_head=nn.Linear(8, 3), value=nn.Linear(8, 1)),
        {"policy_head"},
        {"value"},
    ),
    "none in blocks": (Named, set(), set()),
    "none before the blocks": (lambda: nn.Sequential(nn.Linear(3, 8), Named()), set(), set()),
    "the last convolution, if there is no linear layer outside the blocks": (
        lambda: Named(up=nn.ConvTranspose2d(8, 4, 2), out=nn.Conv2d(4, 2, 1)),
        {"out"},
        set(),
    ),
    "the last linear layer, though the blocks come after it": (
        lambda: nn.ModuleDict({"out": nn.Linear(8, 3), "body": nn.Sequential(Stage(), Stage())}),
        {"out"},
        set(),
    ),
    "none in blocks that run in order": (
        lambda: nn.Sequential(*(nn.TransformerEncoderLayer(8, 2, 16),) * 2),
        set(),
        set(),
    ),
    "what only itself could take from": (
        lambda: nn.ModuleDict({"first": nn.Linear(4, 8), "last": nn.Linear(8, 8)}),
        {"last"},
        set(),
    ),
    "a guess, if a norm takes as many": (
        lambda: nn.ModuleDict({"proj": nn.Linear(8, 6), "after": nn.LayerNorm(6)}),
        set(),
        {"proj"},
    ),
    "the last of all, and in what is called so": (
        lambda: Named(head=nn.Sequential(nn.Linear(8, 8))),
        {"head.0"},
        set(),
    ),
    "a guess between these two": (
        lambda: Named(head=nn.Sequential(nn.Linear(8, 8)), tail=nn.Linear(8, 8)),
        set(),
        {"head.0", "tail"},
    ),
    "no convolution beside a classifier": (
        lambda: Named(conv=nn.Conv2d(8, 12, 1), classifier=nn.Linear(48, 3)),
        {"classifier"},
        set(),
    ),
    "not the stage before it": (
        lambda: Named(conv_head=nn.Conv2d(8, 12, 1), bn=nn.BatchNorm2d(12), classifier=nn.Linear(12, 3)),
        {"classifier"},
        set(),
    ),
    "behind wrappers": (lambda: nn.Sequential(nn.Sequential(MLP(8, 8, 8, 8))), set(), {"0.0.fc3"}),
    "the end of an autoencoder is a guess": (lambda: MLP(8, 4, 4, 8), set(), {"fc3"}),
}


@pytest.mark.parametrize(("make", "certain", "possible"), HEADS.values(), ids=HEADS)
def test_the_head_is(make: Callable[[], nn.Module], certain: set[str], possible: set[str]) -> None:
    model = make()
    assert {name.removesuffix(".weight") for name, role in roles(model).items() if role == "head"} == certain
    assert {name.removesuffix(".weight") for name in doubts(model)} == possible


def test_a_base_class_that_cannot_tell_its_head_is_no_obstacle() -> None:
    class Base(MLP):
        def get_output_embeddings(self) -> nn.Module:
            raise NotImplementedError

        def get_classifier(self, name: str) -> nn.Module:
            return getattr(self, name)

    assert roles(Base(5, 4, 3, 2))["fc3.weight"] == "head"


NAMES = {
    "a head's": "head heads lm_head cls_head head_dist classifier high_classifier readout unembed embed_out logits "
    "to_logits cls_logits logits_proj score qa_outputs output_projection output_layer Classifier",
    "others'": "pre_classifier pre_head headers fc out pooler proj underscore pre_logits output",
}


@pytest.mark.parametrize(
    ("name", "is_head"), [(name, whose == "a head's") for whose, names in NAMES.items() for name in names.split()]
)
def test_a_linear_layer_that_others_could_take_from_is_known_by_its_name(name: str, is_head: bool) -> None:
    model = Named(**{name: nn.Linear(8, 8)}, last_norm=nn.LayerNorm(8), pooling=nn.Linear(8, 8))
    assert (roles(model)[f"{name}.weight"] == "head") is is_head


def test_a_list_of_layers_of_a_kind_unknown_is_no_row_of_blocks() -> None:
    assert set(doubts(nn.ModuleList([Conv1D(4, 8), Conv1D(8, 4)]))) == {"0.weight", "1.weight"}
