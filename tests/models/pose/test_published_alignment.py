import json

import numpy as np
import pytest
from golden import GOLDEN
from numpy.typing import NDArray
from safetensors.numpy import load_file

from models.pose.extent import CONFIDENT_SCORE
from models.pose.openpose import FACE, FEET, LEFT_HAND, from_openpose, to_openpose
from models.pose.published_alignment import align_musepose, align_unianimate, musepose_ratios, rescale_mimicmotion
from models.pose.retarget import Rule, retarget
from models.pose.skeleton import INDEX

CASES = json.loads((GOLDEN / "retarget" / "case.json").read_text())["cases"]

cases = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[np.float64]]:
    return load_file(GOLDEN / "retarget" / "outputs.safetensors")


def inputs(golden: dict[str, NDArray[np.float64]], case: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    driving, reference = (
        np.concatenate([golden[f"{case}.{who}_keypoints"], golden[f"{case}.{who}_scores"][..., None]], axis=-1)
        for who in ("driving", "reference")
    )
    return driving, reference


def sizes(case: str) -> dict[str, tuple[int, int]]:
    return {f"{who}_size_px": tuple(CASES[case][f"{who}_size"]) for who in ("driving", "reference")}


def assert_same(aligned: NDArray[np.float64], golden: dict[str, NDArray[np.float64]], prefix: str) -> None:
    body = golden[f"{prefix}.candidate"]
    ours = aligned[:, :18, :2]
    if body.shape[1] == 20:
        toes = [aligned[:, big : big + 2, :2].mean(axis=1) for big in (FEET.start, FEET.start + 3)]
        ours = np.concatenate([ours, np.stack(toes, axis=1)], axis=1)
    finite = np.isfinite(body)
    np.testing.assert_allclose(ours[finite], body[finite], rtol=0, atol=1e-9)
    assert not ours[~finite].any()
    np.testing.assert_allclose(aligned[:, FACE, :2], golden[f"{prefix}.faces"][:, 0], rtol=0, atol=1e-9)
    hands = golden[f"{prefix}.hands"].reshape(len(aligned), 42, 2)
    np.testing.assert_allclose(aligned[:, LEFT_HAND.start :, :2], hands, rtol=0, atol=1e-9)


@cases
def test_musepose(golden: dict[str, NDArray[np.float64]], case: str) -> None:
    driving, reference = inputs(golden, case)
    aligned = align_musepose(driving, reference, **sizes(case))
    assert_same(aligned, golden, f"{case}.musepose")
    assert not aligned[:, FEET].any()


@cases
def test_musepose_ratios(golden: dict[str, NDArray[np.float64]], case: str) -> None:
    def in_heights(points: NDArray[np.float64], size_px: tuple[int, int]) -> NDArray[np.float64]:
        xy = np.where(points[:, 2:] < 0.3, -1.0, points[:, :2])
        xy[:18] = points[:18, :2]
        return xy * [size_px[1] / size_px[0], 1]

    driving, reference = inputs(golden, case)
    size = sizes(case)
    ratios = musepose_ratios(
        in_heights(reference, size["reference_size_px"]), in_heights(driving[0], size["driving_size_px"])
    )
    assert {f"scale_{name}": ratio for name, ratio in ratios.items()} == pytest.approx(
        CASES[case]["musepose_scales"], abs=1e-9
    )


@cases
def test_unianimate(golden: dict[str, NDArray[np.float64]], case: str) -> None:
    assert_same(align_unianimate(*inputs(golden, case)), golden, f"{case}.unianimate")


@cases
def test_mimicmotion(golden: dict[str, NDArray[np.float64]], case: str) -> None:
    driving, reference = inputs(golden, case)
    assert_same(rescale_mimicmotion(driving, reference, **sizes(case)), golden, f"{case}.mimicmotion")


def test_missing_points_stay_missing(golden: dict[str, NDArray[np.float64]]) -> None:
    driving, reference = inputs(golden, "missing_legs")
    for aligned in (
        align_musepose(driving, reference, **sizes("missing_legs")),
        align_unianimate(driving, reference),
        rescale_mimicmotion(driving, reference, **sizes("missing_legs")),
    ):
        assert (aligned[driving[..., 2] < 0.3][:, 2] < 0.3).all()
        assert np.isfinite(aligned).all()


def test_refuses_another_layout(golden: dict[str, NDArray[np.float64]]) -> None:
    driving, reference = inputs(golden, "plain")
    with pytest.raises(ValueError, match=r"got \(134, 3\) and \(134, 3\)"):
        align_unianimate(reference, reference)
    with pytest.raises(ValueError, match=r"got \(4, 133, 3\) and \(134, 3\)"):
        rescale_mimicmotion(driving[:, :133], reference, **sizes("plain"))


@cases
@pytest.mark.parametrize("rule", ["musepose", "unianimate", "mimicmotion"])
def test_requests_can_name_each_as_a_rule(golden: dict[str, NDArray[np.float64]], case: str, rule: Rule) -> None:
    driving, reference = inputs(golden, case)
    size = sizes(case)
    (height, width), (reference_height, reference_width) = size["driving_size_px"], size["reference_size_px"]
    keypoints, target = (
        from_openpose(points * scale).astype(np.float32)
        for points, scale in ((driving, (width, height, 1)), (reference, (reference_width, reference_height, 1)))
    )
    measured = [INDEX[f"{side}_{joint}"] for side in ("left", "right") for joint in ("shoulder", "hip")]
    complete = min(keypoints[0, measured, 2].min(), target[measured, 2].min()) >= CONFIDENT_SCORE
    retargeted = retarget(keypoints, target, **size, rule=rule)
    assert (retargeted.rule == rule) == complete
    if not complete:
        assert retargeted.rule == "limbs"
        return
    again = retarget(keypoints, target, **size, rule=rule)
    np.testing.assert_array_equal(again.keypoints, retargeted.keypoints)
    align = {"musepose": align_musepose, "mimicmotion": rescale_mimicmotion}.get(rule)
    points, aim = (to_openpose(from_openpose(each)) for each in (driving, reference))
    expected = align_unianimate(points, aim) if align is None else align(points, aim, **size)
    expected = from_openpose(expected * (reference_width, reference_height, 1))
    shown = retargeted.keypoints[..., 2] > 0
    assert shown.any()
    np.testing.assert_allclose(retargeted.keypoints[shown], expected[shown], rtol=1e-4, atol=2e-2)
