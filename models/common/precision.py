"""Detection of hardware support for bfloat16."""

from __future__ import annotations

from functools import cache

import torch


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the device has bfloat16 instructions. On a CPU without them, matrix products take a hundred times as long
    as in float32.
    """
    return device.type != "cpu" or _cpu_has_bfloat16()


@cache
def _cpu_has_bfloat16() -> bool:
    abilities = torch.cpu.get_capabilities()
    return any(abilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
