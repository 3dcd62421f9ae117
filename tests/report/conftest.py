"""A finished and an unfinished race, and their pages, drawn once for all tests of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from report.reading import read_page
from report.simulated_race import simulate
from thalweg.report import write_report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from report.reading import Element
    from thalweg.lab.store import Store


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="session")
def store(folder: Path) -> Iterator[Store]:
    with simulate(folder / "finished.db", steps=60, trials=5, seeds=3) as store:
        yield store


@pytest.fixture(scope="session")
def html(store: Store, folder: Path) -> str:
    return write_report(store, folder / "finished.html").read_text("utf-8")


@pytest.fixture(scope="session")
def page(html: str) -> Element:
    return read_page(html)
