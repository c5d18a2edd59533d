"""The C library's allocator: keep freed memory for the next step instead of giving it back."""

from __future__ import annotations

import ctypes
import functools

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 28
# The largest that glibc takes; blocks above are mapped and given back each time.
_LARGEST_BLOCK = 1 << 25


@functools.cache
def keep_freed_memory() -> None:
    """Let this process keep up to 256 MiB of freed memory.

    A training step, or a message of a stream, allocates and frees the same megabytes
    thousands of times; returning them to the system each time costs a third of the work in
    page faults. Does nothing where the C library has no `mallopt` (musl, macOS).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
