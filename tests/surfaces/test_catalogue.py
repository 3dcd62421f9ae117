"""Which surfaces there are, and how one is found."""

from __future__ import annotations

import subprocess
import sys

import pytest

from thalweg import surfaces
from thalweg.errors import UnknownNameError
from thalweg.surfaces.catalogue import NAMES


def test_each_surface_is_listed_under_its_own_name() -> None:
    assert tuple(surfaces.catalogue()) == NAMES
    assert tuple(surface.name for surface in surfaces.catalogue().values()) == NAMES


def test_those_of_a_race_are_there() -> None:
    assert {"beale", "rosenbrock", "quadratic", "saddle", "two_basins"} <= set(surfaces.catalogue())


def test_a_surface_is_found_by_its_name() -> None:
    assert surfaces.get("himmelblau").title == "Himmelblau"
    assert surfaces.get("himmelblau") is surfaces.catalogue()["himmelblau"]


def test_changing_the_dictionary_changes_nothing_for_others() -> None:
    surfaces.catalogue().clear()
    assert surfaces.catalogue()


def test_a_misspelt_name_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(UnknownNameError) as unknown:
        surfaces.get("beal")
    assert str(unknown.value) == "there is no surface `beal`; did you mean `beale`?"


def test_a_name_like_no_other_is_answered_with_all_of_them() -> None:
    with pytest.raises(UnknownNameError, match="there is no surface `qqq`; known are: beale, booth, easom, "):
        surfaces.get("qqq")


@pytest.mark.parametrize("surface", surfaces.catalogue().values(), ids=lambda surface: surface.name)
def test_each_says_where_it_is_from_and_what_to_watch_for(surface: surfaces.Surface) -> None:
    assert surface.title
    assert surface.source
    assert surface.remark.endswith(".")


def test_the_decks_starts_on_beale_are_kept() -> None:
    assert surfaces.get("beale").starts == ((2, -2), (-3, 3))


def test_the_catalogue_is_read_without_importing_torch() -> None:
    program = "import sys; from thalweg import surfaces; surfaces.catalogue(); print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
