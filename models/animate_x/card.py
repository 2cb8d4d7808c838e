"""The card of the embedded Animate-X."""

from __future__ import annotations

from pathlib import Path

from models.common import animation_card

_TEXT = animation_card.CardText(
    title="Animate-X",
    command="zoetrope train animate-x",
    corpus="puppet videos of human proportions drawn by `zoetrope puppets --only-humans --alone`, with their true key "
    "points (`data.truth`), by `zoetrope train animate-anyone` on those and, in its first runs, on characters of any "
    "kind",
    comparison="In *misfit* and *rescaled*, skeletons do not fit their character. Of these systems, Animate-X moves "
    "the limbs of the reference at the lengths that they have in it, Animate Anyone at those of the skeleton; wherever "
    "Animate Anyone is used as it is meant to be, as in the other settings, skeletons are made to fit before. Without "
    "the explicit pose indicator (EPI), Animate-X has learnt from skeletons that fit, without the implicit one (IPI) "
    "it does not see the driving frames.",
)


def write_card(path: Path) -> None:
    """See `models.common.animation_card.write_card`."""
    animation_card.write_card(path, _TEXT)
