"""The card of the embedded Animate Anyone."""

from __future__ import annotations

from pathlib import Path

from models.common import animation_card

_TEXT = animation_card.CardText(
    title="Animate Anyone",
    command="zoetrope train animate-anyone",
    corpus="puppet videos drawn by `zoetrope puppets`: people in the last runs (`--only-humans --alone`; in the last "
    "two with their true key points, `data.truth`), before them characters of any kind",
    promised={"psnr_gain_db": "3", "keypoints": "0.80"},
)


def write_card(path: Path) -> None:
    """See `models.common.animation_card.write_card`."""
    animation_card.write_card(path, _TEXT)
