"""The card of the embedded Animate-X."""

from __future__ import annotations

from pathlib import Path

from models.common import animation_card

_TEXT = animation_card.CardText(
    title="Animate-X",
    command="zoetrope train animate-x",
    corpus="puppet videos of human proportions drawn by `zoetrope puppets --only-humans`",
)


def write_card(path: Path) -> None:
    """See `models.common.animation_card.write_card`."""
    animation_card.write_card(path, _TEXT)
