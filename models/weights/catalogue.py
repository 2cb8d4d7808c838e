"""Catalogue of the published weights that this project can load: publisher, licence and files.

Digests are those published by the host of the file; a file with another digest is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

from models.weights.entry import File, Hub, Loader, Weights

APACHE, MIT, NON_COMMERCIAL = "Apache-2.0", "MIT", "CC-BY-NC-4.0"
OPENRAIL = "CreativeML OpenRAIL-M"
SHIPPED = "models/perception/checkpoints"
CONFIG_BYTES = 2_000


def _embedded(part: str, file: str) -> Weights:
    return Weights(
        name=f"embedded-{file}",
        system="embedded",
        part=part,
        repository=SHIPPED,
        files=(File(name=f"{file}.safetensors"),),
        licence=APACHE,
        commercial_use=True,
        loader=Loader.SAFETENSORS,
        hub=Hub.PACKAGE,
    )


def _dwpose(part: str, file: File) -> Weights:
    return Weights(
        name=f"dwpose-{part}",
        system="DWPose",
        part=part,
        repository="yzd-v/DWPose",
        files=(file,),
        licence=APACHE,
        commercial_use=True,
        loader=Loader.ONNX,
    )


def _sapiens(part: str, name: str, repository: str, file: str) -> Weights:
    return Weights(
        name=name,
        system="Sapiens",
        part=part,
        repository=repository,
        files=(File(name=file),),
        licence=NON_COMMERCIAL,
        commercial_use=False,
        loader=Loader.TORCHSCRIPT,
    )


def _sapiens_pose(num_keypoints: int, size: str, layout: str, precision: int) -> Weights:
    """`precision`: average precision of the publisher's evaluation, part of the file name."""
    file = f"sapiens_{size}_{layout}_best_{layout}_AP_{precision}_torchscript.pt2"
    name = f"sapiens-pose-{num_keypoints}-{size}"
    if layout == "goliath":
        return _sapiens(f"pose, {num_keypoints} keypoints", name, f"facebook/sapiens-pose-{size}-torchscript", file)
    folder = f"sapiens_lite_host/torchscript/pose/checkpoints/sapiens_{size}"
    return _sapiens(f"pose, {num_keypoints} keypoints", name, "noahcao/sapiens-pose-coco", f"{folder}/{file}")


def _sapiens_depth(size: str, epoch: int) -> Weights:
    file = f"sapiens_{size}_render_people_epoch_{epoch}_torchscript.pt2"
    return _sapiens("depth", f"sapiens-depth-{size}", f"facebook/sapiens-depth-{size}-torchscript", file)


def _folder(
    name: str,
    system: str,
    part: str,
    repository: str,
    *,
    licence: str,
    commercial_use: bool,
    weights: File,
    loader: Loader = Loader.TRANSFORMERS,
) -> Weights:
    """Entry of a weights file with a `config.json` beside it."""
    config = File(name=str(PurePosixPath(weights.name).with_name("config.json")), size_bytes=CONFIG_BYTES)
    return Weights(
        name=name,
        system=system,
        part=part,
        repository=repository,
        files=(config, weights),
        licence=licence,
        commercial_use=commercial_use,
        loader=loader,
    )


def _sapiens2_pose(size: str, size_bytes: int | None = None) -> Weights:
    return _folder(
        f"sapiens2-pose-{size}",
        "Sapiens 2",
        "pose, 308 keypoints",
        f"facebook/sapiens2-pose-{size}",
        licence="Sapiens2 License",
        commercial_use=True,
        weights=File(name="model.safetensors", size_bytes=size_bytes),
    )


def _depth_anything(size: str, size_bytes: int, licence: str) -> Weights:
    return _folder(
        f"depth-anything-v2-{size.lower()}",
        "Depth Anything V2",
        "depth",
        f"depth-anything/Depth-Anything-V2-{size}-hf",
        licence=licence,
        commercial_use=licence == APACHE,
        weights=File(name="model.safetensors", size_bytes=size_bytes),
    )


def _sam2(size: str, size_bytes: int, sha256: str) -> tuple[Weights, Weights]:
    """Entries of the transformers folder and of the file for the publisher's package; `sha256` is of that file."""
    repository = f"facebook/sam2.1-hiera-{size}"
    name = f"sam2.1-hiera-{size}"
    file = File(name=f"sam2.1_hiera_{size.replace('-', '_')}.pt", size_bytes=size_bytes, sha256=sha256)
    return (
        _folder(
            name,
            "SAM 2.1",
            "masks",
            repository,
            licence=APACHE,
            commercial_use=True,
            weights=File(name="model.safetensors", size_bytes=round(size_bytes, -6)),
        ),
        Weights(
            name=f"{name}-official",
            system="SAM 2.1",
            part="masks, for the package sam2",
            repository=repository,
            files=(file,),
            licence=APACHE,
            commercial_use=True,
            loader=Loader.TORCH,
        ),
    )


