"""What the page says of a race that descents took part in: it counts what was spent, not steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from report.reading import read_page
from thalweg.lab.race import Race, run_race
from thalweg.lab.store import open_store
from thalweg.report import write_report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from report.reading import Element
    from thalweg.lab.store import Store

RACE = Race(
    problems=("booth", "saddle"),
    optimizers=("bfgs", "newton", "adam", "scaled_cg"),
    trials=2,
    tuning_seeds=2,
    seeds=3,
    steps=60,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(tmp_path_factory.mktemp("descents") / "race.db") as store:
        run_race(RACE, store, workers=1)
        yield store


@pytest.fixture(scope="module")
def page(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Element:
    return read_page(write_report(store, tmp_path_factory.mktemp("page") / "report.html").read_text("utf-8"))


def test_the_ranking_says_what_was_spent_and_on_what(page: Element, store: Store) -> None:
    rows = page.one("section", id="booth").by_optimizer("ranking")
    for name, row in rows.items():
        runs = store.runs(store.latest_race(), problem="booth", optimizer=name, role="final")
        assert row["spent"].own_text == f"{np.median([run.cost for run in runs]):,.0f}"
        reached = np.median([run.final["steps_to_target"] for run in runs])
        assert row["evaluations to target"].own_text == ("not reached" if np.isinf(reached) else f"{reached:,.0f}")
    assert rows["newton"]["spent"].text == "5 2 f, 2 ∇f, 2 Hv"
    assert rows["adam"]["spent"].text == "60"
    assert rows["bfgs"]["optimizer"].own_text == "BFGS"
    assert "a product with the Hessian (Hv) 1.5" in page.one("section", id="booth").text


def test_the_curves_and_the_paths_run_over_what_was_spent(page: Element, store: Store) -> None:
    section = page.one("section", id="booth")
    picture = section.picture("Height above")
    assert picture["layout"]["xaxis"]["title"]["text"] == "gradient evaluations"
    (bfgs,) = [trace for trace in picture["data"] if trace.get("name") == "BFGS"]
    assert (bfgs["x"][0], bfgs["x"][-1]) == (0, 60)
    path = store.runs(store.latest_race(), problem="booth", optimizer="scaled_cg", role="path")[0]
    moving = section.picture("Every trajectory")
    (line,) = [t for t in moving["data"] if t.get("name") == "Scaled conjugate gradients" and t["mode"] == "lines"]
    assert np.allclose(line["x"], path.curve["x"], rtol=1e-5)
    assert line["meta"]["steps"] == path.spent.tolist()
    assert (moving["unit"], moving["frames"][-1]) == ("gradient evaluations", 60)
    assert section.one("output").text == "60 gradient evaluations"


def test_who_failed_is_told_with_the_methods_own_message(page: Element, store: Store) -> None:
    failed = [run for run in store.runs(store.latest_race(), problem="saddle") if run.outcome == "failed"]
    assert {run.optimizer for run in failed} == {"newton"}
    told = page.one("section", id="conditions").text
    assert failed[0].message in told
    assert f"newton failed on {sum(run.role == 'final' for run in failed)} of 3 fresh seeds" in page.text


def test_what_is_counted_is_what_was_spent(page: Element, store: Store) -> None:
    for row, name in zip(page.one("section", id="conditions").rows("every-run-counted"), RACE.problems, strict=True):
        total = sum(run.cost for run in store.runs(store.latest_race(), problem=name))
        assert row["gradient evaluations"].text == f"{total:,.0f}"


def test_the_findings_count_evaluations(page: Element) -> None:
    assert "gradient evaluations, from 3 of 3 starts" in page.one("section", id="findings").text
