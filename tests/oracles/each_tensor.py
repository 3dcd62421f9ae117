"""What the tests of identities share: a falling rate, a comparison, and a rule of single elements over a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oracles import ORACLES
from oracles.gradients import MODEL

if TYPE_CHECKING:
    from oracles.protocol import Array


def rate(k: int) -> float:
    return 0.05 / (1 + 0.1 * k)


def assert_same(ours: list[Array], theirs: list[Array], *, rtol: float = 1e-11, atol: float = 1e-11) -> None:
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=atol)


class EachTensor:
    """An oracle of one tensor for each of the model's."""

    def __init__(self, key: tuple[str, str], lr: Any = rate, **hyper: Any) -> None:  # noqa: ANN401
        self.oracles = [ORACLES[key](p, lr, **hyper) for p in MODEL]

    def step(self, g: list[Array]) -> list[Array]:
        return [oracle.step(g_i) for oracle, g_i in zip(self.oracles, g, strict=True)]
