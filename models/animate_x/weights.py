"""Published checkpoints of Animate-X and UniAnimate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from models.animate_x.config import AnimateXConfig
from models.animate_x.network import AnimateX
from models.common.checkpoint import fill, read_tensors
from models.common.unet.config import UNetConfig
from models.common.unet.temporal import check_sinusoids

_POSITIONS = "pos_embed.pos_table"
_RESNET = (
    (r"^in_layers\.0\.", "norm1."),
    (r"^in_layers\.2\.", "conv1."),
    (r"^emb_layers\.1\.", "time_emb_proj."),
    (r"^out_layers\.0\.", "norm2."),
    (r"^out_layers\.3\.", "conv2."),
    (r"^skip_connection\.", "conv_shortcut."),
)
_ELSEWHERE = (
    (r"^time_embed\.0\.", "denoiser.time_embedding.linear_1."),
    (r"^time_embed\.2\.", "denoiser.time_embedding.linear_2."),
    (r"^input_blocks\.0\.0\.", "denoiser.conv_in."),
    (r"^input_blocks\.0\.1\.", "denoiser.transformer_in."),
    (r"^out\.0\.", "denoiser.conv_norm_out."),
    (r"^out\.2\.", "denoiser.conv_out."),
    (r"^pre_image_condition\.", "image_tokens."),
    (r"^local_image_embedding", "picture"),
    (r"^dwpose_embedding", "skeleton"),
    (r"^randomref_pose2_embedding", "reference_pose"),
    (r"^randomref_embedding(_after)?2", r"reference_latents\1"),
    (r"^pose_embedding_before\.encoder\.layers\.", "indicator.keypoints.layers."),
    (r"^pose_embedding_before\.increase_embed_dim\.", "indicator.keypoints.lift."),
    (r"^pose_embedding_before\.pre_image_condition_p\.", "indicator.keypoints.tokens."),
    (r"^pose_embedding_after\.latents$", "indicator.queries"),
    (r"^pose_embedding_after\.layers\.(\d+)\.0\.norm1\.", r"indicator.layers.\1.norm_features."),
    (r"^pose_embedding_after\.layers\.(\d+)\.0\.norm2\.", r"indicator.layers.\1.norm_queries."),
    (r"^pose_embedding_after\.layers\.(\d+)\.0\.", r"indicator.layers.\1."),
    (r"^pose_embedding_after\.layers\.(\d+)\.1\.", r"indicator.layers.\1.ff."),
    (r"^pose_embedding_after\.", "indicator."),
    (r"^(\w+)_after\.layers\.0\.0\.norm\.", r"\1.mixer.norm."),
    (r"^(\w+)_after\.layers\.0\.0\.fn\.to_qkv\.", r"\1.mixer.to_qkv."),
    (r"^(\w+)_after\.layers\.0\.0\.fn\.to_out\.0\.", r"\1.mixer.to_out."),
    (r"^(\w+)_after\.layers\.0\.1\.net\.0\.0\.", r"\1.mixer.ff.0."),
    (r"^(\w+)_after\.layers\.0\.1\.net\.2\.", r"\1.mixer.ff.2."),
    (r"^(picture|skeleton|reference_pose)\.0\.", r"\1.convolutions.0."),
    (r"^(picture|skeleton|reference_pose)\.3\.", r"\1.convolutions.1."),
    (r"^(picture|skeleton|reference_pose)\.5\.", r"\1.convolutions.2."),
    (r"^reference_latents\.([024])\.", lambda match: f"reference_latents.convolutions.{int(match[1]) // 2}."),
)


def load_published(path: Path, config: AnimateXConfig) -> AnimateX:
    """Load the networks strictly from the file of Animate-X or UniAnimate.

    Raises:
        CheckpointError: the file is absent or damaged; a tensor is missing, unexpected or misshapen; the table of
            positions differs from the sinusoids that the pose indicator computes.
    """
    with torch.device("meta"):
        network = AnimateX(config)
    fill(network, _renamed(read_tensors(path), config.unet, path), path)
    return network.eval()


def _renamed(tensors: Mapping[str, Tensor], config: UNetConfig, path: Path) -> dict[str, Tensor]:
    """Tensors under the names of the networks, without the table of positions, which is checked."""
    modules = _modules(config)
    renamed = {}
    for key, tensor in tensors.items():
        if key.endswith(_POSITIONS):
            check_sinusoids(key, tensor, path)
            continue
        name = _name(key, modules)
        if re.search(r"\.(attentions|pose_attentions)\.\d+\.proj_(in|out)\.weight$", name):
            tensor = tensor[..., None, None] if tensor.ndim == 2 else tensor  # noqa: PLW2901 (linear layer to 1 × 1 convolution)
        elif re.search(r"(motion_modules\.\d+|transformer_in)\.proj_(in|out)\.weight$", name) and tensor.ndim == 3:
            tensor = tensor.squeeze(-1)  # noqa: PLW2901 (1D convolution of one tap to linear layer)
        renamed[name] = tensor
    return renamed


def _name(key: str, modules: Mapping[str, str]) -> str:
    match = re.match(r"((?:input|output)_blocks\.\d+\.\d+|input_blocks\.\d+(?=\.op)|middle_block\.\d+)\.(.*)", key)
    if match is None or match[1] not in modules:
        for pattern, replacement in _ELSEWHERE:
            key = re.sub(pattern, replacement, key)
        return key
    place, rest = modules[match[1]], match[2]
    if ".resnets." in place:
        if rest.startswith("temopral_conv."):
            return place.replace(".resnets.", ".temporal_convs.") + rest.removeprefix("temopral_conv")
        for pattern, replacement in _RESNET:
            rest = re.sub(pattern, replacement, rest)
    elif rest.startswith("pose_attention."):
        place = place.replace(".attentions.", ".pose_attentions.")
        rest = re.sub(r"^(norm|proj_in|proj_out|transformer_blocks)_p\.", r"\1.", rest.removeprefix("pose_attention."))
    elif ".downsamplers." in place:
        rest = rest.replace("op.", "conv.", 1)
    return f"{place}.{rest}"


def _modules(config: UNetConfig) -> dict[str, str]:
    """Map from modules of the published U-Net, in numbered blocks, to modules of the denoiser, in levels."""
    modules = {
        "middle_block.0": "mid_block.resnets.0",
        "middle_block.1": "mid_block.attentions.0",
        "middle_block.2": "mid_block.motion_modules.0",
        "middle_block.3": "mid_block.resnets.1",
    }
    levels, layers = len(config.widths), config.layers_per_block

    def add(block: str, level: str, index: int, attention: bool) -> None:
        parts = ("resnets", "attentions", "motion_modules") if attention else ("resnets",)
        modules.update({f"{block}.{place}": f"{level}.{part}.{index}" for place, part in enumerate(parts)})

    for level in range(levels):
        first = 1 + level * (layers + 1)
        for index in range(layers):
            add(f"input_blocks.{first + index}", f"down_blocks.{level}", index, config.attention[level])
        if level < levels - 1:
            modules[f"input_blocks.{first + layers}"] = f"down_blocks.{level}.downsamplers.0"
    for up, attention in enumerate(reversed(config.attention)):
        first = up * (layers + 1)
        for index in range(layers + 1):
            add(f"output_blocks.{first + index}", f"up_blocks.{up}", index, attention)
        if up < levels - 1:
            place = 3 if attention else 1
            modules[f"output_blocks.{first + layers}.{place}"] = f"up_blocks.{up}.upsamplers.0"
    return {theirs: f"denoiser.{ours}" for theirs, ours in modules.items()}
