"""Published weights of the networks of measures."""

from __future__ import annotations

from models.weights.entry import APACHE, BSD_2, BSD_3, MIT, File, Hub, Loader, Weights

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
        commercial_use=True,
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
        commercial_use=True,
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
        commercial_use=True,
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
        commercial_use=True,
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
        commercial_use=True,
        loader=Loader.TORCH,
        hub=Hub.WEB,
    ),
)
