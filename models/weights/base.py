"""Public base models, from which papers begin their training."""

from __future__ import annotations

from models.weights.entry import File, Loader, Weights
from models.weights.licence import APACHE, OPENRAIL

SD_UNET = Weights(
    name="sd-1.5-unet",
    system="Stable Diffusion 1.5",
    part="U-Net",
    repository="stable-diffusion-v1-5/stable-diffusion-v1-5",
    files=(
        File(
            name="unet/diffusion_pytorch_model.safetensors",
            size_bytes=3_438_167_540,
            sha256="19da7aaa4b880e59d56843f1fcb4dd9b599c28a1d9d9af7c1143057c8ffae9f1",
        ),
    ),
    licence=OPENRAIL,
    loader=Loader.SAFETENSORS,
)
SD_IMAGE_VARIATIONS_UNET = Weights(
    name="sd-image-variations-unet",
    system="Stable Diffusion image variations",
    part="U-Net",
    repository="lambdalabs/sd-image-variations-diffusers",
    files=(File(name="unet/diffusion_pytorch_model.bin", size_bytes=3_438_000_000),),
    licence=OPENRAIL,
    loader=Loader.TORCH,
)
ANIMATEDIFF_1 = Weights(
    name="animatediff-v1",
    system="AnimateDiff",
    part="temporal layers",
    repository="guoyww/animatediff",
    files=(File(name="mm_sd_v15.ckpt", size_bytes=1_670_000_000),),
    licence=APACHE,
    loader=Loader.TORCH,
)
ANIMATEDIFF_2 = Weights(
    name="animatediff-v2",
    system="AnimateDiff",
    part="temporal layers",
    repository="guoyww/animatediff",
    files=(File(name="mm_sd_v15_v2.ckpt", size_bytes=1_817_000_000),),
    licence=APACHE,
    loader=Loader.TORCH,
)
OPENPOSE_CONTROL_NET = Weights(
    name="controlnet-openpose",
    system="ControlNet 1.1",
    part="pose ControlNet",
    repository="lllyasviel/control_v11p_sd15_openpose",
    files=(File(name="diffusion_pytorch_model.safetensors", size_bytes=1_445_000_000),),
    licence=OPENRAIL,
    loader=Loader.SAFETENSORS,
)

WEIGHTS = (SD_UNET, SD_IMAGE_VARIATIONS_UNET, ANIMATEDIFF_1, ANIMATEDIFF_2, OPENPOSE_CONTROL_NET)
ANIMATE_ANYONE_BASE = (SD_IMAGE_VARIATIONS_UNET, ANIMATEDIFF_2, OPENPOSE_CONTROL_NET)
"""Base models of Animate Anyone's public training code. The U-Net reads image embeddings in place of text."""
