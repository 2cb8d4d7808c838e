"""Card of a published checkpoint of an animation system, from its metadata: training and scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.cards.measures import measures_section
from jobs.cards.portraits import portrait_sections
from jobs.cards.records import recorded_model
from jobs.cards.scenes import scene_sections
from jobs.cards.tables import table
from models.common.digest import file_digest
from models.common.safetensors_file import read_metadata

_ROWS = (
    ("clip_psnr_db", "PSNR of an animation, dB"),
    ("clip_psnr_repeat_db", "PSNR of the reference repeated, dB"),
    ("psnr_gain_db", "gain over the reference repeated, dB"),
    ("psnr_db", "PSNR of single frames, dB"),
    ("psnr_repeat_db", "the same of the reference repeated"),
    ("keypoints", "keypoints detected within 0.15 of the character's size"),
    ("keypoints_repeat", "the same in the reference repeated"),
    ("keypoints_truth", "the same in the true frames (upper bound)"),
    ("keypoints_skeleton", "the same of the retargeted skeleton"),
)
_SETTINGS = {
    "exact": "a human in another place drives a human, by the true keypoints of both, retargeted limb by limb",
    "retargeted": "the same, with keypoints detected by the embedded pose network",
    "anthropomorphic": "as *retargeted*, but the character is no human",
    "misfit": "a human in the character's place drives a character that is no human, without retargeting",
    "rescaled": "the setting of A²Bench: a character that is no human is driven by its own video and its own skeletons "
    "at a human's proportions, without retargeting",
}

_ALONE = ("exact", "retargeted", "anthropomorphic")
"""Settings in which every checkpoint is scored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CardText:
    """Text of a card that is not in the metadata.

    `title`: name of the system. `command`: training command. `corpus`: training data. `promised`: score -> target.
    `comparison`: remarks on the table of compared runs.
    """

    title: str
    command: str
    corpus: str
    promised: Mapping[str, str] = field(default_factory=dict)
    comparison: str = ""


def write_card(path: Path, text: CardText | None = None) -> None:
    """Write `CARD.md` beside the checkpoint at `path`.

    The checkpoint's metadata have `runs` (`jobs.training.worker.run_record`), `scores` by setting: none, or at least
    those of `_ALONE`, those of scenes (`jobs.cards.scenes`) or those of portraits (`jobs.cards.portraits`); and
    optionally `comparison`: `name`, `training`, `clips` and `scores` by setting of each compared run. Measures that
    `jobs.cards.measures` has stored beside the checkpoint come first.

    `text`: of a checkpoint that ships; None: the card says what the record of its last run says.

    Raises:
        CheckpointError: the checkpoint is absent.
    """
    metadata: Mapping[str, Any] = read_metadata(path)
    file = f"`{path.name}`: {path.stat().st_size} bytes, `{file_digest(path)}`, stored in half precision."
    head = _run_head(metadata["runs"], file) if text is None else _shipped_head(metadata, text, file)
    card = f"""{head}
{measures_section(path, ships=text is not None)}
{_score_sections(metadata, text or CardText(title="", command="", corpus=""))}
Licence: {"that of the training data." if text is None else "Apache-2.0, like the project."}
"""
    (path.parent / "CARD.md").write_text(card, encoding="utf-8")


def _shipped_head(metadata: Mapping[str, Any], text: CardText, file: str) -> str:
    short_side_px = next(iter(metadata["scores"].values()))["short_side_px"]
    return f"""# {text.title}, trained on puppets

Trained on drawn puppets only, at {short_side_px:.0f} pixels: results on people, animals and photographs are
poor.

{file}

Trained with `{text.command}` on {text.corpus}, prepared by `zoetrope ingest` and `zoetrope prepare`, and on nothing
else. The VAE and the image encoder (`models/appearance/checkpoints`) are frozen; runs before the last may have used
earlier versions of them.

{_run_table(metadata["runs"])}

{_recipes(metadata["runs"])}
"""


