"""The model's oracles against the authors' and other published packages: recorded, and live where installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from oracles import MODEL_ORACLES
from oracles.cautious import by_count, by_mean
from oracles.packages import STEPS, WITNESSES, Witness
from oracles.record_packages import recorded, run

if TYPE_CHECKING:
    from oracles.protocol import Array

EACH_WITNESS = pytest.mark.parametrize("witness", WITNESSES, ids=lambda w: w.id)


def oracle_path(witness: Witness, key: tuple[str, str] | None = None, **other: Any) -> list[list[Array]]:
    rate = {"lr": witness.lr} if witness.rate else {}
    oracle = MODEL_ORACLES[key or (witness.rule, witness.dialect)](witness.start, **rate, **{**witness.ours, **other})
    return [oracle.step(g) for g in witness.gradients]


def recorded_end(witness: Witness) -> list[Array]:
    ended = recorded()[witness.id]["parameters"]
    return [np.reshape(p, p0.shape) for p, p0 in zip(ended, witness.start, strict=True)]


def deviation(witness: Witness, ours: list[Array], theirs: list[Array]) -> float:
    """The greatest distance in a tensor, over the longest way that an element of it goes until the end."""
    ways = [np.max(np.abs(q - p0)) for q, p0 in zip(recorded_end(witness), witness.start, strict=True)]
    return max(float(np.max(np.abs(p - q)) / way) for p, q, way in zip(ours, theirs, ways, strict=True))


@EACH_WITNESS
def test_the_oracle_ends_where_the_package_was_seen_to_end(witness: Witness):
    assert deviation(witness, oracle_path(witness)[-1], recorded_end(witness)) <= witness.agreement


def test_every_recorded_end_belongs_to_a_witness():
    assert set(recorded()) == {w.id for w in WITNESSES}


@pytest.mark.parametrize(
    ("theirs", "key", "other"),
    [
        ("optax.lars(", ("lars", "paper"), {}),
        ("timm.Lars(momentum=0.9, weight_decay=0.1)", ("lars", "paper"), {}),
        ("timm.Lamb(", ("lamb", "corrected"), {}),
        ("timm.Adafactor(", ("adafactor", "torch"), {"eps1": 1e-3}),
        ("timm.Mars(", ("mars", "approximate_from_zero"), {}),
        ("pytorch_optimizer.MARS(", ("mars", "approximate"), {}),
        ("timm.AdamWLegacy(", ("cautious", "adamw"), {"mask": by_count}),
        ("timm.SGDW(", ("cautious", "momentum"), {"mask": by_count}),
        ("pytorch_optimizer.Lion(", ("cautious", "lion"), {"mask": by_mean}),
        ("dog.DoG(", ("dog", "per_tensor"), {}),
        ("dog.LDoG(", ("dog", "over_model"), {}),
        ("prodigyopt.Prodigy()", ("prodigy", "adam"), {"safeguard_warmup": True}),
        ("prodigyopt.Prodigy()", ("prodigy", "adam"), {"use_bias_correction": True}),
        ("schedulefree.AdamWScheduleFree(", ("schedule_free", "adamw_paper"), {}),
        ("schedulefree.AdamWScheduleFreePaper(", ("schedule_free", "adamw"), {}),
        ("schedulefree.SGDScheduleFree(", ("schedule_free", "sgd"), {"r": 0.0}),
        ("pytorch_optimizer.SOAP(", ("soap", "of_code"), {"precondition_frequency": 4}),
    ],
)
def test_a_neighbouring_dialect_ends_elsewhere(theirs: str, key: tuple[str, str], other: dict[str, Any]):
    (witness,) = [w for w in WITNESSES if w.id.startswith(theirs)]
    assert deviation(witness, oracle_path(witness, key, **other)[-1], recorded_end(witness)) > 100 * witness.agreement


def test_d_adaptations_product_is_weighed_before_the_gradient_in_the_code_and_after_it_in_the_paper():
    (witness,) = [w for w in WITNESSES if w.id.startswith("dadaptation.DAdaptAdam") and "growth_rate" in w.id]
    paper = oracle_path(witness, ("d_adaptation", "adam"))
    assert deviation(witness, paper[-1], recorded_end(witness)) > 1e-3


@EACH_WITNESS
@pytest.mark.filterwarnings("default")
def test_the_oracle_takes_the_packages_steps_where_it_is_installed(witness: Witness):
    module = witness.name.split(":")[0].split(".")[0]
    pytest.importorskip(module, reason=f"{witness.distribution} is not installed")
    theirs = run(witness)
    assert len(theirs) == STEPS
    for p, q in zip(oracle_path(witness), theirs, strict=True):
        assert deviation(witness, p, q) <= witness.agreement
