from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from plotly.offline import get_plotlyjs

from report.reading import read_page
from report.simulated_race import GRADIENTS, OPTIMIZERS, simulate
from thalweg import surfaces
from thalweg.errors import ReportError
from thalweg.lab.standings import standings
from thalweg.report import write_report
from thalweg.report.numbers import duration, number, percent

if TYPE_CHECKING:
    from pathlib import Path

    from report.reading import Element
    from thalweg.lab.store import Store

BEALE = "beale-2-_2"


def section(page: Element, anchor: str) -> Element:
    return page.one("section", id=anchor)


def pictures(page: Element) -> list[dict[str, Any]]:
    return [json.loads("".join(figure.one("script").texts)) for figure in page.all("figure")]


def painted(value: object) -> Any:  # noqa: ANN401 (what JSON holds)
    """The picture with a colour wherever one is named."""
    if isinstance(value, dict):
        return {key: painted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [painted(item) for item in value]
    return "rgb(1,2,3)" if isinstance(value, str) and value.startswith("$") else value


def named_colours(value: object) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(named_colours, value.values()))
    if isinstance(value, list):
        return set().union(*map(named_colours, value))
    return {value[1:].split("@")[0]} if isinstance(value, str) and value.startswith("$") else set()


def lines_of(picture: dict[str, Any], mode: str = "lines") -> dict[str, dict[str, Any]]:
    """The traces with a name, by optimizer."""
    found = [trace for trace in picture["data"] if trace.get("mode") == mode and "name" in trace]
    return {trace["meta"]["optimizer"]: trace for trace in found}


@pytest.mark.parametrize("name", GRADIENTS)
def test_the_race_that_is_drawn_descends_by_the_gradient(name: str) -> None:
    for point in np.random.default_rng(0).uniform(-3, 3, (5, 2)):
        expected = surfaces.get(name).gradient(torch.from_numpy(point)).numpy()
        np.testing.assert_allclose(GRADIENTS[name](point), expected, rtol=1e-12)


class TestTheWholePage:
    def test_it_asks_the_network_for_nothing(self, page: Element, html: str) -> None:
        for element in page.all():
            assert not {"src", "srcset", "data", "poster", "background", "action"} & element.attributes.keys()
            assert element.tag not in {"link", "iframe", "object", "embed", "base"}
            assert (element.attributes.get("href") or "#").startswith("#")
        own = html.replace(get_plotlyjs(), "")
        assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", own)

    def test_its_policy_forbids_the_browser_to_ask_either(self, page: Element) -> None:
        (policy,) = [m for m in page.all("meta") if m.attributes.get("http-equiv") == "Content-Security-Policy"]
        assert "default-src 'none'" in str(policy.attributes["content"])

    def test_it_holds_plotly_once(self, html: str) -> None:
        assert html.count("plotly.js v") == 1
        assert get_plotlyjs() in html

    def test_plotly_accepts_every_picture(self, page: Element) -> None:
        found = pictures(page)
        assert len(found) == 2 * 4 + 5
        for picture in found:
            _ = go.Figure(data=painted(picture["data"]), layout=painted(picture["layout"] | picture["narrow"]))

    def test_every_colour_it_names_is_in_both_themes(self, page: Element) -> None:
        themes = json.loads("".join(page.one("script", id="themes").texts))
        for picture in pictures(page):
            for theme in ("light", "dark"):
                assert named_colours(picture) <= themes[theme].keys()

    def test_every_link_leads_somewhere(self, page: Element) -> None:
        targets = {element.attributes["id"] for element in page.all() if element.attributes.get("id")}
        links = [str(link.attributes["href"]) for link in page.all("a")]
        assert links
        assert {link.removeprefix("#") for link in links} <= targets

    def test_it_says_what_was_raced_and_when_and_how(self, page: Element) -> None:
        head = page.one("header")
        assert head.one("h1").text == "11 optimizers on 2 surfaces and 1 training problem"
        assert "14 March 2026, 15:09 UTC, finished in 4 min 12 s" in head.text
        assert head.one("pre").text == "thalweg race beale quadratic blobs --seeds 5"

    def test_surfaces_and_training_have_each_their_finding(self, page: Element) -> None:
        found = page.one("section", id="findings").all("li")
        assert [line.text.split(":")[0] for line in found] == ["beale (2, -2)", "quadratic (10, 1)", "blobs"]

    def test_it_says_that_surfaces_support_no_claim_about_networks(self, page: Element) -> None:
        assert "nothing here says which optimizer trains a network best" in page.one("section", id="surfaces").text

    def test_a_legend_names_every_optimizer_with_its_setting(self, page: Element, store: Store) -> None:
        race = store.latest_race()
        buttons = section(page, BEALE).one("div", css="legend").all("button")
        shown = {button.attributes["data-optimizer"]: button.text for button in buttons[:-1]}
        for choice in store.choices(race, problem="beale (2, -2)"):
            for name, value in choice.tuned.items():
                assert f"{name} {value:.3g}" in shown[choice.optimizer]
        assert list(shown) == list(OPTIMIZERS)

    def test_machine_versions_and_the_users_file_are_told_and_escaped(self, page: Element) -> None:
        told = section(page, "conditions").text
        for fact in ("a processor <of> its own", "2.13.0", "0123abc", "ab" * 32, "chain(adam(), step(0.01))"):
            assert fact in told

    def test_every_run_is_counted(self, page: Element, store: Store) -> None:
        race = store.latest_race()
        for row, problem in zip(
            section(page, "conditions").rows("every-run-counted"), store.problems(race), strict=True
        ):
            runs = store.runs(race, problem=problem.name)
            assert int(row["tuning"].text) == sum(run.role == "tuning" for run in runs)
            assert int(row["diverged"].text) == sum(run.outcome == "diverged" for run in runs)
            assert row["gradient evaluations"].text == f"{sum(run.budget for run in runs):,}"


