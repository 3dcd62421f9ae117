"""How the whole of MNIST comes from the network: mirror after mirror, until the content is right."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pooch

from thalweg.errors import DataError
from thalweg.lab.data.mnist_files import FULL_CHECKSUMS, missing_files, read_checked

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    "https://raw.githubusercontent.com/fgnt/mnist/master",
)
SECONDS_TO_ANSWER = 30


def download_full(folder: Path) -> None:
    """Put into `folder` those of MNIST's four files that are not there yet, each checked first.

    A file appears at once and whole: a download cut short, or a second one at the same time, does no harm.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in missing_files(folder):
        _download_file(folder, name)


def _download_file(folder: Path, name: str) -> None:
    download = pooch.HTTPDownloader(timeout=SECONDS_TO_ANSWER)
    complaints: list[str] = []
    for mirror in MIRRORS:
        with tempfile.TemporaryDirectory(dir=folder) as unchecked:
            arrived = Path(unchecked) / f"{name}.gz"
            try:
                download(f"{mirror}/{name}.gz", str(arrived), None)  # pyright: ignore[reportArgumentType]
                read_checked(arrived.parent, name, FULL_CHECKSUMS[name])
            except (OSError, DataError) as error:  # what `requests` raises is an OSError
                complaints.append(f"{mirror} ({type(error).__name__}: {error})")
                continue
            arrived.replace(folder / arrived.name)
            return
    raise DataError(
        f"`{name}.gz` could be fetched from no mirror; put MNIST's four files into a folder `mnist` "
        "and set THALWEG_DATA to the folder around it, or race with the part that ships. Tried were: "
        + "; ".join(complaints)
    )
