"""Scores of a system that keeps the scene, as Markdown for its card (`jobs.cards.animation`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.cards.tables import SHEET, table

_ROWS = (
    ("clip_psnr_db", "PSNR of whole frames, dB"),
    ("gain_over_paste_db", "gain over the paste, dB"),
    ("gain_over_animate_anyone_db", "gain over Animate Anyone pasted, dB"),
    ("clip_psnr_paste_db", "PSNR of the paste, dB"),
    ("clip_psnr_animate_anyone_db", "PSNR of Animate Anyone pasted, dB"),
    ("clip_psnr_driving_db", "PSNR of the driving video itself, dB"),
    ("object_psnr_db", "PSNR of the objects' pixels, dB"),
    ("object_psnr_paste_db", "the same of the paste, dB"),
    ("seen_object_psnr_db", "PSNR of those of them that the driving video shows, dB"),
    ("scenery_psnr_db", "PSNR of the scenery far from both characters, dB"),
    ("leakage", "shape leakage"),
    ("leakage_exact_masks", "the same with exact masks at inference"),
    ("clip_psnr_exact_masks_db", "PSNR with exact masks at inference, dB"),
    ("keypoints", "keypoints detected within 0.15 of the character's size"),
    ("keypoints_truth", "the same in the true frames (upper bound)"),
    ("keypoints_skeleton", "the same of the placed skeleton"),
    ("clip_psnr_placed_truth_db", "PSNR of the true frames, their character moved to the placed skeleton, dB"),
)
_SETTINGS = {
    "scene-exact": "true keypoints, masks, depth and objects of the driving video and of the reference",
    "scene-detected": "the same from the embedded networks, as in `zoetrope animate --preset puppets`, with the "
    "objects' true boxes as prompts",
}
_COMPARED = (
    ("clip_psnr_db", "PSNR, dB"),
    ("object_psnr_db", "objects, dB"),
    ("leakage", "leakage"),
    ("leakage_exact_masks", "leakage, exact masks"),
    ("keypoints", "keypoints"),
)


def scene_sections(metadata: Mapping[str, Any], promised: Mapping[str, str], remarks: str) -> str:
    """Scores and, if there is one, comparison of a checkpoint's metadata.

    `promised`: score -> target. `remarks`: on the comparison.
    """
    scores, comparison = metadata["scores"], metadata.get("comparison")
    rows = [
        (score, promised.get(key, ""), *(_number(scores[setting].get(key)) for setting in _SETTINGS))
        for key, score in _ROWS
    ]
    pairs = ", ".join(f"*{setting}*: {scores[setting]['pairs']:.0f}" for setting in _SETTINGS)
    refused = sum(scores[setting]["refused_pairs"] for setting in _SETTINGS)
    meanings = "\n".join(f"- *{setting}*: {meaning}" for setting, meaning in _SETTINGS.items())
    return f"""Scores on held-out scenes (pairs: {pairs}; {refused:.0f} more were refused): the character of a
picture takes the place of the one in a video that handles or meets things. Neither characters nor motions are in the
training videos, and the result is compared with the rendered truth: the same scene with the other character. PSNR is
computed from the mean squared error over all frames of a clip.

{meanings}

It is compared with the *paste*, the driving video with its character's pixels filled from its other frames and the
reference moved there limb by limb, and with *Animate Anyone pasted*, the reference animated by the small Animate Anyone
and cut out with the embedded figure network; objects stay on top in both. *Shape leakage* is how much more the drawn
silhouette overlaps that of the driving character than its own true one (difference of IoU; smaller is better). In the
last row, appearance and scene are right, and the errors are those of retargeting.

{table(("score", "target", *_SETTINGS), rows)}

![Reference, driving frame, environment, draft, result and truth of one pair per row]({SHEET})
{_comparison(comparison, remarks) if comparison else ""}"""


def _comparison(comparison: Sequence[Mapping[str, Any]], remarks: str) -> str:
    scores = comparison[0]["scores"]
    others = (
        ("the paste", {"clip_psnr_db": "clip_psnr_paste_db", "object_psnr_db": "object_psnr_paste_db"}),
        ("Animate Anyone pasted", {"clip_psnr_db": "clip_psnr_animate_anyone_db"}),
        ("the driving video", {"clip_psnr_db": "clip_psnr_driving_db"}),
        ("the true frames", {"keypoints": "keypoints_truth"}),
    )
    rows = [
        *([run["name"], run["training"], run["clips"], *_cells(run["scores"])] for run in comparison),
        *([name, "", "", *_cells(scores, keys)] for name, keys in others),
    ]
    heads = [f"{setting}: {head}" for setting in _SETTINGS for _, head in _COMPARED]
    return f"""
## Comparison

The same scores on the same pairs. {remarks}

{table(("system", "training samples", "clips", *heads), rows)}
"""


def _cells(scores: Mapping[str, Mapping[str, float]], keys: Mapping[str, str] | None = None) -> list[str]:
    """Scores in the table's order. `keys`: column -> score, of a row that has no others."""
    names = [key if keys is None else keys.get(key) for key, _ in _COMPARED]
    return [_number(None if name is None else scores[setting].get(name)) for setting in _SETTINGS for name in names]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
