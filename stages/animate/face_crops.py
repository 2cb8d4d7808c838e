"""Stage that cuts the driving face out of the driving frames, for models that read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from models.animation.signals import FACE_CONTROL
from models.face.control import FaceControl, face_control
from models.face.regions import MIN_FACE_PX, MIN_LANDMARKS, Absence
from models.face.strip import face_strip
from models.pose.absences import without_interpolated
from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import NUM_FACE_LANDMARKS
from stages.base import Row, Stage
from stages.outcome import BadRow, Reason

Controls = Literal["body", "face", "both"]
"""Parts of the driving video that can control the animation."""
CONTROLS: tuple[Controls, ...] = get_args(Controls)

NOT_REQUESTED = "not requested"
"""`face_rule` of a request for the body alone. Otherwise it is the form of the face, or why no frame has one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FaceCropsConfig:
    """No settings."""


class FaceCropsStage(Stage[FaceCropsConfig]):
    """`face_control`, uint8 (T, H, W, 6): the driving face where the drawn skeleton has its face.

    The face is that of the skeleton which drives. Other faces are not removed: what lies in the face box is in the
    picture. In frames without a face of its own, the last face box stays. They are counted in `frames_without_face`
    and listed in `face_lost`. All columns are None for models that read no face.
    """

    name = "face_crops"
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("driving_frames", "driving_keypoints", "skeleton_keypoints", "model_spec", "controls"),
            *("canvas_width_px", "canvas_height_px"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset(
        {
            *("face_control", "face_strip", "applied_controls", "face_rule", "frames_without_face", "face_lost"),
            "face_height_px",
        }
    )
    transient: ClassVar[frozenset[str]] = frozenset({"face_control", "face_strip"})

    def process(self, row: Row) -> Row:
        """`face_control`, and how it was made.

        Raises:
            BadRow: NoFace, if the request asks for the face and no driving frame has one.
        """
        spec, asked = row["model_spec"], row["controls"]
        nothing: Row = dict.fromkeys(self.writes)
        if FACE_CONTROL not in spec["signals"]:
            return nothing
        size_px = (row["canvas_height_px"], row["canvas_width_px"])
        black = np.zeros((len(row["driving_frames"]), *size_px, 6), np.uint8)
        if asked == "body":
            return nothing | {"face_control": black, "applied_controls": "body", "face_rule": NOT_REQUESTED}
        made = face_control(
            row["driving_frames"],
            without_interpolated(row["driving_keypoints"]),
            row["skeleton_keypoints"],
            size_px=size_px,
            form=spec["face_form"],
        )
        facts = {
            "frames_without_face": int((~made.seen_T).sum()),
            "face_lost": lost_faces(made.regions.absences),
            "face_height_px": _median(made.heights_px_T),
        }
        if made.seen_T.any():
            return facts | {
                "face_control": made.pictures_THWC6,
                "face_strip": face_strip(made),
                "applied_controls": asked or "both",
                "face_rule": spec["face_form"],
            }
        reason, text = _why_none(made)
        if asked is not None:
            raise BadRow(
                Reason.NO_FACE,
                f"controls is {asked}, but {text}; give a driving video with a face, ask for controls = body, or leave "
                "controls empty",
            )
        return nothing | facts | {"face_control": black, "applied_controls": "body", "face_rule": reason}


def lost_faces(absences: Sequence[Absence | None]) -> list[dict[str, Any]]:
    """Runs of frames without a face of their own: first frame, number of frames, and the reason in the first one."""
    runs: list[dict[str, Any]] = []
    for frame, absence in enumerate(absences):
        if absence is None:
            continue
        if runs and runs[-1]["start_frame"] + runs[-1]["num_frames"] == frame:
            runs[-1]["num_frames"] += 1
        else:
            runs.append({"start_frame": frame, "num_frames": 1, "reason": str(absence)})
    return runs


def _why_none(made: FaceControl) -> tuple[str, str]:
    """The column `face_rule` and a message for a clip in which no frame has a usable face."""
    absences, count = set(made.regions.absences), len(made.seen_T)
    if Absence.NOT_DRAWN in absences:
        return "no face: not drawn", f"no patch of the face is inside of any of the {count} output frames"
    if Absence.TOO_SMALL in absences:
        largest = np.nanmax(made.heights_px_T)
        text = f"the face in the {count} driving frames is at most {largest:.1f} px high, {MIN_FACE_PX} px are needed"
        return "no face: too small", text
    needed = f"{MIN_LANDMARKS} of {NUM_FACE_LANDMARKS} landmarks that score {CONFIDENT_SCORE:g} or more"
    return "no face: not seen", f"none of the {count} driving frames shows a face ({needed}, with an eye or the mouth)"


def _median(heights_px: np.ndarray[Any, Any]) -> float | None:
    return None if np.isnan(heights_px).all() else float(np.nanmedian(heights_px))