class TestASurface:
    @pytest.mark.parametrize(("anchor", "name"), [(BEALE, "beale"), ("quadratic-10-1", "quadratic")])
    def test_has_its_contours_at_the_right_heights(self, page: Element, anchor: str, name: str) -> None:
        (contour,) = [t for t in section(page, anchor).picture("Every trajectory")["data"] if t["type"] == "contour"]
        height, ticks = np.array(contour["z"]), contour["colorbar"]["tickvals"]
        assert np.isfinite(height).all()
        assert height.shape == (len(contour["y"]), len(contour["x"]))
        # heights grow with the function
        x, y = np.meshgrid(contour["x"], contour["y"])
        value = surfaces.get(name).function(torch.tensor(np.stack([x, y], -1))).numpy()
        order = np.argsort(value, axis=None)
        assert (np.diff(height.flatten()[order]) > -1e-3).all()
        assert ticks == sorted(ticks)
        assert len(ticks) >= 3

    def test_draws_every_path_as_it_was_recorded(self, page: Element, store: Store) -> None:
        lines = lines_of(section(page, BEALE).picture("Every trajectory"))
        paths = store.runs(store.latest_race(), problem="beale (2, -2)", role="path")
        assert lines.keys() == {path.optimizer for path in paths}
        for path in paths:
            if path.outcome == "finished":
                assert np.allclose(lines[path.optimizer]["x"], path.curve["x"], rtol=1e-5)
                assert np.allclose(lines[path.optimizer]["y"], path.curve["y"], rtol=1e-5)
                assert lines[path.optimizer]["meta"]["steps"] == path.curve["step"].astype(int).tolist()

    def test_can_be_stopped_at_every_frame_from_the_start_to_the_last_step(self, page: Element) -> None:
        picture = section(page, BEALE).picture("Every trajectory")
        slider = section(page, BEALE).one("input", type="range")
        assert picture["frames"] == list(range(61))
        assert (slider.attributes["min"], slider.attributes["max"]) == ("0", "60")
        assert "Play" in section(page, BEALE).one("button", css="play").text

    def test_marks_minima_saddles_and_the_start(self, page: Element) -> None:
        traces = section(page, BEALE).picture("Every trajectory")["data"]
        marks = {
            trace["marker"]["symbol"]: (trace["x"][0], trace["y"][0])
            for trace in traces
            if "meta" not in trace and trace["type"] == "scatter"
        }
        assert marks["star"] == (3.0, 0.5)
        assert marks["diamond-tall-open"] in {saddle.x for saddle in surfaces.get("beale").saddles}
        assert marks["circle-open"] == (2.0, -2.0)

    def test_curves_show_the_median_gap_of_the_fresh_seeds(self, page: Element, store: Store) -> None:
        runs = store.runs(store.latest_race(), problem="quadratic (10, 1)", optimizer="adam", role="final")
        line = lines_of(section(page, "quadratic-10-1").picture("Height above"))["adam"]
        for step, shown in zip(line["x"], line["y"], strict=True):
            values = [run.curve["loss"][run.curve["step"].tolist().index(step)] for run in runs]
            assert shown == pytest.approx(np.median(values), rel=1e-5)

    def test_its_formula_is_drawn(self, page: Element) -> None:
        assert section(page, BEALE).one("math")

    def test_its_ranking_tells_gap_and_steps(self, page: Element, store: Store) -> None:
        race = store.latest_race()
        row = section(page, "quadratic-10-1").by_optimizer("ranking")["rprop"]
        runs = store.runs(race, problem="quadratic (10, 1)", optimizer="rprop", role="final")
        assert row["gap at the end"].own_text == number(float(np.median([run.final["gap"] for run in runs])))
        steps = float(np.median([run.final["steps_to_target"] for run in runs]))
        assert row["steps to target"].own_text == (f"{steps:,.0f}" if math.isfinite(steps) else "not reached")


