"""Card of a published checkpoint of an animation system, from its metadata: training and scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.common.checkpoint import read_metadata
from models.common.digest import file_digest

_ROWS = (
    ("clip_psnr_db", "PSNR of an animation, dB"),
    ("clip_psnr_repeat_db", "PSNR of the reference repeated, dB"),
    ("psnr_gain_db", "gain over the reference repeated, dB"),
    ("psnr_db", "PSNR of single frames, dB"),
    ("psnr_repeat_db", "the same of the reference repeated"),
    ("keypoints", "keypoints found within 0.15 of the character's size"),
    ("keypoints_repeat", "the same in the reference repeated"),
    ("keypoints_truth", "the same in the true frames: all that can be reached"),
    ("keypoints_skeleton", "the same of the skeleton that it is drawn by"),
)
_SETTINGS = {
    "exact": "a human somewhere else drives a human, by the true keypoints of both; skeletons are made to fit, limb by "
    "limb",
    "retargeted": "the same, with the keypoints that the embedded pose network finds",
    "anthropomorphic": "as *retargeted*, but the character is no human",
    "misfit": "a human in the character's place drives one that is no human; skeletons are left as they are",
    "rescaled": "A²Bench's: a character that is no human is driven by its own video and its own skeletons with a "
    "human's proportions, which are left as they are",
}

_ALONE = ("exact", "retargeted", "anthropomorphic")
"""Settings in which every checkpoint is measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CardText:
    """What a card says that no metadata do.

    `title`: the system's. `command`: by which it is trained. `corpus`: what it has seen. `promised`: score -> the least
    that it was to reach. `comparison`: what to bear in mind where it is beside others.
    """

    title: str
    command: str
    corpus: str
    promised: Mapping[str, str] = field(default_factory=dict)
    comparison: str = ""


def write_card(path: Path, text: CardText) -> None:
    """Write `CARD.md` beside the checkpoint at `path`.

    Its metadata hold `runs` (of `jobs.training.worker.run_record`), `scores` by setting, at least those of `_ALONE`,
    and, where it was compared with others, `comparison`: for each of them `name`, `training`, `clips`, and `scores` by
    setting.

    Raises:
        CheckpointError: it is absent.
    """
    about: Mapping[str, Any] = read_metadata(path)
    scores = about["scores"]["retargeted"]
    columns = ("stage", "steps", "clips", "minutes", "date", "machine")
    runs = _table(
        ("system", *columns), [[run["model"]["name"], *(run[key] for key in columns)] for run in about["runs"]]
    )
    recipes = "\n".join(
        f"- {run['model']['name']}, stage {run['stage']}{_beginning(run)}: "
        f"`{json.dumps(run['recipe'], sort_keys=True)}`"
        for run in about["runs"]
    )
    found = _table(
        ("what", "promised", *_ALONE),
        [
            (what, text.promised.get(key, ""), *(f"{about['scores'][setting][key]:.2f}" for setting in _ALONE))
            for key, what in _ROWS
        ],
    )
    comparison = about.get("comparison")
    written = f"""# Embedded {text.title}

It knows drawn puppets only, at {scores["short_side_px"]:.0f} pixels: of people, animals and photographs it makes
nothing good.

`{path.name}`: {path.stat().st_size} bytes, `{file_digest(path)}`, stored in half precision.

Trained by `{text.command}` on {text.corpus}, taken through `zoetrope ingest`
and `zoetrope prepare`; nothing else was seen. It works with the embedded VAE and image encoder
(`models/appearance/checkpoints`), which did not learn with it; runs before the last may have seen them in an earlier
form.

{runs}

{recipes}

Scores on {scores["pairs"]:.0f} pairs of held-out puppets in each setting, characters and motions of no training video:
one is animated by the motion of another, and compared with what it truly looks like in that motion. What is promised is
promised of all of them; *exact* tells how much of what is missing is the system's own, not the pose network's. The
PSNR of an animation is that of the mean squared error of all its frames: in the mean of single frames' PSNR, one in
which the character is back where it began counts as 100 dB for the reference repeated.

{_meanings(_ALONE)}

{found}
{_beside_others(comparison, text.comparison) if comparison else ""}
Licence: Apache-2.0, like the project.
"""
    (path.parent / "CARD.md").write_text(written, encoding="utf-8")


def _beginning(run: Mapping[str, Any]) -> str:
    """How a run went on from the one before it, where it did not take all of its tensors."""
    partly = run["model"].get("start_partly", False)
    return " (begun with those tensors of the run before that have the same name and shape)" if partly else ""


def _beside_others(comparison: Sequence[Mapping[str, Any]], note: str) -> str:
    """A section with a row for each of what was compared, and two for what they lie between."""
    scores = comparison[0]["scores"]
    settings = [setting for setting in _SETTINGS if setting in scores]

    def row(name: str, training: str, clips: str, found: Mapping[str, Mapping[str, float]], *keys: str) -> list[str]:
        numbers = [found[setting].get(key) for setting in settings for key in keys]
        return [name, training, clips, *("" if number is None else f"{number:.2f}" for number in numbers)]

    heads = [f"{setting}: {what}" for setting in settings for what in ("PSNR, dB", "keypoints")]
    rows = [
        *(
            row(one["name"], one["training"], one["clips"], one["scores"], "clip_psnr_db", "keypoints")
            for one in comparison
        ),
        row("the reference repeated", "", "", scores, "clip_psnr_repeat_db", "keypoints_repeat"),
        # The PSNR of what is no different from itself is left empty.
        row("the true frames", "", "", scores, "clip_psnr_truth_db", "keypoints_truth"),
    ]
    pairs = scores[settings[0]]["pairs"]
    return f"""
## Beside others

The same scores on {pairs:.0f} pairs of held-out puppets in each setting:

{_meanings(settings)}

{note}

{_table(("system", "samples seen", "clips", *heads), rows)}
"""


def _meanings(settings: Sequence[str]) -> str:
    return "\n".join(f"- *{setting}*: {_SETTINGS[setting]}" for setting in settings)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("|".join(["", *(f" {cell} " if cell != "---" else cell for cell in line), ""]) for line in lines)
