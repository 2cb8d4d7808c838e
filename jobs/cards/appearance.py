"""Model card of the embedded VAE and image encoder: training runs and scores."""

from __future__ import annotations

from pathlib import Path

from jobs.cards.tables import file_table, run_list
from models.common.digest import CheckpointError
from models.common.safetensors_file import read_metadata

_ROWS: tuple[tuple[str, str, str], ...] = (
    ("vae_psnr_db", "PSNR of VAE reconstructions, dB", ".2f"),
    ("vae_noisy_psnr_db", "the same, with noise of 0.3 standard deviations added to the latents, dB", ".2f"),
    (
        "nearest_is_same_character",
        "share of pictures whose nearest neighbour, by token, shows the same character",
        ".3f",
    ),
)


def write_card(folder: Path) -> None:
    """Write `CARD.md` beside the checkpoints of `folder`, from their metadata.

    Raises:
        CheckpointError: a checkpoint is absent, or was not written by `jobs/training/appearance.py`.
    """
    paths = [folder / f"{name}.safetensors" for name in ("vae", "image_encoder")]
    scores = read_metadata(paths[0]).get("scores")
    if not isinstance(scores, dict) or not {"heldout_frames", *(key for key, *_ in _ROWS)} <= scores.keys():
        raise CheckpointError(f"{paths[0]} has no scores in its metadata; train it with `zoetrope train appearance`")
    rows = "\n".join(f"| {measure} | {scores[key]:{form}} |" for key, measure, form in _ROWS)
    text = f"""# Embedded VAE and image encoder

Trained on drawn puppets only. The VAE reconstructs people, animals and photographs blurred and in wrong colours, and
tokens of the image encoder carry little information about them.

`vae.safetensors` is a VAE with a downsampling factor of 8 (diffusers' `AutoencoderKL`, `models/appearance/vae.py`);
`image_encoder.safetensors` encodes a picture as one token (transformers' `CLIPVisionModelWithProjection`,
`models/appearance/image_encoder.py`). Both are stored in half precision and run in single precision.

{file_table(paths)}

Trained by `jobs/training/appearance.py` (`zoetrope train appearance`) only on puppet videos rendered by
`models/puppets`. Earlier steps are those of the weights that the run began with.

{run_list(paths)}

Scores on the centre squares, at 128 pixels, of {scores["heldout_frames"]:.0f} frames of held-out puppets, two of each
character, with characters and motions of no training video.

| measure | score |
|---|---|
{rows}

Licence: Apache-2.0, like the project.
"""
    (folder / "CARD.md").write_text(text, encoding="utf-8")
