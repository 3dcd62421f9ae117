"""Which layers of a model are taken for its head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from torch import nn

from networks import MLP
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