class TestATrainingProblem:
    def test_curves_show_the_mean_of_the_fresh_seeds_within_its_interval(self, page: Element, store: Store) -> None:
        runs = store.runs(store.latest_race(), problem="blobs", optimizer="adam", role="final")
        for caption, measure in (("Minibatch loss", "loss"), ("Test loss", "test_loss"), ("Accuracy", "accuracy")):
            line = lines_of(section(page, "blobs").picture(caption))["adam"]
            expected = np.mean([run.curve[measure] for run in runs], axis=0)
            assert line["x"] == runs[0].curve["step"].tolist()
            assert line["y"] == pytest.approx(expected.tolist(), rel=1e-5)

    def test_each_curve_has_its_band_around_it(self, page: Element) -> None:
        picture = section(page, "blobs").picture("Test loss")
        bands = {t["meta"]["optimizer"]: t for t in picture["data"] if t.get("fill") == "toself"}
        for name, line in lines_of(picture).items():
            below, above = np.split(np.array(bands[name]["y"]), 2)
            middle = np.array(line["y"])
            assert (below <= middle * 1.0001).all()
            assert (middle <= above[::-1] * 1.0001).all()

    def test_its_ranking_shows_the_recorded_numbers(self, page: Element, store: Store) -> None:
        race = store.latest_race()
        row = section(page, "blobs").by_optimizer("ranking")["adam"]
        runs = store.runs(race, problem="blobs", optimizer="adam", role="final")
        assert row["test loss"].own_text == number(float(np.mean([run.final["test_loss"] for run in runs])))
        assert row["accuracy"].own_text == percent(float(np.mean([run.final["accuracy"] for run in runs])))
        assert row["time of a run"].text == duration(runs[0].seconds)

    def test_places_are_those_of_the_records_and_shared_ones_say_so(self, page: Element, store: Store) -> None:
        race = store.latest_race()
        (problem,) = [p for p in store.problems(race) if p.name == "blobs"]
        placed = standings(store, race, problem)
        assert any(standing.tied for standing in placed)
        shown = [row["place"].text for row in section(page, "blobs").rows("ranking")]
        assert shown == [f"{standing.place}{'=' * standing.tied}" for standing in placed]
        figure = section(page, "blobs").picture("The ranking")
        rows = figure["layout"]["yaxis"]["categoryarray"]
        assert [row.split()[0] for row in rows] == shown[::-1]

    def test_tuning_shows_choice_edge_and_the_gap_to_fresh_seeds(self, page: Element, store: Store) -> None:
        rows = section(page, "blobs").by_optimizer("tuning")
        for choice in store.choices(store.latest_race(), problem="blobs"):
            row = rows[choice.optimizer]
            ((name, value),) = choice.tuned.items()
            assert choice.final_score is not None
            assert row["chosen"].text == f"{name} {value:.3g}"
            assert row["score"].text == number(choice.score)
            assert row["fresh score"].text == number(choice.final_score)
            assert row["gap"].text == number(choice.final_score - choice.score, digits=3)
            assert row["on the edge"].text == ("yes" if choice.on_edge else "no")


