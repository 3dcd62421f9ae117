"""Turns a kernel's text into an address that threads can call, and keeps the machine code for the next process.

numba compiles the text to LLVM's language, LLVM to an object file. A later process loads that file and needs no numba,
whose import alone takes longer than all the rest of a first step.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llvmlite.binding as llvm
import platformdirs

from thalweg.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

ENTRY = "thalweg_kernel"
"""The name of the function that takes the address of a block and returns nothing."""
_CHECKSUM = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Where compiled kernels are kept: `$THALWEG_CACHE`, or the user's cache."""
    chosen = os.environ.get("THALWEG_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("thalweg")


@functools.cache
def compile_kernel(text: str) -> Kernel:
    """The compiled kernel of a text that defines a function `kernel` of one integer, the address of its block."""
    return Kernel(text)


class Kernel:
    """A compiled kernel; `address` is that of its C function, `was_cached` says that an earlier process compiled it."""

    def __init__(self, text: str) -> None:
        path = cache_folder() / "kernels" / f"{_digest(text)}.o"
        code = _read(path)
        self.was_cached = code is not None
        if code is None:
            code = _emit_object(_compile(text))
            _keep(path, code)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self.address: int = self._engine.get_function_address(ENTRY)


def _compile(text: str) -> str:
    """LLVM's text for a kernel, with an entry that C can call."""
    import numba.core.compiler as numba_compiler  # noqa: PLC0415  # only where nothing is in the cache
    from numba.core import types  # noqa: PLC0415
    from numba.core.errors import NumbaError  # noqa: PLC0415
    from numba.core.registry import cpu_target  # noqa: PLC0415

    scope: dict[str, Callable[[int], None]] = {}
    exec(compile(text, "<kernel>", "exec"), scope)  # noqa: S102  # our own emitter wrote it
    flags: Any = numba_compiler.Flags()
    flags.no_cpython_wrapper = True
    flags.no_cfunc_wrapper = True
    flags.error_model = "numpy"  # Python's check for a division by zero keeps a loop from being vectorised
    try:
        made: Any = numba_compiler.compile_extra(
            cpu_target.typing_context, cpu_target.target_context, scope["kernel"], (types.int64,), types.void, flags, {}
        )
    except NumbaError as error:
        message = f"numba could not compile this kernel: {error}\n{text}"
        raise BackendError(message) from error
    name = made.fndesc.llvm_func_name
    return f"""{made.library.get_llvm_str()}
define void @{ENTRY}(i64 %block) {{
  %result = alloca ptr
  %raised = alloca ptr
  %status = call i32 @"{name}"(ptr %result, ptr %raised, i64 %block)
  ret void
}}
"""


def _emit_object(text: str) -> bytes:
    module = llvm.parse_assembly(text)
    module.verify()
    return _machine().emit_object(module)


@functools.cache
def _machine() -> llvm.TargetMachine:
    """This machine's processor, with all that it can."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=_features(), opt=3, codemodel="jitdefault", jit=True
    )


@functools.cache
def _features() -> str:
    return llvm.get_host_cpu_features().flatten()


@functools.cache
def _everything_else() -> str:
    """All but a kernel's text that decides what it is compiled to: versions, processor, our own sources."""
    versions = [importlib.metadata.version(name) for name in ("numba", "llvmlite")]
    folder = Path(__file__).parent
    own = [*(folder / name for name in ("compile.py", "intrinsics.py")), *folder.parent.rglob("noise.py")]
    sources = [path.read_text("utf-8") for path in [*own, *folder.parent.rglob("eight_bits.py")]]
    return "\n".join([*versions, llvm.get_process_triple(), llvm.get_host_cpu_name(), _features(), *sources])


def _digest(text: str) -> str:
    return hashlib.sha256(f"{_everything_else()}\n{text}".encode()).hexdigest()[:32]


def _read(path: Path) -> bytes | None:
    """What was kept there, if it is whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, code = content[:_CHECKSUM], content[_CHECKSUM:]
    return code if hashlib.sha256(code).digest() == checksum else None


def _keep(path: Path, code: bytes) -> None:
    """Put it there whole, or not at all: another process may do the same; a cache that cannot be written is none."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            Path(draft).replace(path)
        except OSError:
            Path(draft).unlink(missing_ok=True)
            raise
