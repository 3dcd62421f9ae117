"""What an IDX file is: a head of big-endian integers that gives the shape, then bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thalweg.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNSIGNED_BYTE = 0x08


def parse_idx(content: bytes, *, name: str) -> NDArray[np.uint8]:
    """The array of unsigned bytes that an IDX file holds; `name` is what an error calls the file.

    Source of the format: the MNIST page of LeCun, Cortes and Burges.

    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]), name="three labels")
    array([7, 8, 9], dtype=uint8)
    """
    zeros, kind, dimensions = content[:2], content[2:3], int.from_bytes(content[3:4])
    head = 4 + 4 * dimensions
    if zeros != b"\0\0" or kind != bytes([UNSIGNED_BYTE]) or len(content) < head:
        raise DataError(f"`{name}` is not an IDX file of unsigned bytes; fetch it again")
    shape = tuple(int.from_bytes(content[at : at + 4]) for at in range(4, head, 4))
    body = np.frombuffer(content, np.uint8, offset=head)
    if body.size != np.prod(shape, dtype=np.int64):
        raise DataError(f"`{name}` says that its shape is {shape} but holds {body.size} bytes; fetch it again")
    return body.reshape(shape)


def format_idx(array: NDArray[np.uint8]) -> bytes:
    """The content of the IDX file that holds `array`."""
    head = bytes([0, 0, UNSIGNED_BYTE, array.ndim])
    return head + b"".join(size.to_bytes(4) for size in array.shape) + array.tobytes()
