"""How a surface's race becomes a film: every trajectory of the named start, step by step, as an mp4."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from thalweg.errors import ReportError
from thalweg.report.results import find_results, read_results

if TYPE_CHECKING:
    from thalweg.lab.records import RaceRecord
    from thalweg.lab.store import Store
    from thalweg.report.results import Results


def write_video(store: Store, path: str | Path, *, problem: str | None = None, race: RaceRecord | None = None) -> Path:
    """Film one surface of a race (the latest, and its first surface, if none is named) and give back the file's path.

    Raises:
        ReportError: the extra `video` is not installed, there is no trajectory to film, or the file cannot be written.
        UnknownNameError: the race has no problem of that name.
    """
    missing = [name for name in ("matplotlib", "imageio_ffmpeg") if find_spec(name) is None]
    if missing:
        raise ReportError(f'a film needs {" and ".join(missing)}; install them with `pip install "thalweg[video]"`')
    from thalweg.report.projection import project  # noqa: PLC0415 (it imports Matplotlib, which is an extra)

    results = read_results(store, race or store.latest_race())
    target = Path(path).expanduser()
    project(_scene(results, problem), target)
    return target


def _scene(results: tuple[Results, ...], problem: str | None) -> Results:
    filmable = [part for part in results if any("x" in run.curve for run in part.of("path"))]
    names = ", ".join(f"`{part.problem.name}`" for part in filmable)
    if problem is None:
        if not filmable:
            raise ReportError("the race has no trajectory to film: race a surface first, as in `thalweg race beale`")
        return filmable[0]
    chosen = find_results(results, problem)
    if chosen not in filmable:
        instead = (
            f"can be filmed: {names}"
            if names
            else "nor has any other problem; race a surface first, as in `thalweg race beale`"
        )
        raise ReportError(f"`{problem}` has no trajectory to film; {instead}")
    return chosen
