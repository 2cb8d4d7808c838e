"""Stage that encodes the animation and publishes it in the dataset."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pose.overlay import draw_skeleton
from models.video.audio import Samples
from models.video.encode import check_h264, write_h264
from models.video.side_by_side import side_by_side
from stages.animate.paste_back import full_size_frames, set_into
from stages.base import Row, Stage
from stages.io.clip_reader import ClipReader, DecodeConfig
from stages.io.storage import VIDEOS, Storage
from stages.outcome import OutputRefusedError


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishAnimationConfig:
    """Encoder settings.

    Args:
        crf: x264 CRF of the animation, 0 (lossless) to 51.
        preset: x264 preset of the animation.
        side_by_side_crf: CRF of the side-by-side video of reference, driving frames and animation.
        min_side_by_side_px, max_side_by_side_px: bounds of the height of the side-by-side video, which is otherwise
            that of the animation.
    """

    crf: int = 18
    preset: str = "veryfast"
    side_by_side_crf: int = 23
    min_side_by_side_px: int = 256
    max_side_by_side_px: int = 512

    def __post_init__(self) -> None:
        if not (0 <= self.crf <= 51 and 0 <= self.side_by_side_crf <= 51):
            raise ValueError(f"crf goes from 0 to 51, got {self.crf} and {self.side_by_side_crf}")
        low, high = self.min_side_by_side_px, self.max_side_by_side_px
        if not 16 <= low <= high or low % 2 or high % 2:
            raise ValueError(f"expected even 16 <= min_side_by_side_px <= max_side_by_side_px, got {low} and {high}")


class PublishAnimationStage(Stage[PublishAnimationConfig]):
    """Writes two H.264 files, checked before they are published; their names contain the work key of the row.

    A third file is a picture of the face control, for rows that have one. `video_uri`, `side_by_side_uri` and
    `face_strip_uri` are relative to the folder of the dataset. For a model that keeps the scene, the
    video has the size of the driving video; with `paste_back` (default), its pixels outside the neighbourhood of the
    character are the driving video's.

    Args:
        storage: the dataset.
        decode: how driving videos are read at their own size.
    """

    name = "publish"
    version = 2  # times of uneven frames
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("request_id", "work_key", "animation_frames", "reference_image", "reference_keypoints", "fps"),
            *("driving_frames", "driving_keypoints", "driving_audio", "driving_part", "frame_seconds", "model_spec"),
            *("paste_back", "agnostic_mask", "object_mask", "reference_mask", "skeleton_keypoints", "face_strip"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset(
        {
            "video_uri",
            "side_by_side_uri",
            "face_strip_uri",
            "video_bytes",
            "video_width_px",
            "video_height_px",
        }
    )

    def __init__(self, config: PublishAnimationConfig, storage: Storage, decode: DecodeConfig) -> None:
        super().__init__(config)
        self.storage = storage
        self.decode = decode

    def open(self) -> None:
        """Create the reader of driving videos."""
        self.reader = ClipReader(self.decode)

    def process(self, row: Row) -> Row:
        """`video_uri`, `side_by_side_uri`, `face_strip_uri`, `video_bytes` and the size of the video.

        Raises:
            BadRow: SourceChanged, or a reason of the decoder, where the driving video is read again.
            OutputRefusedError: the storage refused a file.
        """
        config = self.config
        name = f"{VIDEOS}/{row['request_id']}.{row['work_key']}"
        result, fps, times = self._results(row), row["fps"], _uneven_seconds(row)
        first = next(result)
        num_bytes = self._publish(
            f"{name}.mp4",
            chain([first], result),
            fps,
            crf=config.crf,
            preset=config.preset,
            timestamps_seconds=times,
            audio=row["driving_audio"],
        )
        frames = row["animation_frames"]
        panels = (
            repeat(row["reference_image"], len(frames)),
            map(draw_skeleton, row["driving_frames"], row["driving_keypoints"]),
            # Pasted at the size of perception, which spares reading the video a second time.
            set_into(row, row["driving_frames"]) if row["model_spec"]["keeps_scene"] else frames,
        )
        self._publish(
            f"{name}.side-by-side.mp4",
            side_by_side(panels, height_px=self._panel_height_px(frames.shape[1])),
            fps,
            crf=config.side_by_side_crf,
            preset="veryfast",
            timestamps_seconds=times,
        )
        return {
            "video_uri": f"{name}.mp4",
            "side_by_side_uri": f"{name}.side-by-side.mp4",
            "face_strip_uri": self._publish_strip(f"{name}.face.webp", row["face_strip"]),
            "video_bytes": num_bytes,
            "video_width_px": first.shape[1],
            "video_height_px": first.shape[0],
        }

    def close(self) -> None:
        """Close the reader."""
        self.reader.close()

    def _results(self, row: Row) -> Iterator[NDArray[np.uint8]]:
        if row["model_spec"]["keeps_scene"]:
            return set_into(row, full_size_frames(self.reader, row["driving_part"], row["frame_seconds"]))
        return iter(row["animation_frames"])

    def _publish(
        self,
        name: str,
        frames: Iterable[NDArray[np.uint8]],
        fps: float,
        *,
        crf: int,
        preset: str,
        timestamps_seconds: list[float] | None = None,
        audio: Samples | None = None,
    ) -> int:
        """Encode, check and publish a video; returns its size in bytes."""
        rest = iter(frames)
        first = next(rest)
        try:
            with tempfile.TemporaryDirectory(prefix="zoetrope-video-") as folder:
                path = Path(folder) / "video.mp4"
                count = write_h264(
                    path,
                    chain([first], rest),
                    fps=fps,
                    crf=crf,
                    preset=preset,
                    timestamps_seconds=timestamps_seconds,
                    audio=audio,
                )
                check_h264(path, num_frames=count, size_px=first.shape[:2], has_audio=audio is not None)
                data = path.read_bytes()
        except OSError as error:
            raise _refused(error) from error
        self._store(name, data)
        return len(data)

    def _publish_strip(self, name: str, strip_HWC: NDArray[np.uint8] | None) -> str | None:
        """Encode and publish a picture; returns its name, None without a picture."""
        if strip_HWC is None:
            return None
        done, data = cv2.imencode(".webp", strip_HWC[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 85])
        if not done:
            raise RuntimeError(f"OpenCV could not code a picture of shape {strip_HWC.shape} as WebP")
        self._store(name, data.tobytes())
        return name

    def _store(self, name: str, data: bytes) -> None:
        try:
            self.storage.publish(name, data)
        except OSError as error:
            raise _refused(error) from error

    def _panel_height_px(self, height_px: int) -> int:
        bounded = min(max(height_px, self.config.min_side_by_side_px), self.config.max_side_by_side_px)
        return bounded // 2 * 2


def _uneven_seconds(row: Row) -> list[float] | None:
    """Times of the frames after the first; None where they are even."""
    if row["driving_part"]["times_seconds"] is None:
        return None
    seconds = np.asarray(row["frame_seconds"], np.float64)
    times: list[float] = (seconds - seconds[0]).tolist()
    return times


def _refused(error: OSError) -> OutputRefusedError:
    # Not an error of the row: only writing its output failed.
    code = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return OutputRefusedError(f"{code}: {error}")
