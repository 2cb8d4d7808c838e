"""Scores of a system that reads faces, as Markdown for its card (`jobs.cards.animation`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.cards.tables import SHEET, table

_ROWS = (
    ("expression_error", "error of the landmarks of eyes and mouth, share of the face's height"),
    ("eyes_error", "the same of the eyes"),
    ("mouth_error", "the same of the mouth"),
    ("character_psnr_db", "PSNR of the character's pixels, dB"),
    ("features_psnr_db", "PSNR around eyes and mouth, dB"),
    ("clip_psnr_db", "PSNR of whole frames, dB"),
    ("scenery_motion", "motion of the scenery, levels per frame"),
)
_SUMMARY = (
    ("expression_gain", "error of the landmarks, below Animate Anyone's by"),
    ("character_gain_db", "PSNR of the character's pixels, above Animate Anyone's by, dB"),
    ("scenery_motion_share", "motion of the scenery, relative to the truth's"),
    ("scenery_motion_share_compared", "the same of Animate Anyone's"),
)
_COMPARED = (
    ("expression_error", "landmarks"),
    ("character_psnr_db", "character, dB"),
    ("scenery_motion", "scenery, levels"),
)
_COLUMNS = (("", "X-Dyna"), ("_compared", "Animate Anyone"), ("_repeat", "reference"), ("_truth", "true frames"))
_SETTINGS = {
    "portrait-exact": "true keypoints of the driving video and of the reference",
    "portrait-detected": "the same from the embedded pose network, as in `zoetrope animate --preset puppets`",
}


def portrait_sections(metadata: Mapping[str, Any], promised: Mapping[str, str], remarks: str) -> str:
    """Scores of a checkpoint's metadata. `promised`: score -> target. `remarks`: on what came out."""
    scores = metadata["scores"]
    pairs = ", ".join(f"*{setting}*: {scores[setting]['pairs']:.0f}" for setting in _SETTINGS)
    refused = sum(scores[setting]["refused_pairs"] for setting in _SETTINGS)
    meanings = "\n".join(f"- *{setting}*: {meaning}" for setting, meaning in _SETTINGS.items())
    summary = table(
        ("score", "target", *_SETTINGS),
        [
            (score, promised.get(key, ""), *(f"{scores[setting][key]:.2f}" for setting in _SETTINGS))
            for key, score in _SUMMARY
        ],
    )
    details = table(
        ("score", *(f"{setting}: {name}" for setting in _SETTINGS for _, name in _COLUMNS)),
        [
            (score, *(_number(scores[setting], key, suffix) for setting in _SETTINGS for suffix, _ in _COLUMNS))
            for key, score in _ROWS
        ],
    )
    return f"""Scores on held-out portraits (pairs: {pairs}; {refused:.0f} more were refused): a talking, gesturing
puppet drives another one, whose picture shows scenery that moves by itself. Neither characters nor gestures are in the
training videos, and the result is compared with the rendered truth of the same motion, expression and scenery. The
small Animate Anyone animates the same requests.

{meanings}

The embedded face network (`models/perception/checkpoints/CARD.md`) detects the landmarks in the results; its own error
in the true frames is in the last column. The detected face is moved, turned and scaled onto the true one before they
are compared. Motion of the scenery is the mean absolute difference of successive frames.

{summary}

{details}

{remarks}

![Reference, driving frame, face control, Animate Anyone, X-Dyna and truth of one pair per row]({SHEET})
{_comparison(metadata["comparison"]) if metadata.get("comparison") else ""}"""


def _comparison(comparison: Sequence[Mapping[str, Any]]) -> str:
    """Section with a row per compared run, and rows of Animate Anyone, the reference repeated and the true frames."""
    scores = comparison[0]["scores"]
    others = (("Animate Anyone", "_compared"), ("the reference repeated", "_repeat"), ("the true frames", "_truth"))
    rows = [
        *([run["name"], run["training"], run["clips"], *_cells(run["scores"], "")] for run in comparison),
        *([name, "", "", *_cells(scores, suffix)] for name, suffix in others),
    ]
    heads = [f"{setting}: {head}" for setting in _SETTINGS for _, head in _COMPARED]
    return f"""
## Comparison

Error of the landmarks, PSNR of the character's pixels and motion of the scenery, on the same pairs:

{table(("system", "training samples", "clips", *heads), rows)}
"""


def _cells(scores: Mapping[str, Mapping[str, float]], suffix: str) -> list[str]:
    return [_number(scores[setting], key, suffix) for setting in _SETTINGS for key, _ in _COMPARED]


def _number(scores: Mapping[str, float], key: str, suffix: str) -> str:
    name = f"{key.removesuffix('_db')}{suffix}_db" if key.endswith("_db") else f"{key}{suffix}"
    value = scores.get(name)
    return "" if value is None else f"{value:.3f}" if "error" in key else f"{value:.2f}"
