"""The inverse Hessian from pairs is that of dense BFGS, whatever is forgotten on the way."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import torch

from thalweg.descent.directions.pairs import Pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = 23


def by_dense_bfgs(H: NDArray[np.float64], pair: tuple[NDArray[np.float64], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Nocedal and Wright, equation (6.17), with matrices."""
    s, y = pair
    V = np.eye(SIZE) - np.outer(y, s) / (s @ y)
    return V.T @ H @ V + np.outer(s, s) / (s @ y)


def test_the_product_is_that_of_dense_bfgs_with_the_last_pairs() -> None:
    random = np.random.default_rng(3)
    curvature = np.diag(np.geomspace(0.01, 100, SIZE))
    for memory in (1, 3, 20):
        pairs, kept = Pairs(memory), []
        for count in range(45):
            s = random.normal(size=SIZE)
            y = curvature @ s + 0.01 * random.normal(size=SIZE)
            if s @ y <= 0:
                continue
            pairs.add(torch.from_numpy(s), torch.from_numpy(y), torch.tensor(s @ y))
            kept = [*kept, (s, y)][-memory:]
            assert [pair[1].tolist() for pair in pairs.in_order()] == [pair[1].tolist() for pair in kept]
            if count % 4 == 0:
                dense = reduce(by_dense_bfgs, kept, (s @ y) / (y @ y) * np.eye(SIZE))
                g = random.normal(size=SIZE)
                np.testing.assert_allclose(pairs.times(torch.from_numpy(g)), dense @ g, rtol=1e-9, atol=1e-12)


def test_what_is_put_back_goes_on_to_the_bit_and_apart() -> None:
    random = torch.Generator().manual_seed(0)

    def one() -> torch.Tensor:
        return torch.rand(SIZE, generator=random) + 0.1

    pairs, other = Pairs(5), Pairs(5)
    for _ in range(3):
        for _ in range(4):
            s, y = one(), one()
            pairs.add(s, y, s @ y)
        other.restore(pairs.state())
        s, y, g = one(), one(), one()
        before = pairs.times(g)
        other.add(s, y, s @ y)
        assert torch.equal(pairs.times(g), before)
        pairs.add(s, y, s @ y)
        assert torch.equal(pairs.times(g), other.times(g))
    pairs.clear()
    last = one()
    assert torch.equal(pairs.times(last), last)
