"""Where the report is written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from thalweg.errors import ReportError
from thalweg.report.page import page_of, set_page

if TYPE_CHECKING:
    from thalweg.lab.records import RaceRecord
    from thalweg.lab.store import Store


def write_report(store: Store, path: str | Path, *, race: RaceRecord | None = None) -> Path:
    """Draw a race, the latest if none is named, as one HTML file; the answer is its path.

    An unfinished race is drawn as far as it got, and the page says what is missing. A file of that name is replaced,
    once the new one is whole.

    Raises:
        ReportError: the file cannot be written.
        StoreError: the store holds no race, or cannot be read.
    """
    target = Path(path).expanduser()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        text = set_page(page_of(store, race or store.latest_race()))
        part = target.with_name(f"{target.name}.part")
        _ = part.write_text(text, "utf-8")
        _ = part.replace(target)
    except OSError as error:
        raise ReportError(f"cannot write the report to {target}: {error.strerror}; choose another path") from error
    return target
