"""Weights of VAEs and image encoders: the published ones and those that ship with the project."""

from __future__ import annotations

from models.weights.entry import File, Loader, Weights, folder, shipped
from models.weights.licence import APACHE, MIT, OPENRAIL, OPENRAIL_2

_SHIPPED = "models/appearance/checkpoints"

PUPPETS_VAE = shipped("puppets-vae", "puppets", "VAE", f"{_SHIPPED}/vae.safetensors")
PUPPETS_IMAGE_ENCODER = shipped(
    "puppets-image-encoder", "puppets", "image features", f"{_SHIPPED}/image_encoder.safetensors"
)
CLIP = Weights(
    name="clip-vit-l-image-variations",
    system="CLIP ViT-L/14",
    part="image features",
    repository="lambdalabs/sd-image-variations-diffusers",
    files=(
        File(name="image_encoder/config.json", size_bytes=2_000),
        File(
            name="image_encoder/pytorch_model.bin",
            size_bytes=1_215_993_967,
            sha256="89d2aa29b5fdf64f3ad4f45fb4227ea98bc45156bbae673b85be1af7783dbabb",
        ),
    ),
    licence=OPENRAIL,
    loader=Loader.TORCH,
)
OPEN_CLIP = folder(
    "open-clip-vit-h",
    "OpenCLIP ViT-H/14",
    "image features",
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    licence=MIT,
    weights=File(name="model.safetensors", size_bytes=3_944_000_000),
)
SD_VAE = folder(
    "sd-vae-ft-mse",
    "Stable Diffusion 1.5",
    "VAE",
    "stabilityai/sd-vae-ft-mse",
    licence=MIT,
    weights=File(
        name="diffusion_pytorch_model.safetensors",
        size_bytes=334_643_276,
        sha256="a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
    ),
    loader=Loader.DIFFUSERS,
)
ANIMATE_X_VAE = Weights(
    name="animate-x-vae",
    system="Animate-X",
    part="VAE",
    repository="Shuaishuai0219/Animate-X",
    files=(File(name="v2-1_512-ema-pruned.ckpt", size_bytes=5_214_000_000),),
    licence=OPENRAIL_2,
    loader=Loader.TORCH,
)
ANIMATE_X_CLIP = Weights(
    name="animate-x-clip",
    system="Animate-X",
    part="image features",
    repository="Shuaishuai0219/Animate-X",
    files=(File(name="open_clip_pytorch_model.bin", size_bytes=3_944_000_000),),
    licence=MIT,
    loader=Loader.TORCH,
)

IP_ADAPTER_IMAGE_ENCODER = folder(
    "ip-adapter-image-encoder",
    "IP-Adapter",
    "image features",
    "h94/IP-Adapter",
    licence=APACHE,
    weights=File(
        name="models/image_encoder/model.safetensors",
        size_bytes=2_528_373_448,
        sha256="6ca9667da1ca9e0b0f75e46bb030f7e011f44f86cbfb8d5a36590fcd7507b030",
    ),
)
IP_ADAPTER = Weights(
    name="ip-adapter-plus",
    system="IP-Adapter",
    part="image tokens",
    repository="h94/IP-Adapter",
    files=(
        File(
            name="models/ip-adapter-plus_sd15.safetensors",
            size_bytes=98_200_000,
            sha256="a1c250be40455cc61a43da1201ec3f1edaea71214865fb47f57927e06cbe4996",
        ),
    ),
    licence=APACHE,
    loader=Loader.SAFETENSORS,
)
SD_TEXT_ENCODER = folder(
    "sd-1.5-text-encoder",
    "Stable Diffusion 1.5",
    "text encoder",
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    licence=OPENRAIL,
    weights=File(name="text_encoder/model.safetensors", size_bytes=492_000_000),
)

WEIGHTS = (
    PUPPETS_VAE,
    PUPPETS_IMAGE_ENCODER,
    CLIP,
    OPEN_CLIP,
    SD_VAE,
    ANIMATE_X_VAE,
    ANIMATE_X_CLIP,
    IP_ADAPTER_IMAGE_ENCODER,
    IP_ADAPTER,
    SD_TEXT_ENCODER,
)