class TestSensitivity:
    @pytest.mark.parametrize("anchor", [BEALE, "blobs"])
    def test_every_rate_is_shown_and_every_divergence_has_its_cross(
        self, page: Element, store: Store, anchor: str
    ) -> None:
        name = {BEALE: "beale (2, -2)"}.get(anchor, anchor)
        picture = section(page, anchor).picture("How much the rate matters")
        lines = lines_of(picture, "lines+markers")
        crosses = {t["meta"]["optimizer"]: t["x"] for t in picture["data"] if t.get("yaxis") == "y2"}
        lost_anywhere = False
        for optimizer in OPTIMIZERS:
            runs = store.runs(store.latest_race(), problem=name, optimizer=optimizer, role="tuning")
            rates = sorted({value for run in runs for value in run.tuned.values()})
            lost = sorted({value for run in runs if run.outcome == "diverged" for value in run.tuned.values()})
            assert lines[optimizer]["x"] == rates
            assert sorted(crosses.get(optimizer, [])) == lost
            lost_anywhere |= bool(lost)
        if anchor == BEALE:
            assert lost_anywhere

    def test_a_rate_at_which_all_seeds_diverged_has_no_height(self, page: Element, store: Store) -> None:
        line = lines_of(section(page, BEALE).picture("How much"), "lines+markers")["gradient_descent"]
        runs = store.runs(store.latest_race(), problem="beale (2, -2)", optimizer="gradient_descent", role="tuning")
        for rate, height in zip(line["x"], line["y"], strict=True):
            outcomes = {run.outcome for run in runs if run.tuned["lr"] == rate}
            assert (height is None) == (outcomes == {"diverged"})

    def test_the_chosen_rate_wears_a_ring(self, page: Element, store: Store) -> None:
        picture = section(page, "blobs").picture("How much")
        rings = {
            t["meta"]["optimizer"]: t["x"]
            for t in picture["data"]
            if t.get("marker", {}).get("symbol") == "circle-open"
        }
        for choice in store.choices(store.latest_race(), problem="blobs"):
            assert rings[choice.optimizer] == list(choice.tuned.values())