def _run_head(runs: Sequence[Mapping[str, Any]], file: str) -> str:
    *earlier, last = runs
    sampling = last["recipe"].get("sampling", {})
    data = f"{last['clips']} clips"
    if "height_px" in sampling:
        data += f" of {sampling['height_px']} x {sampling['width_px']} pixels"
    if "dataset_digest" in last:
        data += f" (dataset `{last['dataset_digest']}`)"
    if last.get("true_keypoints"):
        data += " with ground-truth keypoints"
    if last.get("scenery_clips"):
        data += f", {last['scenery_clips']} clips of scenery"
    if last.get("faces_of_twins"):
        data += ", faces of other characters"
    heldout = f" {last['heldout_clips']} more clips were held out." if last.get("heldout_clips") else ""
    encoders = ", ".join(f"`{digest}`" for digest in (last.get("encoders") or {}).get("digests", ()))
    before = (
        f"""
It began with the weights of these runs, whose figures are not its own:

{_run_table(earlier)}

{_recipes(earlier)}
"""
        if earlier
        else ""
    )
    return f"""# {recorded_model(last)}, trained by `zoetrope train`

{file}

Trained with `zoetrope train {recorded_model(last)}` on {data}.{heldout}

{_run_table([last])}

{_recipes([last])}

{f"Frozen VAE and image encoder: {encoders}." if encoders else ""}
{before}"""


def _run_table(runs: Sequence[Mapping[str, Any]]) -> str:
    columns = ("stage", "steps", "clips", "minutes", "date", "machine")
    return table(("system", *columns), [[recorded_model(run), *(run[key] for key in columns)] for run in runs])


def _recipes(runs: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(
        f"- {recorded_model(run)}, stage {run['stage']}{_initialisation_note(run)}: "
        f"`{json.dumps(run['recipe'], sort_keys=True)}`"
        for run in runs
    )


def _score_sections(metadata: Mapping[str, Any], text: CardText) -> str:
    scores = metadata.get("scores")
    if not scores:
        return "Its animations were not measured when it was published; `zoetrope evaluate` does so."
    if "scene-exact" in scores:
        return scene_sections(metadata, text.promised, text.comparison)
    if "portrait-exact" in scores:
        return portrait_sections(metadata, text.promised, text.comparison)
    return _pair_sections(metadata, text)


def _pair_sections(metadata: Mapping[str, Any], text: CardText) -> str:
    """Markdown with the scores of pairs in two sceneries, and the comparison, if there is one."""
    scores, comparison = metadata["scores"], metadata.get("comparison")
    rows = [
        (score, text.promised.get(key, ""), *(f"{scores[setting][key]:.2f}" for setting in _ALONE))
        for key, score in _ROWS
    ]
    pairs = f"{scores['retargeted']['pairs']:.0f}"
    return f"""Scores on {pairs} pairs of held-out puppets in each setting, characters and motions of no training video:
one is animated by the motion of the other, and compared with the rendered truth of that motion. Targets are for every
setting; *exact* isolates the system's own error from that of the pose network. The PSNR of an animation is computed
from the mean squared error over all its frames: in a mean of per-frame PSNR, a frame equal to the reference would count
as 100 dB for the reference repeated.

{_meanings(_ALONE)}

{table(("score", "target", *_ALONE), rows)}
{_comparison_section(comparison, text.comparison) if comparison else ""}"""


def _initialisation_note(run: Mapping[str, Any]) -> str:
    """Note on a run initialised with part of the tensors of the previous run."""
    partial = run["model"].get("partial_start", run["model"].get("start_partly", False))
    return " (initialised with the tensors of the run before that have the same name and shape)" if partial else ""


def _comparison_section(comparison: Sequence[Mapping[str, Any]], note: str) -> str:
    """Markdown section with one row per compared run and two rows of bounds."""
    scores = comparison[0]["scores"]
    settings = [setting for setting in _SETTINGS if setting in scores]

    def row(name: str, training: str, clips: str, scores: Mapping[str, Mapping[str, float]], *keys: str) -> list[str]:
        numbers = [scores[setting].get(key) for setting in settings for key in keys]
        return [name, training, clips, *("" if number is None else f"{number:.2f}" for number in numbers)]

    heads = [f"{setting}: {measure}" for setting in settings for measure in ("PSNR, dB", "keypoints")]
    rows = [
        *(
            row(run["name"], run["training"], run["clips"], run["scores"], "clip_psnr_db", "keypoints")
            for run in comparison
        ),
        row("the reference repeated", "", "", scores, "clip_psnr_repeat_db", "keypoints_repeat"),
        # The PSNR of the truth against itself is undefined.
        row("the true frames", "", "", scores, "clip_psnr_truth_db", "keypoints_truth"),
    ]
    pairs = scores[settings[0]]["pairs"]
    return f"""
## Comparison

The same scores on {pairs:.0f} pairs of held-out puppets in each setting:

{_meanings(settings)}

{note}

{table(("system", "training samples", "clips", *heads), rows)}
"""


def _meanings(settings: Sequence[str]) -> str:
    return "\n".join(f"- *{setting}*: {_SETTINGS[setting]}" for setting in settings)
