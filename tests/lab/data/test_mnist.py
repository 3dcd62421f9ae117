"""MNIST: the part that ships is part of the whole, and nothing but the right content passes for it."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from thalweg.errors import DataError
from thalweg.lab.data import mnist, mnist_download, mnist_files
from thalweg.lab.data.idx import format_idx, parse_idx

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
LABELS = mnist_files.TRAIN_LABELS


def _full_folder() -> Path | None:
    named = os.environ.get("THALWEG_DATA")
    return mnist_files.find_full() if named and Path(named).is_dir() else None


needs_full = pytest.mark.skipif(_full_folder() is None, reason="THALWEG_DATA names no folder with MNIST")


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with neither $THALWEG_DATA nor a cache; returns where its cache will be."""
    monkeypatch.delenv("THALWEG_DATA", raising=False)
    monkeypatch.setattr(mnist_files, "cache_folder", lambda: tmp_path / "cache" / "mnist")
    return tmp_path / "cache" / "mnist"


@pytest.fixture
def small(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A world where the whole of MNIST is what ships, so that its checksums hold without the network."""
    monkeypatch.setattr(mnist_files, "FULL_CHECKSUMS", mnist_files.PART_CHECKSUMS)
    monkeypatch.setattr(mnist_download, "FULL_CHECKSUMS", mnist_files.PART_CHECKSUMS)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which this machine serves it to itself."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the parent's name
        pass


def _copy_part(folder: Path) -> Path:
    return Path(shutil.copytree(mnist_files.PART_FOLDER, folder))


# -- the part that ships


def test_the_part_that_ships_is_at_most_two_megabytes() -> None:
    assert sum(path.stat().st_size for path in mnist_files.PART_FOLDER.iterdir()) <= 2_000_000


def test_the_part_that_ships_holds_what_its_readme_says() -> None:
    readme = (mnist_files.PART_FOLDER / "README.md").read_text(encoding="utf-8")
    for name, sha256 in mnist_files.PART_CHECKSUMS.items():
        content = gzip.decompress((mnist_files.PART_FOLDER / f"{name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == sha256
        assert sha256 in readme


def test_the_part_that_ships_names_its_source_and_its_licence() -> None:
    readme = (mnist_files.PART_FOLDER / "README.md").read_text(encoding="utf-8")
    assert "LeCun" in readme
    assert "Attribution-Share Alike 3.0" in readme.replace("\n", " ").replace("  ", " ")


def test_the_part_has_5000_training_and_1000_test_images_of_all_ten_digits(nowhere: Path) -> None:
    digits = mnist("part")
    assert digits.train[0].shape == (5000, 28, 28)
    assert digits.test[0].shape == (1000, 28, 28)
    for images, labels in (digits.train, digits.test):
        assert images.dtype == torch.float32
        assert labels.dtype == torch.int64
        counts = torch.bincount(labels)
        assert len(counts) == 10
        assert counts.min() >= 0.08 * len(labels)


def test_pixels_are_standardised_by_the_whole_training_set(nowhere: Path) -> None:
    images = mnist("part").train[0]
    assert images.min().item() == pytest.approx((0 - 0.1307) / 0.3081, rel=1e-6)
    assert images.max().item() == pytest.approx((1 - 0.1307) / 0.3081, rel=1e-6)
    assert abs(images.mean().item()) < 0.01
    assert images.std().item() == pytest.approx(1, abs=0.01)


# -- the whole


@needs_full
@pytest.mark.full_mnist
def test_the_part_is_every_eleventh_and_every_ninth_image_of_the_whole() -> None:
    whole, part = mnist("full"), mnist("part")
    assert len(whole.train[0]) == 60_000
    assert len(whole.test[0]) == 10_000
    assert "full" in whole.provenance
    for has, ships, stride in ((whole.train, part.train, 11), (whole.test, part.test, 9)):
        for array, some in zip(has, ships, strict=True):
            assert torch.equal(array[::stride][: len(some)], some)


@needs_full
@pytest.mark.full_mnist
def test_the_mean_and_deviation_are_those_of_the_whole_training_set() -> None:
    images = mnist("full").train[0].double()
    assert images.mean().item() == pytest.approx(0, abs=5e-4)  # 0.1307 has four digits
    assert images.std().item() == pytest.approx(1, abs=5e-4)


@needs_full
@pytest.mark.full_mnist
def test_the_script_makes_the_part_again(tmp_path: Path) -> None:
    script = ROOT / "tools" / "make_mnist_part.py"
    folder = _full_folder()
    assert folder is not None
    subprocess.run([sys.executable, str(script), str(folder), "--out", str(tmp_path)], check=True)
    for name in mnist_files.PART_CHECKSUMS:
        made = gzip.decompress((tmp_path / f"{name}.gz").read_bytes())
        assert made == gzip.decompress((mnist_files.PART_FOLDER / f"{name}.gz").read_bytes())


# -- which of them


def test_auto_is_the_part_where_the_whole_is_nowhere(nowhere: Path) -> None:
    assert "the part that ships" in mnist("auto").provenance


@pytest.mark.usefixtures("small")
def test_auto_is_the_whole_where_the_cache_has_it(nowhere: Path) -> None:
    _copy_part(nowhere)
    assert "full" in mnist("auto").provenance


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("inside", [".", "mnist", "MNIST/raw"])
def test_thalweg_data_comes_before_the_cache(
    inside: str, tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _copy_part(nowhere)
    folder = _copy_part(tmp_path / "data" / inside)
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path / "data"))
    found = mnist_files.find_full()
    assert found is not None
    assert found.resolve() == folder.resolve()


@pytest.mark.usefixtures("small")
def test_files_may_be_unpacked(nowhere: Path) -> None:
    folder = _copy_part(nowhere)
    for packed in folder.glob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    assert torch.equal(mnist("auto").train[1], mnist("part").train[1])


def test_thalweg_data_without_mnist_is_passed_over(
    nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path))
    assert mnist_files.find_full() is None


def test_thalweg_data_must_be_a_folder(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THALWEG_DATA", "no/such/place")
    with pytest.raises(DataError, match="THALWEG_DATA names `no/such/place`, which is no folder; set it"):
        mnist("auto")


def test_thalweg_data_with_some_of_the_files_names_what_is_missing(
    nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_copy_part(tmp_path / "mnist") / f"{LABELS}.gz").unlink()
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path))
    with pytest.raises(DataError, match=f"holds only some of MNIST's four files: `{LABELS}.gz` is missing"):
        mnist("auto")


def test_an_unknown_size_is_named() -> None:
    with pytest.raises(DataError, match="MNIST has no size 'huge'; it is one of 'auto', 'part' and 'full'"):
        mnist("huge")  # pyright: ignore[reportArgumentType]


# -- what is wrong with a file


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / LABELS
    path.write_bytes(b"something else")
    with pytest.raises(DataError, match=f"`.*{LABELS}` is corrupted or not MNIST: .* delete it and fetch it"):
        mnist_files.read_checked(tmp_path, LABELS, mnist_files.FULL_CHECKSUMS[LABELS])


@pytest.mark.parametrize("damage", [lambda packed: packed[:1000], lambda packed: b"no gzip" + packed])
def test_a_file_that_cannot_be_unpacked_is_named(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    path = tmp_path / f"{LABELS}.gz"
    path.write_bytes(damage((mnist_files.PART_FOLDER / f"{LABELS}.gz").read_bytes()))
    with pytest.raises(DataError, match=f"`.*{LABELS}.gz` cannot be read .* delete it and fetch it again"):
        mnist_files.read_checked(tmp_path, LABELS, mnist_files.PART_CHECKSUMS[LABELS])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"holds no `{LABELS}.gz`; put the file there"):
        mnist_files.read_checked(tmp_path, LABELS, mnist_files.PART_CHECKSUMS[LABELS])


@pytest.mark.parametrize("content", [b"", b"\0\0\x09\1\0\0\0\0", b"\1\0\x08\1\0\0\0\0", b"\0\0\x08\3\0\0"])
def test_what_is_not_idx_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="`digits` is not an IDX file of unsigned bytes"):
        parse_idx(content, name="digits")


def test_an_idx_file_cut_short_is_refused() -> None:
    content = format_idx(np.zeros((3, 2), np.uint8))
    with pytest.raises(DataError, match=r"`digits` says that its shape is \(3, 2\) but holds 5 bytes"):
        parse_idx(content[:-1], name="digits")


# -- the download


@pytest.mark.usefixtures("small")
def test_a_download_goes_from_mirror_to_mirror_until_the_content_is_right(
    nowhere: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    _copy_part(folder / "good")
    _copy_part(folder / "changed")
    (folder / "changed" / f"{LABELS}.gz").write_bytes(gzip.compress(b"other labels"))
    mirrors = (f"{address}/absent", f"{address}/changed", f"{address}/good")
    monkeypatch.setattr(mnist_download, "MIRRORS", mirrors)
    assert torch.equal(mnist("full").train[1], mnist("part").train[1])
    assert sorted(path.name for path in nowhere.iterdir()) == sorted(
        f"{name}.gz" for name in mnist_files.FULL_CHECKSUMS
    )


@pytest.mark.usefixtures("small")
def test_a_download_that_fails_tells_every_mirror_and_leaves_nothing(
    nowhere: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    _copy_part(folder / "changed")
    name = next(iter(mnist_files.FULL_CHECKSUMS))
    (folder / "changed" / f"{name}.gz").write_bytes(gzip.compress(b"other images"))
    monkeypatch.setattr(mnist_download, "MIRRORS", (f"{address}/absent", f"{address}/changed"))
    with pytest.raises(DataError, match=f"`{name}.gz` could be fetched from no mirror.*404.*corrupted"):
        mnist("full")
    assert list(nowhere.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_a_download_fetches_only_what_is_missing(
    nowhere: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    _copy_part(nowhere)
    shutil.move(nowhere / f"{LABELS}.gz", folder / f"{LABELS}.gz")
    monkeypatch.setattr(mnist_download, "MIRRORS", (address,))
    mnist_download.download_full(nowhere)
    assert mnist_files.missing_files(nowhere) == []
