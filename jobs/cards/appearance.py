"""The card of the embedded VAE and image encoder: how each was made and what they score."""

from __future__ import annotations

from pathlib import Path

from jobs.cards.tables import file_table, run_list
from models.common.checkpoint import read_metadata
from models.common.digest import CheckpointError

_ROWS: tuple[tuple[str, str, str], ...] = (
    ("vae_psnr_db", "PSNR of pictures that went through the VAE and back, dB", ".2f"),
    ("vae_noisy_psnr_db", "the same, the latents disturbed by noise of 0.3 of their deviation, dB", ".2f"),
    ("nearest_is_same_character", "pictures whose nearest other one, by token, is of the same character, share", ".3f"),
)


def write_card(folder: Path) -> None:
    """Write `CARD.md` beside the checkpoints of `folder`, from what their own metadata say.

    Raises:
        CheckpointError: a checkpoint is absent, or was not written by `jobs/training/appearance.py`.
    """
    paths = [folder / f"{name}.safetensors" for name in ("vae", "image_encoder")]
    scores = read_metadata(paths[0]).get("scores")
    if not isinstance(scores, dict) or not {"heldout_frames", *(key for key, *_ in _ROWS)} <= scores.keys():
        raise CheckpointError(f"{paths[0]} does not say what it scores: train it with `zoetrope train appearance`")
    rows = "\n".join(f"| {what} | {scores[key]:{form}} |" for key, what, form in _ROWS)
    text = f"""# Embedded VAE and image encoder

They know drawn puppets only: real people, animals and photographs come back from the VAE blurred and in wrong colours,
and tokens of the image encoder say little about them.

`vae.safetensors` turns pictures into latents of 8 x 8 pixels and back (diffusers' `AutoencoderKL`,
`models/appearance/vae.py`); `image_encoder.safetensors` turns a picture into one token (transformers'
`CLIPVisionModelWithProjection`, `models/appearance/image_encoder.py`). Both are stored in half precision and run in
single precision.

{file_table(paths)}

Trained by `jobs/training/appearance.py` (`zoetrope train appearance`) on puppet videos drawn by
`models/puppets`; nothing else was seen. Steps include the runs that a run continued; date,
minutes, machine and settings are those of the last.

{run_list(paths)}

Scores on {scores["heldout_frames"]:.0f} frames of held-out puppets, two of each character, their middle square at 128
pixels: characters and motions of no training video.

| what | score |
|---|---|
{rows}

Licence: Apache-2.0, like the project.
"""
    (folder / "CARD.md").write_text(text, encoding="utf-8")
