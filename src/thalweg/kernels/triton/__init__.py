"""The GPU's compiler: a plan becomes one Triton kernel a pass that steps all tensors at once.

Nothing here imports Triton before a kernel is needed.
"""

from thalweg.kernels.triton.body import STORAGE
from thalweg.kernels.triton.emit import emit

__all__ = ["STORAGE", "emit"]
