"""Weights of perception networks: the published ones and those that ship with the project."""

from __future__ import annotations

from models.weights.entry import File, Hub, Loader, Weights, folder, shipped
from models.weights.licence import APACHE, NON_COMMERCIAL, SAM, SAPIENS_2, Licence

_SHIPPED = "models/perception/checkpoints"


def _dwpose(part: str, file: File) -> Weights:
    return Weights(
        name=f"dwpose-{part}",
        system="DWPose",
        part=part,
        repository="yzd-v/DWPose",
        files=(file,),
        licence=APACHE,
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
        loader=Loader.TORCHSCRIPT,
    )


def _sapiens_pose(num_keypoints: int, size: str, layout: str, precision: int) -> Weights:
    """`precision`: of the publisher's evaluation, which is part of the file's name."""
    file = f"sapiens_{size}_{layout}_best_{layout}_AP_{precision}_torchscript.pt2"
    name = f"sapiens-pose-{num_keypoints}-{size}"
    if layout == "goliath":
        return _sapiens(f"pose, {num_keypoints} keypoints", name, f"facebook/sapiens-pose-{size}-torchscript", file)
    folder = f"sapiens_lite_host/torchscript/pose/checkpoints/sapiens_{size}"
    return _sapiens(f"pose, {num_keypoints} keypoints", name, "noahcao/sapiens-pose-coco", f"{folder}/{file}")


def _sapiens_depth(size: str, epoch: int) -> Weights:
    file = f"sapiens_{size}_render_people_epoch_{epoch}_torchscript.pt2"
    return _sapiens("depth", f"sapiens-depth-{size}", f"facebook/sapiens-depth-{size}-torchscript", file)


def _sapiens2_pose(size: str, size_bytes: int | None = None) -> Weights:
    return folder(
        f"sapiens2-pose-{size}",
        "Sapiens 2",
        "pose, 308 keypoints",
        f"facebook/sapiens2-pose-{size}",
        licence=SAPIENS_2,
        weights=File(name="model.safetensors", size_bytes=size_bytes),
    )


def _depth_anything(size: str, size_bytes: int, licence: Licence) -> Weights:
    return folder(
        f"depth-anything-v2-{size.lower()}",
        "Depth Anything V2",
        "depth",
        f"depth-anything/Depth-Anything-V2-{size}-hf",
        licence=licence,
        weights=File(name="model.safetensors", size_bytes=size_bytes),
    )


def _sam2(size: str, size_bytes: int, sha256: str) -> tuple[Weights, Weights]:
    """The folder for transformers, and the file for the publisher's own package; `sha256` is the latter's."""
    repository = f"facebook/sam2.1-hiera-{size}"
    name = f"sam2.1-hiera-{size}"
    file = File(name=f"sam2.1_hiera_{size.replace('-', '_')}.pt", size_bytes=size_bytes, sha256=sha256)
    return (
        folder(
            name,
            "SAM 2.1",
            "masks",
            repository,
            licence=APACHE,
            weights=File(name="model.safetensors", size_bytes=round(size_bytes, -6)),
        ),
        Weights(
            name=f"{name}-official",
            system="SAM 2.1",
            part="masks, for the package sam2",
            repository=repository,
            files=(file,),
            licence=APACHE,
            loader=Loader.TORCH,
        ),
    )


WEIGHTS: tuple[Weights, ...] = (
    shipped("embedded-figure", "embedded", "pose, depth, character mask", f"{_SHIPPED}/figure.safetensors"),
    shipped("embedded-object", "embedded", "object masks", f"{_SHIPPED}/object.safetensors"),
    shipped("embedded-face", "embedded", "face landmarks, for scores", f"{_SHIPPED}/face.safetensors"),
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
    # OpenMMLab's own export, as a file of its own: the same bytes as `end2end.onnx` in
    # https://download.openmmlab.com/mmpose/v1/projects/rtmw/onnx_sdk/rtmw-dw-x-l_simcc-cocktail14_270e-384x288_20231122.zip
    Weights(
        name="rtmw-l-384",
        system="RTMW",
        part="pose",
        repository="bukuroo/RTMW-ONNX",
        files=(
            File(
                name="rtmw-l-384.onnx",
                size_bytes=229_320_930,
                sha256="bd033156e5104c4f5d2edfe0453e02661e30a2f3da453ec93c8764d561b83054",
            ),
        ),
        licence=APACHE,
        loader=Loader.ONNX,
    ),
    Weights(
        name="people",
        system="MediaPipe",
        part="pose, character mask, depth",
        repository="mediapipe/0.10.21",
        # The body's networks come first; the others are those of hands and face.
        files=(
            File(
                name="mediapipe/modules/pose_detection/pose_detection.tflite",
                size_bytes=2_959_046,
                sha256="9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
            ),
            File(
                name="mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
                size_bytes=6_440_512,
                sha256="e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
            ),
            File(
                name="mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
                size_bytes=5_478_917,
                sha256="11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
            ),
            File(
                name="mediapipe/modules/holistic_landmark/hand_recrop.tflite",
                size_bytes=123_792,
                sha256="67d996ce96f9d36fe17d2693022c6da93168026ab2f028f9e2365398d8ac7d5d",
            ),
            File(
                name="mediapipe/modules/face_landmark/face_landmark.tflite",
                size_bytes=1_242_398,
                sha256="1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
            ),
        ),
        licence=APACHE,
        loader=Loader.TFLITE,
        hub=Hub.WHEEL,
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
    folder(
        "sam3",
        "SAM 3",
        "masks",
        "facebook/sam3",
        licence=SAM,
        weights=File(name="model.safetensors"),
    ),
)
