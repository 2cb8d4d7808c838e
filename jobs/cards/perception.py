"""The card of the embedded checkpoints: how each was made and what it scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jobs.cards.tables import file_table, run_list
from models.perception.scores import CLEAR_DEPTH_MARGIN, DEPTH_MARGIN, PCK_SHARE
from models.perception.shipped import KNOWS_PUPPETS_ONLY

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
)


def write_card(folder: Path, scores: Mapping[str, float]) -> None:
    """Write `CARD.md` beside the checkpoints of `folder`; `scores` is what `evaluate_perception` returned."""
    paths = [folder / f"{name}.safetensors" for name in ("figure", "object")]
    rows = "\n".join(f"| {what} | {scores[key]:.3f} | {promised} |" for key, what, promised in _ROWS)
    times = ", ".join(f"{name} {scores[f'{name}_ms_per_frame']:.1f}" for name in ("pose", "mask", "depth"))
    text = f"""# Embedded perception

{KNOWS_PUPPETS_ONLY}

`figure.safetensors` finds 133 keypoints (COCO-WholeBody), relative depth and the mask of one character in a frame;
`object.safetensors` masks the object at a box or at points. Both are `PerceptionNet`s (`models/perception/network.py`),
stored in half precision and run in single precision.

{file_table(paths)}

Trained by `jobs/training/perception.py` (`zoetrope train perception`) on puppet videos drawn by
`models/puppets`; nothing else was seen. Steps include the runs that a run continued (on other
puppets, with other settings and weights of the losses); date, minutes, machine and settings are those of the last.

{run_list(paths)}

Scores on {scores["heldout_frames"]:.0f} frames of held-out puppets: characters and motions of no training video
({scores["limb_pairs"]:.0f} pairs of limbs, {scores["objects"]:.0f} objects).

| what | score | promised |
|---|---|---|
{rows}

Milliseconds per frame on one core, resizing included: {times}.

What they do not know: people, animals, photographs; more than one character; characters much smaller than a quarter
of the frame. Keypoint scores are low where no puppet is seen, but not reliably so.

Licence: Apache-2.0, like the project.
"""
    (folder / "CARD.md").write_text(text, encoding="utf-8")
