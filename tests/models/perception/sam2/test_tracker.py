from __future__ import annotations

import gc
import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from stand_in_networks import save_sam3
from transformers.image_utils import IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD

from models.common.digest import CheckpointError
from models.perception.prompts import ObjectPrompt
from models.perception.sam2 import tracker as tracker_module
from models.perception.sam2.frames import Sam2Frames
from models.perception.sam2.tracker import Sam2Tracker, Sam3Tracker, prompt_points

NONE = np.zeros((0, 2), np.float32)


def clip(num_frames: int = 6) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (num_frames, 48, 80, 3), dtype=np.uint8)


def box_prompt(frame: int, box: tuple[float, float, float, float] = (10, 8, 50, 40)) -> ObjectPrompt:
    return ObjectPrompt(frame=frame, box=box, positive=NONE, negative=NONE)


def point_prompt(frame: int, x: float, y: float) -> ObjectPrompt:
    return ObjectPrompt(frame=frame, box=None, positive=np.array([[x, y]], np.float32), negative=NONE)


@pytest.fixture(scope="module")
def sam3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SAM 3 in the published layout."""
    folder = tmp_path_factory.mktemp("sam3")
    save_sam3(folder)
    return folder


@pytest.fixture(scope="module")
def sam2(sam2_folder: Path) -> Sam2Tracker:
    return Sam2Tracker(sam2_folder)


@pytest.fixture(scope="module", params=["sam2", "sam3"])
def sam(request: pytest.FixtureRequest) -> Sam2Tracker:
    if request.param == "sam3":
        return Sam3Tracker(request.getfixturevalue("sam3_folder"))
    return request.getfixturevalue("sam2")


def by_the_library(sam: Sam2Tracker, frames: np.ndarray, prompts: list[ObjectPrompt]) -> np.ndarray:
    """Masks by transformers' own loop over a clip that is held whole, as its documentation has it."""
    pictures = Sam2Frames(frames, side_px=128, dtype=torch.float32, mean=sam.mean, std=sam.std)
    session = getattr(transformers, f"{sam.class_prefix}InferenceSession")(
        video=torch.stack([pictures[t] for t in range(len(frames))]),
        video_height=48,
        video_width=80,
        dtype=torch.float32,
    )
    session.obj_id_to_idx(0)
    masks = np.zeros(frames.shape[:3], bool)
    with torch.inference_mode():
        for prompt in prompts:
            points, labels = prompt_points(prompt, width_px=80, height_px=48, side_px=128)
            session.add_point_inputs(
                0, prompt.frame, {"point_coords": points[None, None], "point_labels": labels[None, None]}
            )
            session.obj_with_new_inputs = [0]
            sam.model(session, frame_idx=prompt.frame)
        for reverse in (False, True):
            for out in sam.model.propagate_in_video_iterator(session, reverse=reverse):
                logits = torch.nn.functional.interpolate(out.pred_masks, (48, 80), mode="bilinear")
                masks[out.frame_idx] = (logits[0, 0] > 0).numpy()
    return masks


@pytest.mark.parametrize(
    "prompts",
    [[box_prompt(0)], [box_prompt(2)], [box_prompt(4), point_prompt(1, 30, 20)]],
    ids=["first", "middle", "two"],
)
def test_masks_equal_those_of_the_librarys_own_loop(sam: Sam2Tracker, prompts: list[ObjectPrompt]) -> None:
    frames = clip()
    expected = by_the_library(sam, frames, prompts)
    assert 0.05 < expected.mean() < 0.98
    assert np.array_equal(sam.track(frames, [prompts])[0], expected)


