"""Whether eyes of every kind can tell the lines apart, as Machado, Oliveira and Fernandes simulate them (2009)."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from thalweg.report.glyphs import DASHES, MARKERS, dash_of, glyph_of
from thalweg.report.looks import KNOWN, PAPER, THEMES, Theme, looks_for, title_of

Colour = NDArray[np.float64]

# Table 1 of the paper at severity 1.0, for linear RGB.
EYES = {
    "all cones": np.eye(3),
    "no red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no blue cones": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
APART = 0.09  # in OKLab, where 0.02 is about what can just be seen side by side


def linear(colour: str) -> Colour:
    encoded = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def oklab(rgb: Colour) -> Colour:
    """Björn Ottosson, "A perceptual color space for image processing", 2020."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    mix = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return mix @ np.cbrt(cones @ np.clip(rgb, 0, 1))


def luminance(colour: str) -> float:
    return float(linear(colour) @ np.array([0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eye", EYES)
def test_colours_under_one_dash_are_told_apart_by_every_eye(theme: Theme, eye: str) -> None:
    for (first, one), (second, other) in combinations(KNOWN.items(), 2):
        if one.dash == other.dash:
            seen = [oklab(EYES[eye] @ linear(look.colour(theme))) for look in (one, other)]
            assert np.linalg.norm(seen[0] - seen[1]) > APART, f"{first} and {second}"


@pytest.mark.parametrize("theme", THEMES)
def test_every_line_stands_out_from_the_paper(theme: Theme) -> None:
    paper = luminance(PAPER[theme]["paper"])
    for name, look in KNOWN.items():
        light, dark = sorted((luminance(look.colour(theme)), paper), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, name  # WCAG 2.1, 1.4.11: graphical objects


def test_no_two_optimizers_share_a_marker() -> None:
    assert len({look.symbol for look in KNOWN.values()}) == len(KNOWN)


def test_every_dash_and_marker_can_be_drawn_outside_of_plotly() -> None:
    looks = looks_for([*KNOWN, *(f"stranger {i}" for i in range(60))])
    for look in looks.values():
        assert glyph_of(look) in MARKERS.values()
        assert dash_of(look) or look.dash == "solid"
    assert {look.dash for look in KNOWN.values()} <= DASHES.keys()


def test_a_stranger_gets_a_look_that_nobody_else_has() -> None:
    strangers = [f"chain(mine({i}), step(0.1))" for i in range(20)]
    looks = looks_for(["adam", *strangers, "sgd"])
    assert looks["adam"] == KNOWN["adam"]
    assert len(set(looks.values())) == 22


def test_an_optimizer_is_called_by_its_rules_title_or_as_it_was_typed() -> None:
    assert title_of("adamw") == "AdamW"
    assert title_of("chain(lion(), step(0.1))") == "chain(lion(), step(0.1))"
