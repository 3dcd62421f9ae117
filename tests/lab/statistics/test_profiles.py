from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import RaceError
from thalweg.lab.statistics import (
    competition_times,
    exact_score,
    performance_profile,
    performance_ratios,
    trapezoid_score,
)

TABLE = Path(__file__).with_name("algoperf_v05_external_time_to_target.csv")

VARIANTS = {
    "criteo1tb": ["criteo1tb_embed_init"],
    "fastmri": ["fastmri_tanh"],
    "imagenet_resnet": ["imagenet_resnet_large_bn_init"],
    "imagenet_vit": [],
    "librispeech_conformer": ["librispeech_conformer_layernorm"],
    "librispeech_deepspeech": [],
    "ogbg": ["ogbg_model_size"],
    "wmt": ["wmt_glu_tanh"],
}

PUBLISHED = {
    "shampoo_submission": 0.7784,
    "schedule_free_adamw": 0.7077,
    "generalized_adam": 0.6383,
    "cyclic_lr": 0.6301,
    "nadamp": 0.5909,
    "baseline": 0.5707,
    "amos": 0.4918,
    "caspr_adaptive": 0.4722,
    "lawa_queue": 0.3699,
    "lawa_ema": 0.3384,
}


@pytest.fixture(scope="module")
def ratios() -> dict[str, np.ndarray]:
    with TABLE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [row.pop("submission") for row in rows]
    times = {workload: np.array([float(row[workload] or "nan") for row in rows]) for workload in rows[0]}
    bases = competition_times(times, VARIANTS)
    table = performance_ratios(np.column_stack([bases[base] for base in VARIANTS]))
    return dict(zip(names, table, strict=True))


@pytest.mark.parametrize(("submission", "score"), PUBLISHED.items())
def test_the_published_score_of_each_algoperf_submission_is_met(
    ratios: dict[str, np.ndarray], submission: str, score: float
) -> None:
    (found,) = trapezoid_score([ratios[submission]])
    assert found == pytest.approx(score, abs=5e-5)


def test_the_exact_score_of_the_same_table_differs_in_the_third_digit(ratios: dict[str, np.ndarray]) -> None:
    (exact,) = exact_score([ratios["schedule_free_adamw"]])
    assert exact == pytest.approx(0.70619, abs=5e-6)


def test_a_profile_by_hand() -> None:
    ratios = performance_ratios([[1.0, 6.0, np.inf], [2.0, 2.0, np.inf]])
    assert ratios.tolist() == [[1.0, 3.0, np.inf], [2.0, 1.0, np.inf]]
    assert performance_profile(ratios, [1.0, 2.0, 3.0]).tolist() == [[1 / 3, 1 / 3, 2 / 3], [1 / 3, 2 / 3, 2 / 3]]
    assert exact_score(ratios) == pytest.approx([(1 + 1 / 3) / 3, (1 + 2 / 3) / 3])


ratio = st.one_of(st.floats(1.0, 8.0), st.just(np.inf))


@given(st.lists(ratio, min_size=1, max_size=9))
def test_the_trapezoid_score_comes_to_the_exact_one_on_a_fine_grid(ratios: list[float]) -> None:
    assert trapezoid_score([ratios], points=20_001) == pytest.approx(exact_score([ratios]), abs=1e-4)


@given(st.lists(st.lists(st.floats(0.1, 100.0), min_size=3, max_size=3), min_size=1, max_size=6))
def test_on_each_problem_the_best_method_has_the_ratio_one(times: list[list[float]]) -> None:
    assert performance_ratios(times).min(axis=0).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("times", [[1.0, 2.0], [[1.0, np.nan]], [[0.0, 1.0]]])
def test_what_is_no_table_of_times_is_refused(times: list[object]) -> None:
    with pytest.raises(RaceError, match="table of positive times"):
        performance_ratios(times)