def test_objects_share_only_the_features(sam: Sam2Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = clip()
    objects = [[box_prompt(2)], [point_prompt(4, 60, 30)], [box_prompt(0, (40, 0, 80, 20))]]
    alone = [sam.track(frames, [prompts])[0] for prompts in objects]
    computed: list[int] = []
    real = type(sam.model).get_image_features
    monkeypatch.setattr(
        type(sam.model), "get_image_features", lambda self, *a, **k: computed.append(1) or real(self, *a, **k)
    )
    together = sam.track(frames, objects)
    assert np.array_equal(together, np.stack(alone))
    # One to a frame of the way forward (6) and of the way back (3), and one to a prompt.
    assert len(computed) <= 6 + 4 + 3


def test_no_memory_of_a_clip_is_kept(sam2: Sam2Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    references: list[weakref.ref] = []
    largest = 0

    class Watched(Sam2Frames):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **kwargs)
            references.append(weakref.ref(self))

    def step(self, session, t, *, reverse):
        nonlocal largest
        mask = real(self, session, t, reverse=reverse)
        outputs = session.output_dict_per_obj[0].values()
        largest = max(largest, sum("high_res_masks" in frame for kind in outputs for frame in kind.values()))
        return mask

    real = Sam2Tracker._step
    monkeypatch.setattr(Sam2Tracker, "_step", step)
    monkeypatch.setattr(tracker_module, "Sam2Frames", Watched)
    sam2.track(clip(), [[box_prompt(1)]])
    gc.collect()
    assert [reference() for reference in references] == [None]
    assert largest == 0


def test_a_clip_of_one_frame(sam: Sam2Tracker) -> None:
    assert sam.track(clip(1), [[box_prompt(0)]]).shape == (1, 1, 48, 80)
    assert sam.track(clip(2), []).shape == (0, 2, 48, 80)


def test_a_black_clip_gives_masks(sam: Sam2Tracker) -> None:
    assert sam.track(np.zeros((3, 48, 80, 3), np.uint8), [[box_prompt(1)]]).dtype == bool


@pytest.mark.parametrize("prompts", [[], [box_prompt(6)], [box_prompt(-1)], [box_prompt(1), box_prompt(1)]])
def test_prompts_must_be_in_different_frames_of_the_clip(sam2: Sam2Tracker, prompts: list[ObjectPrompt]) -> None:
    with pytest.raises(ValueError, match="another frame from 0 to 5"):
        sam2.track(clip(), [prompts])


def test_a_box_is_its_first_and_last_pixel_and_comes_before_the_points() -> None:
    prompt = ObjectPrompt(
        frame=0, box=(10, 8, 50, 40), positive=np.array([[20, 12]], np.float32), negative=np.array([[0, 0]], np.float32)
    )
    points, labels = prompt_points(prompt, width_px=80, height_px=64, side_px=160)
    assert points.tolist() == [[20, 20], [98, 97.5], [40, 30], [0, 0]]
    assert labels.tolist() == [2, 3, 1, 0]


def test_a_truncated_file_gives_a_one_line_error(sam2_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sam2"
    shutil.copytree(sam2_folder, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="cannot load a Sam2VideoModel"):
        Sam2Tracker(folder)


def test_an_incomplete_tracker_of_sam3_is_refused(sam3_folder: Path, tmp_path: Path) -> None:
    """Tensors of its detector, which is left out, may be anything."""
    folder = tmp_path / "sam3"
    shutil.copytree(sam3_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    detectors = [name for name in tensors if name.startswith("detector_model.detr_")]
    for name in detectors:
        del tensors[name]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert Sam3Tracker(folder).track(clip(1), [[box_prompt(0)]]).shape == (1, 1, 48, 80)
    del tensors["tracker_model.no_memory_embedding"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 missing \(no_memory_embedding\)"):
        Sam3Tracker(folder)


def test_sam3_is_normalised_as_its_processor_does() -> None:
    assert Sam3Tracker.mean == tuple(IMAGENET_STANDARD_MEAN)
    assert Sam3Tracker.std == tuple(IMAGENET_STANDARD_STD)


@pytest.mark.weights
def test_the_published_weights_track_a_square(tmp_path: Path) -> None:
    import os

    folder = os.environ.get("ZOETROPE_TEST_SAM2")
    if not folder:
        pytest.skip("set ZOETROPE_TEST_SAM2 to a folder of facebook/sam2.1-hiera-tiny")
    frames = np.full((4, 240, 320, 3), 60, np.uint8)
    for t in range(4):
        frames[t, 80:160, 100 + 8 * t : 180 + 8 * t] = (220, 40, 40)
    masks = Sam2Tracker(Path(folder)).track(frames, [[box_prompt(1, (108, 80, 188, 160))]])[0]
    truth = frames[..., 0] == 220
    assert ((masks & truth).sum() / (masks | truth).sum()) > 0.9
