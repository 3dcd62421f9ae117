"""Makes the part of MNIST that ships in the wheel from the four files of the whole.

    python tools/make_mnist_part.py FOLDER [--out FOLDER]

FOLDER holds the four files, gzipped or not; what is in them is checked first. Taken are every eleventh
training image and every ninth test image, from image 0 on, until there are 5,000 and 1,000, with their labels.

Strides, because the test file's first half is easier than its second; odd ones, because the training file
alternates between lighter and heavier images: the mean pixel is 0.123 over its even images and 0.139 over its
odd ones.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
from pathlib import Path

from thalweg.lab.data.idx import format_idx, parse_idx
from thalweg.lab.data.mnist_files import (
    FULL_CHECKSUMS,
    PART_FOLDER,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    read_checked,
)

TRAIN, TEST = slice(0, 5000 * 11, 11), slice(0, 1000 * 9, 9)
CHOSEN = {TRAIN_IMAGES: TRAIN, TRAIN_LABELS: TRAIN, TEST_IMAGES: TEST, TEST_LABELS: TEST}


def main() -> None:
    """Read the whole, write the part, and print the part's checksums for `mnist_files.py`."""
    arguments = argparse.ArgumentParser(description="Make the part of MNIST that ships.")
    arguments.add_argument("folder", type=Path, help="where the four files of the whole are")
    arguments.add_argument("--out", type=Path, default=PART_FOLDER, help="where the part goes")
    chosen = arguments.parse_args()
    for name, images in CHOSEN.items():
        whole = parse_idx(read_checked(chosen.folder, name, FULL_CHECKSUMS[name]), name=name)
        part = format_idx(whole[images])
        # no time in the head: the same content is the same file, whenever it is made
        (chosen.out / f"{name}.gz").write_bytes(gzip.compress(part, compresslevel=9, mtime=0))
        print(name, hashlib.sha256(part).hexdigest())


if __name__ == "__main__":
    main()
