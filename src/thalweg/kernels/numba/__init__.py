"""The CPU's compiler: a plan becomes one numba kernel that steps all tensors at once."""

from thalweg.kernels.numba.compile import Kernel, cache_folder, compile_kernel
from thalweg.kernels.numba.emit import STORAGE, emit
from thalweg.kernels.numba.launch import Block

__all__ = ["STORAGE", "Block", "Kernel", "cache_folder", "compile_kernel", "emit"]
