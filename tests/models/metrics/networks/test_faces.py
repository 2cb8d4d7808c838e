from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from golden_networks import network_case
from golden_weights import network_input
from numpy.typing import NDArray
from stand_in_faces import POINTS_PX, save_adaface, save_yunet
from stand_in_onnx import save_detector

from models.common.digest import CheckpointError
from models.face.control import similarity
from models.metrics.networks.faces import FACE_POINTS_52, FaceDetector, FaceRecognition, aligned


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("faces")
    save_yunet(folder / "yunet.onnx")
    save_adaface(folder / "adaface.onnx")
    return folder / "yunet.onnx", folder / "adaface.onnx"


def frame(*cells: tuple[int, int, int], size: tuple[int, int] = (640, 640)) -> NDArray[np.uint8]:
    """A frame with red cells of 32 px at (column, row), of this green, in blue noise."""
    picture = np.zeros((*size, 3), np.uint8)
    picture[..., 2] = np.random.default_rng(len(cells)).integers(0, 256, size)
    for column, row, green in cells:
        picture[32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = (255, green, 128)
    return picture


def test_the_largest_face_is_found(files: tuple[Path, Path]) -> None:
    detector = FaceDetector(files[0])
    assert detector.points(frame()) is None
    found = detector.points(frame((5, 8, 0), (14, 3, 200)))
    assert found is not None
    np.testing.assert_allclose(found, np.array([32 * 14, 32 * 3]) + POINTS_PX, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(320, 320), (160, 320), (1280, 640)])
def test_points_are_in_pixels_of_the_frame(files: tuple[Path, Path], height: int, width: int) -> None:
    big = frame((7, 9, 0))
    scale = max(height, width) / 640
    left, top = (640 - width / scale) / 2, (640 - height / scale) / 2
    inner = big[int(top) : int(640 - top), int(left) : int(640 - left)]
    picture = cv2.resize(inner, (width, height), interpolation=cv2.INTER_NEAREST)
    found = FaceDetector(files[0]).points(picture)
    assert found is not None
    expected = (np.array([32 * 7, 32 * 9]) + POINTS_PX - [left, top] + 0.5) * scale - 0.5
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_alignment_is_that_of_uniface() -> None:
    case = network_case()
    points = 30 * network_input("face_points", (4, 5, 2), 0, "uniform") + 1.5 * FACE_POINTS_52 + 20
    matrices = np.stack([similarity(face.astype(np.float32), FACE_POINTS_52) for face in points])
    np.testing.assert_allclose(matrices, case.outputs()["alignment.matrices"].numpy(), atol=1e-4)


def test_an_aligned_face_has_its_points_at_the_template() -> None:
    picture = np.zeros((200, 300, 3), np.uint8)
    points = FACE_POINTS_52 * 1.5 @ [[0.8, 0.6], [-0.6, 0.8]] + [120, -20]
    for x, y in points:
        cv2.circle(picture, (round(x), round(y)), 5, (255, 255, 255), -1)
    face = aligned(picture, points.astype(np.float32))
    assert face.shape == (112, 112, 3)
    for x, y in FACE_POINTS_52:
        assert face[round(y), round(x)].tolist() == [255, 255, 255]
    assert face[5, 5].tolist() == [0, 0, 0]


def test_embeddings_tell_faces_apart(files: tuple[Path, Path]) -> None:
    one, other = frame((7, 9, 0)), frame((7, 9, 120))
    embeddings, detected = FaceRecognition(*files).faces(np.stack([one, frame(), other, one]))
    assert detected.tolist() == [True, False, True, True]
    assert embeddings is not None
    assert embeddings.shape == (4, 512)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), [1, 0, 1, 1], atol=1e-6)
    np.testing.assert_array_equal(embeddings[0], embeddings[3])
    assert embeddings[0] @ embeddings[2] < 0.999


def test_the_network_reads_blue_green_red_from_minus_one_to_one(files: tuple[Path, Path]) -> None:
    recognition = FaceRecognition(*files)
    picture = frame((7, 9, 0))
    embeddings, _ = recognition.faces(picture[None])
    assert embeddings is not None
    points = FaceDetector(files[0]).points(picture)
    assert points is not None
    values = aligned(picture, points)[..., ::-1].astype(np.float64) / 127.5 - 1
    parts = values.reshape(4, 28, 4, 28, 3).mean((1, 3)).transpose(2, 0, 1).ravel()
    expected = parts @ np.random.default_rng(0).normal(size=(48, 512)).astype(np.float32)
    np.testing.assert_allclose(embeddings[0], expected / np.linalg.norm(expected), atol=1e-5)


@pytest.mark.parametrize("batch", [1, "batch"])
def test_faces_do_not_depend_on_their_batch(files: tuple[Path, Path], tmp_path: Path, batch: int | str) -> None:
    save_adaface(tmp_path / "adaface.onnx", batch=batch)
    recognition = FaceRecognition(files[0], tmp_path / "adaface.onnx")
    clip = np.stack([frame((7, 9, 20 * index)) if index != 4 else frame() for index in range(11)])  # more than a batch
    together, detected = recognition.faces(clip)
    assert together is not None
    assert detected.sum() == 10
    for index in range(11):
        alone, _ = recognition.faces(clip[index : index + 1])
        assert alone is not None
        np.testing.assert_allclose(alone[0], together[index], atol=1e-6)


def test_without_a_recogniser_faces_are_only_detected(files: tuple[Path, Path]) -> None:
    embeddings, detected = FaceRecognition(files[0]).faces(np.stack([frame((7, 9, 0)), frame()]))
    assert embeddings is None
    assert detected.tolist() == [True, False]


def test_a_file_of_something_else_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no ONNX file at"):
        FaceDetector(tmp_path / "absent.onnx")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(files[0].read_bytes()[:300])
    with pytest.raises(CheckpointError, match="damaged or of another network"):
        FaceDetector(damaged)
    save_yunet(tmp_path / "no_points.onnx", outputs=("cls", "obj", "bbox"))
    with pytest.raises(CheckpointError, match="damaged or of another network"):
        FaceDetector(tmp_path / "no_points.onnx")
    save_detector(tmp_path / "yolox.onnx")
    with pytest.raises(CheckpointError, match="damaged or of another network"):
        FaceDetector(tmp_path / "yolox.onnx")
    save_adaface(tmp_path / "narrow.onnx", width=128)
    with pytest.raises(CheckpointError, match=r"expected outputs \[\(1, 512\)\]"):
        FaceRecognition(files[0], tmp_path / "narrow.onnx")
