from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toy_animation import ToyModel, scene_model, spec_of

from stages.animate.reference import ReferenceConfig, ReferenceStage
from stages.base import Row
from stages.outcome import BadRow


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """300 x 100 pixels: red, green, blue."""
    pixels = np.zeros((100, 300, 3), np.uint8)
    for third in range(3):
        pixels[:, 100 * third : 100 * (third + 1), third] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    return tmp_path / "wide.png"


@pytest.fixture
def run() -> Iterator[Any]:
    opened: list[ReferenceStage] = []

    def run(
        uri: Path | str,
        size: tuple[int | None, int | None] = (None, None),
        model: ToyModel | None = None,
        **config: Any,
    ) -> Row:
        stage = ReferenceStage(ReferenceConfig(**config))
        stage.open()
        opened.append(stage)
        part = {"width_px": 160, "height_px": 90}
        row = {"reference_uri": str(uri), "model_spec": spec_of(model), "driving_part": part}
        return stage({**row, "width_px": size[0], "height_px": size[1]})

    yield run
    for stage in opened:
        stage.close()


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ((None, None), (192, 64)),  # the model's 64 on the shorter side
        ((96, None), (96, 32)),
        ((None, 96), (288, 96)),
        ((64, 64), (64, 64)),
        ((8, None), (8, 8)),  # at least one multiple
    ],
)
def test_output_size_follows_the_request_and_the_picture(
    run: Any, wide: Path, asked: tuple[int | None, int | None], made: tuple[int, int]
) -> None:
    row = run(wide, asked)
    assert (row["canvas_width_px"], row["canvas_height_px"]) == made
    assert row["reference_picture"].shape == (made[1], made[0], 3)
    assert row["reference_picture"].dtype == np.uint8
    assert row["reference_fingerprint"] == f"sha256:{hashlib.sha256(wide.read_bytes()).hexdigest()}"


def test_other_aspect_ratios_are_cropped_or_padded(run: Any, wide: Path) -> None:
    middle = run(wide, (64, 64))["reference_picture"]
    assert (middle[:, 4:-4] == (0, 255, 0)).all()
    whole = run(wide, (96, 96), fit="pad", background_rgb=(7, 8, 9))["reference_picture"]
    assert (whole[:30] == (7, 8, 9)).all()
    assert whole[48, 8].tolist() == [255, 0, 0]
    assert whole[48, -8].tolist() == [0, 0, 255]


@pytest.mark.parametrize(("asked", "made"), [((None, None), (112, 64)), ((96, None), (96, 56)), ((64, 96), (64, 96))])
def test_a_model_that_keeps_the_scene_has_the_shape_of_the_video_and_the_whole_picture(
    run: Any, wide: Path, asked: tuple[int | None, int | None], made: tuple[int, int]
) -> None:
    row = run(wide, asked, scene_model())
    assert (row["canvas_width_px"], row["canvas_height_px"]) == made
    assert row["reference_picture"].shape == (100, 300, 3)
    assert run(wide, asked, scene_model(), max_side_px=150)["reference_picture"].shape == (50, 150, 3)


def test_unreadable_pictures_fail(run: Any, wide: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(wide.read_bytes()[:50])
    for uri, reason in (
        (tmp_path / "nowhere.png", "NotFound"),
        (tmp_path / "broken.png", "NotAnImage"),
        ("http://169.254.169.254/a.png", "NotAllowed"),
    ):
        with pytest.raises(BadRow, match=reason):
            run(uri)
    with pytest.raises(BadRow, match=r"TooLarge: .* bytes, 10 are allowed"):
        run(wide, max_bytes=10)
    with pytest.raises(BadRow, match="TooLarge: the output would be 192 x 64 pixels, 128 a side are allowed"):
        run(wide, max_side_px=128)


def test_rejects_invalid_settings() -> None:
    with pytest.raises(ValueError, match="unknown fit 'stretch'"):
        ReferenceConfig(fit="stretch")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="three values from 0 to 255"):
        ReferenceConfig(background_rgb=(0, 0, 256))
