from __future__ import annotations

import importlib.util
import re
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from report.simulated_race import simulate
from thalweg.errors import ReportError, UnknownNameError
from thalweg.report import film, write_video

if TYPE_CHECKING:
    from pathlib import Path

    from thalweg.lab.store import Store

HAS_EXTRA = all(importlib.util.find_spec(name) for name in ("matplotlib", "imageio_ffmpeg"))
needs_extra = pytest.mark.skipif(not HAS_EXTRA, reason="the extra `video` is not installed")


@pytest.fixture(scope="module")
def reel(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of half the usual length: two frames for each of the sixty steps and the start."""
    from thalweg.report import projection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projection, "MOVING_FRAMES", 125)
        return write_video(store, tmp_path_factory.mktemp("film") / "beale.mp4")


def run_ffmpeg(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    import imageio_ffmpeg

    return subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *arguments], capture_output=True, check=False)


@needs_extra
def test_a_film_is_h264_that_browsers_play(reel: Path) -> None:
    told = run_ffmpeg("-i", str(reel)).stderr.decode()
    assert re.search(r"Video: h264 .*yuv420p.*1280x720.*25 fps", told)
    # the index stands before the pictures, so that playing begins before the whole file is there
    content = reel.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@needs_extra
def test_a_film_moves_and_then_rests_on_its_last_step(reel: Path) -> None:
    raw = run_ffmpeg(
        "-v", "error", "-i", str(reel), "-vf", "scale=320:180", "-f", "rawvideo", "-pix_fmt", "gray", "-"
    ).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, 180, 320).astype(int)
    assert len(frames) == 2 * 61 + 25
    assert np.abs(frames[0] - frames[len(frames) // 2]).max() > 50
    assert np.abs(frames[-1] - frames[-20]).mean() < 0.5


@needs_extra
def test_a_film_takes_about_ten_seconds() -> None:
    from thalweg.report.projection import FRAMES_A_SECOND, MOVING_FRAMES, STILL_FRAMES

    assert 8 <= (MOVING_FRAMES + STILL_FRAMES) / FRAMES_A_SECOND <= 12


@needs_extra
def test_only_the_film_is_left_in_its_folder(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from thalweg.report import projection

    monkeypatch.setattr(projection, "MOVING_FRAMES", 5)
    monkeypatch.setattr(projection, "STILL_FRAMES", 1)
    target = tmp_path / "new" / "quadratic.mp4"
    assert write_video(store, target, problem="quadratic (10, 1)") == target
    assert list(target.parent.iterdir()) == [target]


def test_without_the_extra_the_error_says_what_to_install(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film, "find_spec", lambda _: None)
    with pytest.raises(ReportError, match=r'needs matplotlib and imageio_ffmpeg; .* `pip install "thalweg\[video\]"`'):
        _ = write_video(store, tmp_path / "film.mp4")


@needs_extra
def test_a_problem_that_was_not_raced_gets_a_hint(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no problem `beale \(2,-2\)`; did you mean `beale \(2, -2\)`"):
        _ = write_video(store, tmp_path / "film.mp4", problem="beale (2,-2)")


@needs_extra
def test_training_cannot_be_filmed(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"`blobs` has no trajectory to film; can be filmed: `beale \(2, -2\)`"):
        _ = write_video(store, tmp_path / "film.mp4", problem="blobs")


@needs_extra
def test_a_race_without_surfaces_has_nothing_to_film(tmp_path: Path) -> None:
    with (
        simulate(tmp_path / "x.db", surface_starts=(), optimizers=("adam",), steps=20, trials=3, seeds=2) as store,
        pytest.raises(ReportError, match="the race has no trajectory to film: race a surface first"),
    ):
        _ = write_video(store, tmp_path / "film.mp4")


@needs_extra
def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match=r"cannot write the film to .*file/film.mp4: .*; choose another path"):
        _ = write_video(store, tmp_path / "file" / "film.mp4")
