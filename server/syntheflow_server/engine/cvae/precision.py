"""Which number format the large matrix products use on this machine."""

from __future__ import annotations

import functools

import torch


def compute_type() -> torch.dtype:
    """Return bfloat16 where the device in use multiplies it natively, else float32."""
    if torch.get_default_device().type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return _processor_type()


@functools.cache
def _processor_type() -> torch.dtype:
    """Return bfloat16 where the processor multiplies it natively, else float32.

    The rule asks for the instruction set (AVX512-BF16 or AMX) and never times
    anything, so that two runs on one machine give the same weights. Emulated bfloat16
    is several times slower than float32; native it is about four times faster.
    """
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # noqa: SLF001 - no public name
    return torch.bfloat16 if native else torch.float32


def device_of(name: str) -> torch.device:
    """Return the device called `name`; for "" a GPU where there is one, else the processor."""
    if not name:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