def _animation(
    name: str,
    system: str,
    repository: str,
    files: tuple[File, ...],
    *,
    licence: str,
    commercial_use: bool | None,
    part: str = "animation",
    hub: Hub = Hub.HUGGING_FACE,
) -> Weights:
    return Weights(
        name=name,
        system=system,
        part=part,
        repository=repository,
        files=files,
        licence=licence,
        commercial_use=commercial_use,
        loader=Loader.TORCH,
        hub=hub,
    )


def _named(*names: tuple[str, int | None]) -> tuple[File, ...]:
    return tuple(File(name=name, size_bytes=size_bytes) for name, size_bytes in names)


_ALL: tuple[Weights, ...] = (
    _embedded("pose, depth, character mask", "figure"),
    _embedded("object masks", "object"),
    _dwpose(
        "detector",
        File(
            name="yolox_l.onnx",
            size_bytes=216_746_733,
            sha256="7860ae79de6c89a3c1eb72ae9a2756c0ccfbe04b7791bb5880afabd97855a411",
        ),
    ),
    _dwpose(
        "pose",
        File(
            name="dw-ll_ucoco_384.onnx",
            size_bytes=134_399_116,
            sha256="724f4ff2439ed61afb86fb8a1951ec39c6220682803b4a8bd4f598cd913b1843",
        ),
    ),
    _sapiens_pose(17, "0.3b", "coco", 796),
    _sapiens_pose(17, "0.6b", "coco", 812),
    _sapiens_pose(17, "1b", "coco", 821),
    _sapiens_pose(17, "2b", "coco", 822),
    _sapiens_pose(133, "0.3b", "coco_wholebody", 620),
    _sapiens_pose(133, "0.6b", "coco_wholebody", 695),
    _sapiens_pose(133, "1b", "coco_wholebody", 727),
    _sapiens_pose(133, "2b", "coco_wholebody", 745),
    _sapiens_pose(308, "0.3b", "goliath", 573),
    _sapiens_pose(308, "0.6b", "goliath", 609),
    _sapiens_pose(308, "1b", "goliath", 639),
    _sapiens_depth("0.3b", 100),
    _sapiens_depth("0.6b", 70),
    _sapiens_depth("1b", 88),
    _sapiens_depth("2b", 25),
    _sapiens2_pose("0.4b"),
    _sapiens2_pose("0.8b"),
    _sapiens2_pose("1b"),
    _depth_anything("Small", 99_000_000, APACHE),
    _depth_anything("Base", 390_000_000, NON_COMMERCIAL),
    _depth_anything("Large", 1_341_000_000, NON_COMMERCIAL),
    *_sam2("tiny", 156_008_466, "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69"),
    *_sam2("small", 184_416_285, "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38"),
    *_sam2("base-plus", 323_606_802, "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5"),
    *_sam2("large", 898_083_611, "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318"),
    Weights(
        name="clip-vit-l-image-variations",
        system="CLIP ViT-L/14",
        part="image features",
        repository="lambdalabs/sd-image-variations-diffusers",
        files=(
            File(name="image_encoder/config.json", size_bytes=CONFIG_BYTES),
            File(
                name="image_encoder/pytorch_model.bin",
                size_bytes=1_215_993_967,
                sha256="89d2aa29b5fdf64f3ad4f45fb4227ea98bc45156bbae673b85be1af7783dbabb",
            ),
        ),
        licence=OPENRAIL,
        commercial_use=True,
        loader=Loader.TORCH,
    ),
    _folder(
        "open-clip-vit-h",
        "OpenCLIP ViT-H/14",
        "image features",
        "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        licence=MIT,
        commercial_use=True,
        weights=File(name="model.safetensors", size_bytes=3_944_000_000),
    ),
    _folder(
        "sd-vae-ft-mse",
        "Stable Diffusion 1.5",
        "VAE",
        "stabilityai/sd-vae-ft-mse",
        licence=MIT,
        commercial_use=True,
        weights=File(
            name="diffusion_pytorch_model.safetensors",
            size_bytes=334_643_276,
            sha256="a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
        ),
        loader=Loader.DIFFUSERS,
    ),
    Weights(
        name="sd-1.5-unet-config",
        system="Stable Diffusion 1.5",
        part="U-Net settings",
        repository="stable-diffusion-v1-5/stable-diffusion-v1-5",
        files=(File(name="unet/config.json", size_bytes=743),),
        licence=OPENRAIL,
        commercial_use=True,
        loader=Loader.JSON,
    ),
    _folder(
        "sd-1.5-text-encoder",
        "Stable Diffusion 1.5",
        "text encoder",
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        licence=OPENRAIL,
        commercial_use=True,
        weights=File(name="text_encoder/model.safetensors", size_bytes=492_000_000),
    ),
    Weights(
        name="sd-1.5-tokenizer",
        system="Stable Diffusion 1.5",
        part="tokenizer",
        repository="stable-diffusion-v1-5/stable-diffusion-v1-5",
        files=_named(
            ("tokenizer/vocab.json", 1_060_000),
            ("tokenizer/merges.txt", 525_000),
            ("tokenizer/tokenizer_config.json", 800),
            ("tokenizer/special_tokens_map.json", 470),
        ),
        licence=OPENRAIL,
        commercial_use=True,
        loader=Loader.JSON,
    ),
    _animation(
        "moore-animate-anyone",
        "Animate Anyone (Moore-AnimateAnyone)",
        "patrolli/AnimateAnyone",
        _named(
            ("denoising_unet.pth", 3_440_000_000),
            ("reference_unet.pth", 3_440_000_000),
            ("pose_guider.pth", 4_350_000),
            ("motion_module.pth", 1_820_000_000),
        ),
        licence=APACHE,
        commercial_use=True,
    ),
    _animation(
        "musepose",
        "Animate Anyone (MusePose)",
        "TMElyralab/MusePose",
        _named(
            ("MusePose/denoising_unet.pth", None),
            ("MusePose/reference_unet.pth", None),
            ("MusePose/pose_guider.pth", None),
            ("MusePose/motion_module.pth", None),
        ),
        licence="MusePose (research only)",
        commercial_use=False,
    ),
    _animation(
        "unianimate",
        "UniAnimate",
        "iic/unianimate",
        _named(("unianimate_16f_32f_non_ema_223000.pth", None)),
        licence="none stated",
        commercial_use=None,
        hub=Hub.MODELSCOPE,
    ),
    _animation(
        "animate-x",
        "Animate-X",
        "Shuaishuai0219/Animate-X",
        _named(("animate-x_ckpt.pth", None)),
        licence=APACHE,
        commercial_use=True,
    ),
    _animation(
        "animate-x-vae",
        "Animate-X",
        "Shuaishuai0219/Animate-X",
        _named(("v2-1_512-ema-pruned.ckpt", 5_214_000_000)),
        licence="CreativeML OpenRAIL++-M",
        commercial_use=True,
        part="VAE",
    ),
    _animation(
        "animate-x-clip",
        "Animate-X",
        "Shuaishuai0219/Animate-X",
        _named(("open_clip_pytorch_model.bin", 3_944_000_000)),
        licence=MIT,
        commercial_use=True,
        part="image features",
    ),
    _animation(
        "x-dyna",
        "X-Dyna",
        "Boese0601/X-Dyna",
        _named(
            ("unet-checkpoint-epoch-5.ckpt", 5_290_000_000),
            ("controlnet-checkpoint-epoch-5.ckpt", 1_450_000_000),
            ("controlnet-face-checkpoint-epoch-2.ckpt", 1_450_000_000),
        ),
        licence=MIT,
        commercial_use=True,
    ),
    _folder(
        "ip-adapter-image-encoder",
        "X-Dyna",
        "image features",
        "h94/IP-Adapter",
        licence=APACHE,
        commercial_use=True,
        weights=File(
            name="models/image_encoder/model.safetensors",
            size_bytes=2_528_373_448,
            sha256="6ca9667da1ca9e0b0f75e46bb030f7e011f44f86cbfb8d5a36590fcd7507b030",
        ),
    ),
    Weights(
        name="ip-adapter-plus",
        system="X-Dyna",
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
        commercial_use=True,
        loader=Loader.SAFETENSORS,
    ),
)

CATALOGUE: Mapping[str, Weights] = MappingProxyType({weights.name: weights for weights in _ALL})
"""Weights by name."""

ANIMATION_NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "animate-anyone (Moore)": (
            "moore-animate-anyone",
            "sd-1.5-unet-config",
            "clip-vit-l-image-variations",
            "sd-vae-ft-mse",
        ),
        "animate-anyone (MusePose)": (
            "musepose",
            "sd-1.5-unet-config",
            "clip-vit-l-image-variations",
            "sd-vae-ft-mse",
        ),
        "animate-x": ("animate-x", "animate-x-vae", "animate-x-clip"),
        "unianimate": ("unianimate", "animate-x-vae", "animate-x-clip"),
        "x-dyna": (
            "x-dyna",
            "sd-1.5-unet-config",
            "sd-1.5-text-encoder",
            "sd-1.5-tokenizer",
            "sd-vae-ft-mse",
            "ip-adapter-image-encoder",
            "ip-adapter-plus",
        ),
    }
)
"""Names of the weights that each published animation system requires."""
