"""Names of AnimateDiff's motion modules in published checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from models.common.unet.temporal import check_sinusoids

_POSITIONS = ".pos_encoder.pe"
_RENAMED = (
    (r"\.temporal_transformer\.", "."),
    (r"\.attention_blocks\.0\.", ".attn1."),
    (r"\.attention_blocks\.1\.", ".attn2."),
    (r"\.norms\.0\.", ".norm1."),
    (r"\.norms\.1\.", ".norm2."),
    (r"\.ff_norm\.", ".norm3."),
)


def renamed_motion_keys(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Tensors under the names of `UNet`, without tables of positions, which are checked.

    Raises:
        CheckpointError: a table is not that of `sinusoids`.
    """
    renamed = {}
    for key, tensor in tensors.items():
        if key.endswith(_POSITIONS):
            check_sinusoids(key, tensor, path)
            continue
        if ".motion_modules." in key:
            for pattern, name in _RENAMED:
                key = re.sub(pattern, name, key)  # noqa: PLW2901 (renamed in steps)
        renamed[key] = tensor
    return renamed
