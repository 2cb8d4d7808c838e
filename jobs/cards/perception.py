"""Model card of the embedded perception checkpoints: training runs and scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jobs.cards.tables import file_table, run_list, table
from models.perception.face_scores import BLUR_PX
from models.perception.scores import CLEAR_DEPTH_MARGIN, DEPTH_MARGIN
from models.perception.shipped import PUPPETS_ONLY_NOTICE
from models.pose.pck import PCK_SHARE

_ROWS: tuple[tuple[str, str, str], ...] = (
    ("pck", f"keypoints within {PCK_SHARE} of the character's size (PCK), all that are in the frame", "0.90"),
    ("pck_visible", "of these, the visible ones", ""),
    ("pck_hidden", "of these, the hidden ones", ""),
    ("pck_body", "of these, the body", ""),
    ("pck_feet", "of these, the feet", ""),
    ("pck_face", "of these, the face", ""),
    ("pck_left_hand", "of these, the left hand", ""),
    ("pck_right_hand", "of these, the right hand", ""),
    ("presence_recall", "keypoints in the frame that score at least 0.5", ""),
    ("presence_false_share", "keypoints not in the frame that score at least 0.5", ""),
    ("character_iou", "character mask, mean intersection over union (IoU)", "0.90"),
    ("character_iou_worst_tenth", "the same, mean of the worst tenth of the frames", ""),
    (
        "limb_depth_order",
        f"pairs of limbs at least {DEPTH_MARGIN} body heights apart in depth, in the right order",
        "0.90",
    ),
    ("limb_depth_order_clear", f"the same, at least {CLEAR_DEPTH_MARGIN} body heights apart", ""),
    ("object_iou_box", "object mask, prompted by a box, mean IoU", ""),
    ("object_iou_point", "object mask, prompted by one point, mean IoU", ""),
    ("object_iou_tracked", "object mask, prompted by a box and followed for a second, mean IoU", ""),
    ("object_iou_handled", "the same of objects that a character handles or meets, for two seconds", ""),
)

_NETWORKS = {
    "figure": "- `figure.safetensors`: 133 keypoints (COCO-WholeBody), relative depth and mask of one character",
    "object": "- `object.safetensors`: mask of the object at a box or at points",
    "face": "- `face.safetensors`: 68 landmarks of the face that the figure network found, for scores of expressions "
    "only: no pose backend uses it",
}
_FACE_ROWS = (
    ("eyes_error", "error of the landmarks of the eyes, share of the face's height"),
    ("mouth_error", "the same of the mouth"),
    ("lids_correlation", "opening of the eyes within a portrait, correlation with the true one"),
    ("lips_correlation", "the same of the mouth"),
)
_FACE_COLUMNS = {
    "`face`": ("face", ""),
    "`figure`": ("figure", ""),
    "blurred: `face`": ("face", "_blurred"),
    "blurred: `figure`": ("figure", "_blurred"),
}


def write_card(folder: Path, scores: Mapping[str, float]) -> None:
    """Write `CARD.md` beside the checkpoints of `folder`; `scores` is the result of `evaluate_perception`."""
    paths = [path for name in _NETWORKS if (path := folder / f"{name}.safetensors").is_file()]
    networks = {path.stem for path in paths}
    measured = "".join(f"{text}\n" for text in (_frame_scores(scores), _face_scores(scores), _times(scores)) if text)
    uses = "\n".join(use for name, use in _NETWORKS.items() if name in networks)
    text = f"""# Embedded perception

{PUPPETS_ONLY_NOTICE}

{uses}

All are `PerceptionNet`s (`models/perception/network.py`), stored in half precision and run in single precision.

{file_table(paths)}

Trained by `jobs/training/perception.py` (`zoetrope train perception`) only on puppet videos rendered by
`models/puppets`. Earlier steps are those of the weights that the run began with.

{run_list(paths)}

{measured}
Limitations: not trained on people, animals or photographs, on more than one character, or on characters much smaller
than a quarter of the frame. Keypoint scores are usually, but not reliably, low where there is no puppet.

Licence: Apache-2.0, like the project.
"""
    (folder / "CARD.md").write_text(text, encoding="utf-8")


def _frame_scores(scores: Mapping[str, float]) -> str:
    rows = [(measure, f"{scores[key]:.3f}", minimum) for key, measure, minimum in _ROWS if key in scores]
    if not rows:
        return ""
    counts = {"limb_pairs": "pairs of limbs", "objects": "objects"}
    counted = ", ".join(f"{scores[key]:.0f} {noun}" for key, noun in counts.items() if key in scores)
    return f"""Scores on {scores["heldout_frames"]:.0f} frames of held-out puppets, with characters and motions of no
training video ({counted}).

{table(("measure", "score", "required"), rows)}
"""


def _face_scores(scores: Mapping[str, float]) -> str:
    if "portraits" not in scores:
        return ""
    rows = [
        (measure, *(f"{scores[f'{network}_{key}{suffix}']:.3f}" for network, suffix in _FACE_COLUMNS.values()))
        for key, measure in _FACE_ROWS
    ]
    return f"""Scores of face landmarks on {scores["portraits"]:.0f} held-out portraits, talking puppets of 192 x 144
pixels, and on the same frames blurred by {BLUR_PX} pixels. The aim was an error of at most 0.015 and a correlation of
at least 0.9:

{table(("measure", *_FACE_COLUMNS), rows)}
"""


def _times(scores: Mapping[str, float]) -> str:
    times = [
        f"{name} {scores[key]:.1f}" for name in ("pose", "mask", "depth") if (key := f"{name}_ms_per_frame") in scores
    ]
    return f"Milliseconds per frame on one core, resizing included: {', '.join(times)}.\n" if times else ""
