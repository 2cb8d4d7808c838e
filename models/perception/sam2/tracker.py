"""Video segmentation by SAM 2 and SAM 3 with transformers: tracking of prompted objects through a clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.common.pretrained import load_pretrained
from models.finite import check_finite
from models.perception.prompts import ObjectPrompt
from models.perception.sam2.frames import MEAN, STD, Channels, Sam2Frames

BOX_CORNER_LABELS = (2, 3)
"""Point labels of a box's top left and bottom right corner."""


class VideoTracker(Protocol):
    """Tracker of prompted objects through a clip."""

    def track(self, frames_THWC: NDArray[np.uint8], objects: Sequence[Sequence[ObjectPrompt]]) -> NDArray[np.bool_]:
        """Masks (N, T, H, W) of each object, propagated in both directions from its prompted frames."""


class Sam2Tracker:
    """Tracker with transformers' `Sam2VideoModel`, without its processors, which need torchvision.

    Each object has its own inference session, as the model treats objects independently. The sessions share a feature
    cache, so that the features of a frame, most of the computation, are computed once for all objects. Frames are
    preprocessed on access and sessions are released after the call, so memory is bounded by the clip's length.
    """

    class_prefix: ClassVar[str] = "Sam2Video"
    """Beginning of the names of transformers' classes."""
    mean: ClassVar[Channels] = MEAN
    std: ClassVar[Channels] = STD

    def __init__(self, folder: Path, *, device: torch.device | str = "cpu") -> None:
        """Load a published folder (`config.json`, `model.safetensors`), such as facebook/sam2.1-hiera-large.

        Weights and activations are bfloat16 on a CUDA device, as recommended by the publisher, else float32.

        Raises:
            CheckpointError: the folder is of another model, or incomplete.
        """
        self.device = torch.device(device)
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self.model = load_pretrained(self._class("Model"), folder).to(self.device, self.dtype)

    @torch.inference_mode()
    def track(self, frames_THWC: NDArray[np.uint8], objects: Sequence[Sequence[ObjectPrompt]]) -> NDArray[np.bool_]:
        """Masks (N, T, H, W) of each object.

        `objects`: prompts of each object, at least one, at most one per frame. After all prompts are added, the object
        is tracked from its earliest prompted frame to the end of the clip, then from that frame back to the start.

        Raises:
            ValueError: an object has no prompt, two for one frame, or one outside the clip.
        """
        check_prompts(objects, num_frames=len(frames_THWC))
        frames = Sam2Frames(
            frames_THWC,
            side_px=self.model.image_size,
            device=self.device,
            dtype=self.dtype,
            mean=self.mean,
            std=self.std,
        )
        masks = np.zeros((len(objects), *frames_THWC.shape[:3]), np.bool_)
        cache = None
        sessions = []
        for prompts in objects:
            session = self._session(frames, cache)
            cache = session.cache
            sessions.append(session)
            for prompt in prompts:
                self._prompt(session, prompt)
        first = [min(prompt.frame for prompt in prompts) for prompts in objects]
        for t in range(len(frames)):
            for index, session in enumerate(sessions):
                if t >= first[index]:
                    masks[index, t] = self._step(session, t, reverse=False)
        for t in reversed(range(max(first, default=0))):
            for index, session in enumerate(sessions):
                if t < first[index]:
                    masks[index, t] = self._step(session, t, reverse=True)
        return masks

    def _class(self, kind: str) -> Any:
        import transformers

        return getattr(transformers, self.class_prefix + kind)

    def _session(self, frames: Sam2Frames, cache: Any) -> Any:
        height, width = frames.frames_THWC.shape[1:3]
        session: Any = self._class("InferenceSession")(
            video_height=height,
            video_width=width,
            inference_device=self.device,
            inference_state_device=self.device,
            video_storage_device=self.device,
            dtype=self.dtype,
        )
        session.processed_frames = frames
        if cache is not None:
            session.cache = cache
        session.obj_id_to_idx(0)
        return session

    def _prompt(self, session: Any, prompt: ObjectPrompt) -> None:
        points, labels = prompt_points(
            prompt, width_px=session.video_width, height_px=session.video_height, side_px=self.model.image_size
        )
        inputs = {"point_coords": points.to(self.dtype)[None, None], "point_labels": labels[None, None]}
        session.add_point_inputs(0, prompt.frame, inputs)
        session.obj_with_new_inputs = [0]
        self._step(session, prompt.frame, reverse=False)

    def _step(self, session: Any, t: int, *, reverse: bool) -> NDArray[np.bool_]:
        logits: Tensor = self.model(session, frame_idx=t, reverse=reverse).pred_masks
        for kind in ("cond_frame_outputs", "non_cond_frame_outputs"):
            # Four megabytes per frame, used only by the memory encoder.
            session.output_dict_per_obj[0][kind].get(t, {}).pop("high_res_masks", None)
        return to_mask(logits, height_px=session.video_height, width_px=session.video_width)


class Sam3Tracker(Sam2Tracker):
    """Tracker with transformers' `Sam3TrackerVideoModel`, the part of SAM 3 that takes points and boxes.

    Loads the published folder facebook/sam3; the detector of SAM 3, which takes text, is left out.
    """

    class_prefix = "Sam3TrackerVideo"
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)


def check_prompts(objects: Sequence[Sequence[ObjectPrompt]], *, num_frames: int) -> None:
    """Raise ValueError unless every object has prompts, at most one per frame, all inside the clip."""
    for prompts in objects:
        frames = [prompt.frame for prompt in prompts]
        if not frames or len(set(frames)) < len(frames) or min(frames) < 0 or max(frames) >= num_frames:
            raise ValueError(
                f"an object needs one or more prompts, each for another frame from 0 to {num_frames - 1}; got {frames}"
            )


def prompt_points(prompt: ObjectPrompt, *, width_px: int, height_px: int, side_px: int) -> tuple[Tensor, Tensor]:
    """Points (N, 2) float32 in pixels of the S x S input and their labels (N) int32: box corners, then points.

    A coordinate x is scaled to x S / W, as in the published code. SAM 2's boxes end at their last pixel, inclusive.
    """
    corners = np.zeros((0, 2), np.float32)
    if prompt.box is not None:
        x0, y0, x1, y1 = prompt.box
        corners = np.array([(x0, y0), (max(x1 - 1, x0), max(y1 - 1, y0))], np.float32)
    points = np.concatenate([corners, prompt.positive, prompt.negative]).astype(np.float32)
    labels = [*BOX_CORNER_LABELS[: len(corners)], *[1] * len(prompt.positive), *[0] * len(prompt.negative)]
    scale = np.array([side_px / width_px, side_px / height_px], np.float32)
    return torch.from_numpy(points * scale), torch.tensor(labels, dtype=torch.int32)


def to_mask(logits: Tensor, *, height_px: int, width_px: int) -> NDArray[np.bool_]:
    """Mask (H, W) of positive logits (1, 1, h, w) after resizing to the frame. Raises NotFiniteError."""
    check_finite(logits, "mask of the video tracker")
    resized = functional.interpolate(logits.float(), (height_px, width_px), mode="bilinear", align_corners=False)
    mask: NDArray[np.bool_] = (resized[0, 0] > 0).cpu().numpy()
    return mask
