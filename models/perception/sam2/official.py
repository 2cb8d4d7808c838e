"""SAM 2 video segmentation with the publisher's package `sam2` and its `.pt` files; same masks as `tracker`."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.common.checkpoint import fill, read_tensors
from models.common.digest import CheckpointError
from models.finite import check_finite
from models.perception.prompts import ObjectPrompt
from models.perception.sam2.frames import Sam2Frames
from models.perception.sam2.tracker import check_prompts, prompt_points

CONFIGS = {
    "sam2.1_hiera_tiny": "configs/sam2.1/sam2.1_hiera_t.yaml",
    "sam2.1_hiera_small": "configs/sam2.1/sam2.1_hiera_s.yaml",
    "sam2.1_hiera_base_plus": "configs/sam2.1/sam2.1_hiera_b+.yaml",
    "sam2.1_hiera_large": "configs/sam2.1/sam2.1_hiera_l.yaml",
}
"""Stem of the published file name -> configuration inside the package."""
SETTINGS = (
    "++model.sam_mask_decoder_extra_args.dynamic_multimask_via_stability=true",
    "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_delta=0.05",
    "++model.sam_mask_decoder_extra_args.dynamic_multimask_stability_thresh=0.98",
    "++model.binarize_mask_from_pts_for_mem_enc=true",
)
"""The package's own settings for videos, without the filling of small holes, which needs an optional CUDA extension
that is rarely built."""


class OfficialSam2Tracker:
    """Tracker with the package's `SAM2VideoPredictor`, on frames in memory instead of a folder of JPEG files.

    Objects are tracked separately, so frames are encoded once per object (`Sam2Tracker` encodes them once in all).
    """

    def __init__(self, path: Path, *, device: torch.device | str = "cpu") -> None:
        """Load a file under its published name, such as `sam2.1_hiera_large.pt`.

        Float32 weights; on a CUDA device bfloat16 autocast, as recommended by the publisher.

        Raises:
            CheckpointError: the package is not installed, or the file is not that of a SAM 2.1 network, or incomplete.
        """
        if path.stem not in CONFIGS:
            raise CheckpointError(f"{path} is not named as SAM 2.1 is published: expected one of {', '.join(CONFIGS)}")
        try:
            from sam2.build_sam import build_sam2_video_predictor
        except ImportError as error:
            raise CheckpointError(
                f"{path.name} needs the publisher's package: pip install 'zoetrope[sam2]'; or use the backend sam2, "
                "which gives the same masks through transformers"
            ) from error
        tensors = read_tensors(path)
        self.device = torch.device(device)
        self.predictor: Any = build_sam2_video_predictor(
            CONFIGS[path.stem], device="cpu", apply_postprocessing=False, hydra_overrides_extra=list(SETTINGS)
        )
        fill(self.predictor, tensors, path)
        self.predictor.to(self.device)

    @torch.inference_mode()
    def track(self, frames_THWC: NDArray[np.uint8], objects: Sequence[Sequence[ObjectPrompt]]) -> NDArray[np.bool_]:
        """Masks (N, T, H, W) of each object, propagated like in `Sam2Tracker.track`.

        Raises:
            ValueError: an object has no prompt, two for one frame, or one outside the clip.
        """
        check_prompts(objects, num_frames=len(frames_THWC))
        side_px = self.predictor.image_size
        frames = Sam2Frames(frames_THWC, side_px=side_px, device=self.device, dtype=torch.float32)
        masks = np.zeros((len(objects), *frames_THWC.shape[:3]), np.bool_)
        arithmetic = torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()
        # The package prints a progress bar for every pass.
        with arithmetic, redirect_stderr(io.StringIO()):
            for masks_THW, prompts in zip(masks, objects, strict=True):
                self._track_one(frames, prompts, masks_THW)
        return masks

    def _track_one(self, frames: Sam2Frames, prompts: Sequence[ObjectPrompt], masks_THW: NDArray[np.bool_]) -> None:
        height, width = frames.frames_THWC.shape[1:3]
        state = self._state(frames)
        for prompt in prompts:
            points, labels = prompt_points(prompt, width_px=width, height_px=height, side_px=frames.side_px)
            self.predictor.add_new_points_or_box(
                state, prompt.frame, obj_id=0, points=points / frames.side_px, labels=labels, normalize_coords=False
            )
        first = min(prompt.frame for prompt in prompts)
        for reverse in (False, True):
            for t, _, logits in self.predictor.propagate_in_video(state, start_frame_idx=first, reverse=reverse):
                check_finite(logits, "mask of SAM 2")
                masks_THW[t] = (logits[0, 0] > 0).cpu().numpy()

    def _state(self, frames: Sam2Frames) -> dict[str, Any]:
        """Inference state for frames in memory, as `init_state` of the package creates it for a folder of pictures."""
        height, width = frames.frames_THWC.shape[1:3]
        by_object = (
            "point_inputs_per_obj",
            "mask_inputs_per_obj",
            "output_dict_per_obj",
            "temp_output_dict_per_obj",
            "frames_tracked_per_obj",
        )
        return {
            "images": frames,
            "num_frames": len(frames),
            "video_height": height,
            "video_width": width,
            "device": self.device,
            "storage_device": self.device,
            "offload_video_to_cpu": False,
            "offload_state_to_cpu": False,
            "cached_features": {},
            "constants": {},
            "obj_id_to_idx": OrderedDict(),
            "obj_idx_to_id": OrderedDict(),
            "obj_ids": [],
            **{name: {} for name in by_object},
        }
