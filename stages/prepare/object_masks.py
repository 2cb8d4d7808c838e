"""Stage `object_masks`: masks of the prompted objects in each frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from models.masks.rle import RLE, encode
from models.perception.distant_prompts import track_from_before
from models.perception.prompts import ObjectPrompt
from stages.backends.base import BackendConfig, BackendStage
from stages.backends.perception import OBJECT_MASKS, ObjectMaskBackend
from stages.base import Row
from stages.io.clip_reader import ClipReader, DecodeConfig
from stages.io.shot_frames import ShotFrames
from stages.outcome import BadRow, Reason
from stages.prepare.object_prompts import prompts_by_object

MAX_OBJECTS = 64
"""Maximum number of objects per clip: their masks are in memory together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectMasksConfig(BackendConfig):
    """`backend`: embedded, sam2 (through transformers) or sam2-official (through its publisher's package)."""

    signal: ClassVar = "object masks"
    backends: ClassVar = OBJECT_MASKS


class ObjectMasksStage(BackendStage[ObjectMasksConfig, ObjectMaskBackend]):
    """Tracks the prompted objects; one run-length code per object and frame, objects in order of their first prompt.

    Prompts with the same `object_id` refer to the same object at different times. An object without a prompt inside
    the clip is tracked from its nearest prompt in the clip's shot, through frames that are read for this alone; its
    masks are empty if it is lost on the way. A prompt more than a frame outside the clip and outside its shot, or with
    a box or points outside the picture, is `InvalidRow`; a box that extends beyond the picture is clipped.

    Args:
        config: the network.
        decode: how the clip's frames were read.
    """

    name = "object_masks"
    reads = frozenset(
        {
            *("frames", "frame_seconds", "objects", "width_px", "height_px", "work_width_px", "work_height_px"),
            *("uri", "size_bytes", "fingerprint", "start_seconds", "num_frames", "frame_step", "fps"),
            *("shot_start_seconds", "shot_end_seconds"),
        }
    )
    writes = frozenset({"object_masks"})

    def __init__(self, config: ObjectMasksConfig, decode: DecodeConfig | None = None) -> None:
        super().__init__(config)
        self.decode = decode or DecodeConfig()

    def networks(self, row: Row) -> Mapping[str, str]:
        """The configured network, if objects are prompted."""
        return {} if row["objects"] is None or not len(row["objects"]) else super().networks(row)

    def open(self) -> None:
        """Load the network and create the reader of frames outside clips. Raises as `BackendStage.open` does."""
        super().open()
        self.reader = ClipReader(self.decode)

    def process(self, row: Row) -> Row:
        """Computes `object_masks`, an empty list without prompts.

        Raises:
            BadRow: InvalidRow, for an invalid prompt; or a reason of the decoder, for frames outside the clip.
        """
        tracked = self.track(row)
        return {"object_masks": [{"object_id": name, "masks": codes} for name, codes in tracked.items()]}

    def track(self, row: Row, *, short_side_px: int | None = None) -> dict[str, list[RLE]]:
        """Run-length codes of the masks (T, H, W) by object.

        Args:
            row: the columns `reads`, without those of the file if all prompts lie inside the clip; optionally
                `times_seconds`.
            short_side_px: shorter side to which the frames were decoded, if not that of the settings.

        Raises:
            BadRow: as `process`.
        """
        objects = prompts_by_object(row)
        if len(objects) > MAX_OBJECTS:
            raise BadRow(Reason.INVALID_ROW, f"{len(objects)} objects are prompted, {MAX_OBJECTS} are allowed")
        frames, track = row["frames"], self.backend.track_all
        inside: dict[str, list[ObjectPrompt]] = {}
        before, after = dict(inside), dict(inside)
        for name, prompts in objects.items():
            if prompts[0].frame < 0:
                before[name] = prompts
            elif prompts[0].frame < len(frames):
                inside[name] = prompts
            else:  # backwards in time, they come before the clip
                after[name] = [replace(prompt, frame=len(frames) - 1 - prompt.frame) for prompt in prompts]
        codes = _encoded(inside, track(frames, [*inside.values()])) if inside else {}
        if before or after:
            shot = ShotFrames(self.reader, row, short_side_px)
        if before:
            codes |= _encoded(before, track_from_before(track, frames, [*before.values()], shot.before))
        if after:
            backwards = track_from_before(track, frames[::-1], [*after.values()], shot.after)
            codes |= _encoded(after, backwards[:, ::-1])
        return {name: codes[name] for name in objects}

    def close(self) -> None:
        """Close the reader."""
        self.reader.close()


def _encoded(objects: Iterable[str], masks_NTHW: NDArray[np.bool_]) -> dict[str, list[RLE]]:
    return {name: encode(masks_THW) for name, masks_THW in zip(objects, masks_NTHW, strict=True)}