class TestWhatIsNotAsItShouldBe:
    def test_an_unfinished_race_says_what_is_missing(self, tmp_path: Path) -> None:
        few = ("gradient_descent", "adam", "adamax", "adamw")
        with simulate(
            tmp_path / "cut.db",
            surface_starts=(("quadratic", 0),),
            optimizers=few,
            steps=10,
            trials=3,
            seeds=3,
            finished=False,
        ) as store:
            page = read_page(write_report(store, tmp_path / "cut.html").read_text("utf-8"))
        told = page.one("div", id="unfinished").text
        assert "This race is not finished" in told
        assert "quadratic (10, 1)): fresh seeds still to run: AdaMax (0 of 3), AdamW (0 of 3)" in told
        assert "(blobs): not begun" in told
        assert "begun 14 March 2026, 15:09 UTC, not finished" in page.one("header").text
        assert "No run on this problem has ended yet" in page.one("section", id="blobs").text
        assert "Not yet placed: AdaMax, AdamW." in page.one("section", id="quadratic-10-1").text

    def test_a_finished_race_misses_nothing(self, page: Element) -> None:
        assert not page.all("div", id="unfinished")

    def test_a_surface_that_nobody_knows_is_drawn_without_contours(self, tmp_path: Path) -> None:
        with simulate(tmp_path / "x.db", training=(), optimizers=("adam",), steps=5, trials=3, seeds=2) as store:
            from thalweg.report.paths import path_figure
            from thalweg.report.results import read_results

            first = read_results(store, store.latest_race())[0]
        spec = dict(first.problem.spec) | {"surface": "of_a_later_version"}
        unknown = dataclasses.replace(first, problem=dataclasses.replace(first.problem, spec=spec))
        figure = path_figure(unknown)
        assert figure is not None
        assert not [trace for trace in figure.traces if trace["type"] == "contour"]
        assert [trace for trace in figure.traces if trace.get("name") == "Adam"]
        assert "does not know the surface" in figure.note

    def test_a_path_that_diverged_ends_in_a_cross_on_the_edge_of_the_picture(self, tmp_path: Path) -> None:
        from thalweg.report.paths import path_figure
        from thalweg.report.results import read_results

        with simulate(tmp_path / "x.db", training=(), optimizers=("adam",), steps=5, trials=3, seeds=2) as store:
            first = read_results(store, store.latest_race())[0]
        path = first.path("adam")
        assert path is not None
        curve = {
            "step": np.arange(4.0),
            "loss": np.array([1.0, 2.0, 1e9, 1e30]),
            "x": np.array([2.0, 4.0, 1e5, -1e20]),
            "y": np.array([-2.0, 0.0, 1e5, 1e20]),
        }
        lost = dataclasses.replace(path, outcome="diverged", curve=curve)
        figure = path_figure(dataclasses.replace(first, runs=(lost,)))
        assert figure is not None
        line, head = figure.traces[-2:]
        assert head["marker"]["symbol"] == "x"
        assert line["x"][:2] == [2.0, 4.0]
        assert (line["x"][2], line["y"][2]) == pytest.approx((4.5, 0.5), rel=1e-3)
        assert line["meta"]["diverged"] is True

    def test_a_chain_that_was_typed_whole_has_nothing_tuned_and_is_drawn_like_any_other(self, tmp_path: Path) -> None:
        typed = "chain(clip(1.0), adam(beta2=0.9), step(0.01))"
        with simulate(tmp_path / "x.db", optimizers=("adam", typed), steps=20, trials=3, seeds=2) as store:
            page = read_page(write_report(store, tmp_path / "x.html").read_text("utf-8"))
        for anchor in (BEALE, "blobs"):
            assert section(page, anchor).one("button", **{"data-optimizer": typed}).text == f"{typed} as typed"
            assert section(page, anchor).by_optimizer("tuning")[typed]["chosen"].text == "as typed"
            assert typed not in lines_of(section(page, anchor).picture("How much"), "lines+markers")
        assert typed in lines_of(section(page, BEALE).picture("Every trajectory"))
        assert typed in lines_of(section(page, "blobs").picture("Test loss"))

    def test_a_title_cannot_close_the_script_that_it_stands_in(self, html: str) -> None:
        assert html.count("</script>") == html.count("<script")

    def test_a_path_that_cannot_be_written_is_an_error_that_names_it(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(
            ReportError, match=r"cannot write the report to .*file/report.html: .*; choose another path"
        ):
            _ = write_report(store, tmp_path / "file" / "report.html")

    def test_nothing_but_the_report_is_left_in_its_folder(self, tmp_path: Path) -> None:
        with simulate(tmp_path / "x.db", surface_starts=(), optimizers=("adam",), steps=20, trials=3, seeds=2) as store:
            assert write_report(store, tmp_path / "new" / "race.html") == tmp_path / "new" / "race.html"
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["race.html"]
