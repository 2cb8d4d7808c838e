"""Stage that decodes an animation and its truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from models.metrics.pixels import resized_like
from stages.base import Row, Stage
from stages.io.clip_reader import ClipReader, DecodeConfig
from stages.outcome import BadRow, Reason, Rejected

Frames = NDArray[np.uint8]

ORIGINAL_SIZE = DecodeConfig(short_side_px=1 << 14, multiple=1)
"""Decodes videos at their own size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FramesConfig:
    """How pairs are decoded.

    Args:
        decode: decoder settings; by default, videos keep their size.
        size_px: (height, width) to which animation and truth are resized; None: animations to the size of the truth.
    """

    decode: DecodeConfig = field(default_factory=lambda: ORIGINAL_SIZE)
    size_px: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.size_px is not None and min(self.size_px) < 1:
            raise ValueError(f"size_px is (height, width) of at least 1 pixel, got {self.size_px}")


class ComparedFramesStage(Stage[FramesConfig]):
    """Decodes a pair to `animation_frames` and `truth_frames`, (T, H, W, 3) uint8 RGB of one length and one size.

    Without `truth_num_frames` and a start, all frames of both files are compared, one by one. Otherwise the truth is a
    part of its file: from the start on, as many frames as the animation has, sampled at its frame rate; frame i is the
    one displayed i / fps seconds after the start, as `DrivingStage` samples driving videos. Another number of frames is
    an error; nothing is cut or repeated.
    """

    name = "frames"
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("animation_uri", "not_animated", "truth_uri"),
            *("truth_start_seconds", "truth_timestamp_seconds", "truth_num_frames"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset(
        {
            *("animation_frames", "truth_frames", "num_frames", "fps", "width_px", "height_px"),
            *("compared_width_px", "compared_height_px", "size_rule"),
        }
    )
    transient: ClassVar[frozenset[str]] = frozenset({"animation_frames", "truth_frames"})

    def open(self) -> None:
        """Create the reader."""
        self.reader = ClipReader(self.config.decode)
        self._inspected: tuple[str, Row] | None = None

    def process(self, row: Row) -> Row:
        """Frames, and the number, rate and size of them.

        Raises:
            Rejected: NoAnimation, if there is nothing to compare.
            BadRow: FrameCount, if the truth has another number of frames; InvalidRow; or a reason of the decoder.
        """
        if row["not_animated"] is not None:
            raise Rejected(Reason.NO_ANIMATION, f"there is no animation: {row['not_animated']}")
        _check(row)
        animation_facts, truth_facts = self.reader.inspect(row["animation_uri"]), self._truth_facts(row["truth_uri"])
        animation = self._all_frames(row["animation_uri"], animation_facts)
        if _is_part(row):
            truth = self._part(row, truth_facts, len(animation), animation_facts)
        else:
            if truth_facts["num_frames"] != len(animation):
                raise BadRow(
                    Reason.FRAME_COUNT,
                    f"{row['truth_uri']} has {truth_facts['num_frames']} frames, expected the {len(animation)} of "
                    f"{row['animation_uri']}; give truth_num_frames to compare a part of it",
                )
            truth = self._all_frames(row["truth_uri"], truth_facts)
        height, width = animation.shape[1:3]
        animation, truth, rule = _of_one_size(animation, truth, self.config.size_px)
        return {
            "animation_frames": animation,
            "truth_frames": truth,
            "num_frames": len(animation),
            "fps": animation_facts["fps"],
            "width_px": width,
            "height_px": height,
            "compared_width_px": animation.shape[2],
            "compared_height_px": animation.shape[1],
            "size_rule": rule,
        }

    def close(self) -> None:
        """Close the reader."""
        self.reader.close()

    def _truth_facts(self, uri: str) -> Row:
        # Rows that share a driving video follow one another.
        if self._inspected is None or self._inspected[0] != uri:
            self._inspected = (uri, self.reader.inspect(uri))
        return self._inspected[1]

    def _all_frames(self, uri: str, facts: Row) -> Frames:
        window = _window(uri, facts, facts["start_seconds"], facts["num_frames"])
        if facts["variable_frame_rate"]:
            window["times_seconds"] = self.reader.frame_times(uri).tolist()
        return self.reader.frames(window).frames

    def _part(self, row: Row, facts: Row, num_frames: int, animation_facts: Row) -> Frames:
        """The frames of the truth during the animation."""
        uri, expected = row["truth_uri"], row["truth_num_frames"]
        if expected is not None and expected != num_frames:
            raise BadRow(
                Reason.FRAME_COUNT,
                f"{row['animation_uri']} has {num_frames} frames, expected the {expected} of truth_num_frames",
            )
        step = max(1, round(facts["fps"] / animation_facts["fps"]))
        start_seconds = row["truth_timestamp_seconds"]
        if start_seconds is None:
            start_seconds = facts["start_seconds"] + (row["truth_start_seconds"] or 0.0)
        if animation_facts["variable_frame_rate"]:
            times = self.reader.frame_times(row["animation_uri"])
            window = _window(uri, facts, start_seconds, num_frames, step)
            return self.reader.frames({**window, "times_seconds": (start_seconds + times - times[0]).tolist()}).frames
        rest_seconds = facts["start_seconds"] + facts["duration_seconds"] - start_seconds
        # Tolerance of a thousandth of a frame for rounding.
        available = max(0, math.floor(rest_seconds * facts["fps"] / step + 1e-3))
        if available < num_frames:
            raise BadRow(
                Reason.FRAME_COUNT,
                f"{uri} has {available} frames from {start_seconds:g} s on at {facts['fps'] / step:g} frames per "
                f"second, expected the {num_frames} of {row['animation_uri']}",
            )
        return self.reader.frames(_window(uri, facts, start_seconds, num_frames, step)).frames


def _window(uri: str, facts: Row, start_seconds: float, num_frames: int, step: int = 1) -> Row:
    """A part of a video as `ClipReader` reads it."""
    return {
        "uri": uri,
        "size_bytes": facts["size_bytes"],
        "fingerprint": facts["fingerprint"],
        "start_seconds": start_seconds,
        "num_frames": num_frames,
        "frame_step": step,
        "fps": facts["fps"],
    }


def _is_part(row: Row) -> bool:
    """Whether the truth is a part of its file rather than all of it."""
    names = ("truth_num_frames", "truth_start_seconds", "truth_timestamp_seconds")
    return any(row[name] is not None for name in names)


def _check(row: Row) -> None:
    if row["truth_uri"] is None:
        raise BadRow(Reason.NOT_FOUND, "the row names no truth; expected the URI of a video in truth_uri")
    seconds, timestamp = row["truth_start_seconds"], row["truth_timestamp_seconds"]
    if seconds is not None and timestamp is not None:
        raise BadRow(
            Reason.INVALID_ROW, "got truth_start_seconds and truth_timestamp_seconds, expected at most one of them"
        )
    if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
        raise BadRow(Reason.INVALID_ROW, f"truth_start_seconds is {seconds}, expected 0 or more")


def _of_one_size(animation: Frames, truth: Frames, size_px: tuple[int, int] | None) -> tuple[Frames, Frames, str]:
    """Both clips at one size, and the rule applied."""
    if size_px is not None:
        template = np.empty((1, *size_px, 3), np.uint8)
        rule = f"both resized to {size_px[1]}x{size_px[0]}"
        return resized_like(animation, template), resized_like(truth, template), rule
    if animation.shape[1:3] == truth.shape[1:3]:
        return animation, truth, "unchanged"
    return resized_like(animation, truth), truth, f"animation resized from {animation.shape[2]}x{animation.shape[1]}"
