"""Small random networks of the published architectures, saved in the published layouts."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn


def randomise(network: nn.Module, *, seed: int = 0) -> None:
    """Fill every parameter, also those that start at zero or one, so that nothing in the arithmetic is hidden."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim >= 2:
                parameter.copy_(noise / max(parameter[0].numel(), 1) ** 0.5)
            elif name.endswith("weight"):
                parameter.copy_(1 + 0.1 * noise)
            else:
                parameter.copy_(0.05 * noise)


def fill_zeros(network: nn.Module) -> None:
    """Random values for zero-initialised parameters, which would hide what goes through them."""
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)


def save_sam2(folder: Path, *, seed: int = 0) -> None:
    """`config.json` and `model.safetensors` of a SAM 2 video model that sees 128 x 128 pixels."""
    from transformers import Sam2VideoConfig, Sam2VideoModel

    config = Sam2VideoConfig(
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": 8,
                "image_size": [128, 128],
                "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 1, 1],
                "window_size_per_stage": [8, 4, 4, 4],
                "global_attention_blocks": [3],
            },
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
            "fpn_hidden_size": 128,
        },
        prompt_encoder_config={"hidden_size": 128, "image_size": 128, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 128, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
        },
        image_size=128,
        memory_attention_hidden_size=128,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[8, 8],
        memory_encoder_hidden_size=128,
        mask_downsampler_embed_dim=128,
        memory_fuser_embed_dim=128,
        memory_fuser_intermediate_dim=32,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # the positional encoding is a random buffer
        network = Sam2VideoModel(config).eval()
    randomise(network, seed=seed)
    network.save_pretrained(folder)


def save_sam3(folder: Path, *, seed: int = 0) -> None:
    """`config.json` and `model.safetensors` of a SAM 3 that sees 128 x 128 pixels, with its detector, as published."""
    from transformers import Sam3VideoConfig, Sam3VideoModel

    vision = {
        "model_type": "sam3_vision_model",
        "fpn_hidden_size": 128,
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 128,
            "pretrain_image_size": 64,
            "patch_size": 16,
            "window_size": 4,
            "global_attn_indexes": [1],
        },
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
    }
    layer = {"hidden_size": 128, "intermediate_size": 32, "num_attention_heads": 2, "num_layers": 1}
    config = Sam3VideoConfig(
        detector_config={
            "vision_config": vision,
            "text_config": {
                "bos_token_id": 0, "eos_token_id": 1,
                "vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "projection_dim": 16,
                "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 8,
            },
            "geometry_encoder_config": layer,
            "detr_encoder_config": layer,
            "detr_decoder_config": {**layer, "num_queries": 2},
            "mask_decoder_config": {"hidden_size": 128, "num_upsampling_stages": 3, "num_attention_heads": 2},
        },
        tracker_config={
            "vision_config": vision,
            "prompt_encoder_config": {
                "hidden_size": 128, "image_size": 128, "patch_size": 16, "mask_input_channels": 4,
            },
            "mask_decoder_config": {
                "hidden_size": 128, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
            },
            "image_size": 128,
            "memory_attention_hidden_size": 128,
            "memory_attention_num_layers": 1,
            "memory_attention_feed_forward_hidden_size": 32,
            "memory_encoder_hidden_size": 128,
            "mask_downsampler_embed_dim": 128,
            "memory_fuser_embed_dim": 128,
            "memory_fuser_intermediate_dim": 32,
        },
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # the positional encoding is a random buffer
        network = Sam3VideoModel(config).eval()
    randomise(network, seed=seed)
    network.save_pretrained(folder)
    # The library writes the tracker's prefix twice; the published file has it once.
    tensors = load_file(folder / "model.safetensors")
    once = {name.replace("tracker_model.tracker_model.", "tracker_model."): value for name, value in tensors.items()}
    save_file(once, folder / "model.safetensors", metadata={"format": "pt"})


class PyramidPose(nn.Module):
    """A pose network in Sapiens' form, (B, 3, H, W) -> (B, K, H / 4, W / 4): its heatmaps are the picture's red."""

    def __init__(self, num_keypoints: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_keypoints, 3, 1, 1))
        with torch.no_grad():
            self.weight[:, 0] = 58.5 / 255

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Red, 0–1, at a quarter of the size."""
        size = [images.shape[2] // 4, images.shape[3] // 4]
        small = nn.functional.interpolate(images, size=size, mode="bilinear", align_corners=True)
        return nn.functional.conv2d(small, self.weight) + 123.5 / 255


class RedDepth(nn.Module):
    """A depth network in Sapiens' form, (B, 3, H, W) -> (B, 1, H, W): the redder, the farther."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Red, 0–1."""
        return (images[:, :1] * 58.5 + 123.5) / 255


def save_torchscript(network: nn.Module, path: Path) -> None:
    """A traced archive, as Sapiens' are."""
    torch.jit.save(torch.jit.trace(network.eval(), torch.rand(2, 3, 64, 48)), str(path))


def save_sapiens2(folder: Path, *, num_keypoints: int = 308, flip_pairs: list[list[int]] | None = None) -> None:
    """`config.json` and `model.safetensors` of a Sapiens 2 pose network that sees 64 x 48 pixels."""
    from transformers import Sapiens2Config, Sapiens2ForPoseEstimation

    config = Sapiens2Config(
        image_size=[64, 48],
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_attention_heads=1,
        num_first_full_attention_layers=1,
        num_last_full_attention_layers=0,
        num_register_tokens=2,
        num_labels=num_keypoints,
        flip_pairs=flip_pairs,
        head_config={"upsample_out_channels": [16, 16], "conv_out_channels": [16]},
    )
    network = Sapiens2ForPoseEstimation(config).eval()
    randomise(network)
    network.save_pretrained(folder)


def save_depth_anything(folder: Path, *, metric: bool = False) -> None:
    """`config.json` and `model.safetensors` of a Depth Anything of 42 x 42 pixels in patches of 14."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation

    config = DepthAnythingConfig(
        backbone_config={
            "model_type": "dinov2",
            "image_size": 42,
            "patch_size": 14,
            "hidden_size": 16,
            "num_hidden_layers": 4,
            "num_attention_heads": 2,
            "mlp_ratio": 2,
            "out_indices": [1, 2, 3, 4],
            "reshape_hidden_states": False,
            "apply_layernorm": True,
        },
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
        patch_size=14,
        depth_estimation_type="metric" if metric else "relative",
        max_depth=20 if metric else 1,
    )
    network = DepthAnythingForDepthEstimation(config).eval()
    randomise(network)
    network.save_pretrained(folder)
