"""The map of states in 8 bits is the paper's, every value gets the nearest of its numbers, and each block its scale."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from thalweg.kernels.eight_bits import BLOCK, MAPS, SIGNED, UNSIGNED, blocks_of, dequantise, quantise

Array = np.ndarray[Any, Any]

both = pytest.mark.parametrize("dtype", [SIGNED, UNSIGNED], ids=str)


def map_by_hand(*, signed: bool) -> Array:
    """Dynamic (tree) quantisation: zero bits say the decade, those behind the first one how far along 0.1 to 1.

    Without a sign, its bit is a fixed bit more for the fraction. The middles of the parts stand for them; 0 and 1 are
    added.
    """
    sizes: list[float] = []
    for zeros in range(7):
        parts = 2 ** (6 - zeros + (not signed))
        sizes += [10.0**-zeros * (0.1 + 0.9 * (part + 0.5) / parts) for part in range(parts)]
    return np.array(sorted([*sizes, *((-size for size in sizes) if signed else ()), 0.0, 1.0]))


def of_codes(dtype: torch.dtype) -> Array:
    """What all 256 codes stand for in a block whose largest size is 1."""
    codes = torch.arange(256).to(torch.uint8).view(dtype)
    return dequantise(codes, torch.ones(1)).double().numpy()


@both
def test_the_256_codes_are_the_papers(dtype: torch.dtype) -> None:
    expected = map_by_hand(signed=dtype == SIGNED)
    assert len(expected) == 256
    np.testing.assert_allclose(np.sort(of_codes(dtype)), expected, rtol=3e-7)


@both
def test_every_value_gets_the_nearest(dtype: torch.dtype) -> None:
    random = np.random.default_rng(0)
    values = 10 ** random.uniform(-9, 0, 40_000) * (random.choice([-1, 1], 40_000) if dtype == SIGNED else 1)
    values = np.concatenate([values, random.uniform(0, 1, 40_000)]).astype(np.float32)
    values[::BLOCK] = 1  # the largest of each block
    codes, absmax = quantise(torch.from_numpy(values), dtype)
    found = dequantise(codes, absmax).double().numpy()
    known = np.sort(of_codes(dtype))
    exact = values.astype(np.float64)
    error = np.abs(known[None] - exact[:, None]).min(axis=1)
    if dtype == UNSIGNED:
        error = np.where((exact > 0) & (exact < known[1] / 2), known[1] - exact, error)  # nothing vanishes
        assert (found > 0).all()
    assert (np.abs(np.abs(found - exact) - error) <= 1e-7 * np.abs(exact)).all()
    assert (absmax == 1).all()


@both
def test_each_block_has_a_scale_of_its_own(dtype: torch.dtype) -> None:
    values = torch.rand(700, generator=torch.Generator().manual_seed(0)) + 0.01
    scales = torch.tensor([1e-20, 3.0, 1e20])
    scaled = values * scales.repeat_interleave(BLOCK)[:700]
    codes, absmax = quantise(scaled.reshape(7, 100), dtype)
    assert codes.shape == (7, 100)
    assert codes.dtype == dtype
    assert absmax.tolist() == [part.max().item() for part in scaled.split(BLOCK)]
    assert len(absmax) == blocks_of((7, 100)) == 3
    torch.testing.assert_close(dequantise(codes, absmax), scaled.reshape(7, 100), rtol=0.1, atol=0)


@both
def test_nothing_stays_nothing_and_what_is_not_finite_takes_its_block(dtype: torch.dtype) -> None:
    values = torch.zeros(3 * BLOCK)
    values[BLOCK + 3], values[2 * BLOCK + 5] = math.nan, math.inf
    found = dequantise(*quantise(values, dtype)).split(BLOCK)
    assert not found[0].any()
    assert not found[1].isfinite().any()
    assert not found[2].isfinite().any()
    assert quantise(torch.zeros(0), dtype)[1].shape == (0,)


def test_the_sign_costs_the_one_on_the_negative_side() -> None:
    found = dequantise(*quantise(torch.tensor([-2.0, 2.0]), SIGNED))
    assert found.tolist() == [pytest.approx(-2 * 0.99296875), 2.0]
    assert dequantise(*quantise(torch.tensor([-1.0, 2.0]), UNSIGNED)).tolist() == [0.0, 2.0]


@both
def test_the_sizes_rise_from_place_to_place(dtype: torch.dtype) -> None:
    sizes = MAPS[dtype].sizes
    assert (sizes.diff() > 0).all()
    assert len(sizes) == MAPS[dtype].top + 1
