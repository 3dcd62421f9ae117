"""Which files MNIST is, where they lie on this machine, and whether they are what they should be."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from pathlib import Path

import pooch

from thalweg.errors import DataError

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"

# SHA-256 of what is in the files once they are unpacked: mirrors pack the same content differently.
FULL_CHECKSUMS = {
    TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

PART_FOLDER = Path(__file__).parent / "mnist_part"
PART_CHECKSUMS = {
    TRAIN_IMAGES: "8192151f550102be01813842cb499b078b9493e6acfac38a6529da6301e84456",
    TRAIN_LABELS: "03ac2d6b09b5701aeed454472c7053066dd7082f28b804d4f5bfe30221158dea",
    TEST_IMAGES: "ba451f4da9bbc8b87455691ef4b48676335dccb7edfcdff97cb5e67dd7e37a0e",
    TEST_LABELS: "e964bb1f6d8b337111d9e42d469c4015ab66c3be77e4631d071b4fb3bf95253e",
}


def find_full() -> Path | None:
    """The folder of the whole of MNIST: in `$THALWEG_DATA`, else in the user's cache, else None.

    Under `$THALWEG_DATA` the four files, gzipped or not, may lie in `mnist/` (or `MNIST/raw/`, torchvision's
    place) or directly. It may hold other data and no MNIST at all, but not some of the four: that raises a
    DataError.
    """
    places = [*_places_in_environment(), cache_folder()]
    return next((folder for folder in places if not missing_files(folder)), None)


def cache_folder() -> Path:
    """Where a download goes: the operating system's place for what a program can fetch again."""
    return Path(pooch.os_cache("thalweg")) / "mnist"


def missing_files(folder: Path) -> list[str]:
    """The names of those of the four files that are not in `folder`, neither gzipped nor plain."""
    return [name for name in FULL_CHECKSUMS if _find_file(folder, name) is None]


def read_checked(folder: Path, name: str, sha256: str) -> bytes:
    """What is in one file, unpacked; a DataError if it is not there, or not what it should be."""
    path = _find_file(folder, name)
    if path is None:
        raise DataError(f"`{folder}` holds no `{name}.gz`; put the file there, or race with the part that ships")
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"`{path}` cannot be read ({error}); delete it and fetch it again") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(
            f"`{path}` is corrupted or not MNIST: the SHA-256 of its content is {found[:12]}… "
            f"where {sha256[:12]}… is expected; delete it and fetch it again"
        )
    return content


def _places_in_environment() -> list[Path]:
    named = os.environ.get("THALWEG_DATA")
    if not named:
        return []
    root = Path(named).expanduser()
    if not root.is_dir():
        raise DataError(f"THALWEG_DATA names `{named}`, which is no folder; set it to the folder of your data")
    places = [root / "mnist", root / "MNIST" / "raw", root]
    for folder in places:
        missing = missing_files(folder)
        if 0 < len(missing) < len(FULL_CHECKSUMS):
            raise DataError(
                f"`{folder}`, found through THALWEG_DATA, holds only some of MNIST's four files: "
                f"`{missing[0]}.gz` is missing; add it"
            )
    return places


def _find_file(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)
