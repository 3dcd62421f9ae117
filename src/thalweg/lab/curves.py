"""How a run's curve becomes one compressed blob, and an array again."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from thalweg.errors import StoreError

if TYPE_CHECKING:
    from thalweg.lab.records import Curve


def pack_curve(curve: Curve) -> bytes:
    """The curve's arrays as a compressed npz archive."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, allow_pickle=False, **{name: np.asarray(values, np.float64) for name, values in curve.items()}
    )
    return buffer.getvalue()


def unpack_curve(blob: bytes) -> Curve:
    """The arrays of a packed curve, read-only; a `StoreError` if the blob is damaged."""
    try:
        with np.load(io.BytesIO(blob), allow_pickle=False) as archive:
            curve = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise StoreError(
            f"a run's curve cannot be read ({error}): the store is damaged; restore it from a copy"
        ) from error
    for values in curve.values():
        values.flags.writeable = False
    return curve
