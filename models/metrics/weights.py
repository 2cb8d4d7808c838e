"""Published weights of the networks of measures."""

from __future__ import annotations

from models.weights.entry import File, Hub, Loader, Weights
from models.weights.licence import APACHE, BSD_2, BSD_3, MIT


def _adaface(depth: int, size_bytes: int, sha256: str) -> Weights:
    return Weights(
        name=f"adaface-ir-{depth}",
        system="AdaFace",
        part="identity of faces",
        repository="github.com/yakhyo/adaface-onnx/releases/download/weights",
        files=(File(name=f"adaface_ir_{depth}.onnx", size_bytes=size_bytes, sha256=sha256),),
        licence=MIT,
        loader=Loader.ONNX,
        hub=Hub.WEB,
    )


WEIGHTS: tuple[Weights, ...] = (
    Weights(
        name="fid-inception",
        system="FID",
        part="Inception v3",
        repository="github.com/mseitzer/pytorch-fid/releases/download/fid_weights",
        files=(
            File(
                name="pt_inception-2015-12-05-6726825d.pth",
                size_bytes=95_628_359,
                sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            ),
        ),
        licence=APACHE,
        loader=Loader.TORCH,
        hub=Hub.WEB,
    ),
    Weights(
        name="resnet3d-50-kinetics",
        system="FID-VID",
        part="3D ResNet-50",
        repository="kenshohara/3D-ResNets-PyTorch",
        files=(File(name="resnet-50-kinetics.pth"),),
        licence=MIT,
        loader=Loader.TORCH,
        hub=Hub.LINKED,
    ),
    Weights(
        name="i3d-kinetics-400",
        system="FVD",
        part="I3D",
        repository="github.com/songweige/TATS/raw/main/tats/fvd",
        files=(File(name="i3d_pretrained_400.pt", size_bytes=50_900_000),),
        licence=APACHE,
        loader=Loader.TORCH,
        hub=Hub.WEB,
    ),
    Weights(
        name="lpips-vgg16",
        system="LPIPS",
        part="VGG-16",
        repository="download.pytorch.org/models",
        files=(
            File(
                name="vgg16-397923af.pth",
                size_bytes=553_000_000,
                sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            ),
        ),
        licence=BSD_3,
        loader=Loader.TORCH,
        hub=Hub.WEB,
    ),
    Weights(
        name="lpips-heads",
        system="LPIPS",
        part="weights of channels",
        repository="github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1",
        files=(
            File(
                name="vgg.pth",
                size_bytes=7_289,
                sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
            ),
        ),
        licence=BSD_2,
        loader=Loader.TORCH,
        hub=Hub.WEB,
    ),
    Weights(
        name="videomae-v2-vit-g-ssv2",
        system="cd-FVD",
        part="VideoMAE V2 ViT-g",
        repository="OpenGVLab/VideoMAE2",
        files=(
            File(
                name="mae-g/vit_g_hybrid_pt_1200e_ssv2_ft.pth",
                size_bytes=2_020_000_000,
                sha256="5a210a92f035dff30c53b46157b612e7a1a5d3c99700e1b2d71da5c399ca7e70",
            ),
        ),
        licence=APACHE,
        loader=Loader.TORCH,
    ),
    Weights(
        name="i3d-dtdb",
        system="DTFVD",
        part="I3D",
        repository="CompVis/image2video-synthesis-using-cINNs",
        files=(File(name="I3D_16.pth.tar"),),
        licence=MIT,
        loader=Loader.TORCH,
        hub=Hub.LINKED,
    ),
    Weights(
        name="dino-vit-b16",
        system="subject consistency",
        part="DINO ViT-B/16",
        repository="dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain",
        files=(File(name="dino_vitbase16_pretrain.pth", size_bytes=343_000_000),),
        licence=APACHE,
        loader=Loader.TORCH,
        hub=Hub.WEB,
    ),
    Weights(
        name="clip-vit-b32",
        system="background consistency",
        part="CLIP ViT-B/32",
        repository="openai/clip-vit-base-patch32",
        files=(File(name="config.json", size_bytes=4_190), File(name="pytorch_model.bin", size_bytes=605_000_000)),
        licence=MIT,
        loader=Loader.TORCH,
    ),
    Weights(
        name="yunet",
        system="YuNet",
        part="face detection",
        repository="opencv/face_detection_yunet",
        files=(
            File(
                name="face_detection_yunet_2023mar.onnx",
                size_bytes=232_589,
                sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            ),
        ),
        licence=MIT,
        loader=Loader.ONNX,
    ),
    _adaface(18, 92_000_000, "6b6a35772fb636cdd4fa86520c1a259d0c41472a76f70f802b351837a00d9870"),
    _adaface(101, 249_000_000, "f2eb07d03de0af560a82e1214df799fec5e09375d43521e2868f9dc387e5a43e"),
)
