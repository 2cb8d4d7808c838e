"""Motions by name: the train split, the held-out split, and random poses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from models.puppets.motion import dances, everyday, gestures
from models.puppets.motion.improvised import improvise
from models.puppets.motion.pose import Pose

Motion = Callable[[float, float], Pose]


def _by_name(*motions: Motion) -> Mapping[str, Motion]:
    return MappingProxyType({motion.__name__: motion for motion in motions})


TRAIN_MOTIONS = _by_name(
    everyday.walk_in_place,
    everyday.walk_across,
    everyday.march,
    everyday.wave,
    everyday.clap,
    everyday.squat,
    everyday.stretch,
    everyday.talk,
    dances.arm_wave,
    dances.disco,
    dances.jumping_jack,
    dances.twist,
    dances.robot,
    dances.side_step,
    dances.turn,
    everyday.shy,
    everyday.swim,
    everyday.stand,
)
HELDOUT_MOTIONS = _by_name(dances.floss, dances.ballet, everyday.kick, everyday.pick_up, everyday.cheer)
TRAIN_GESTURES = _by_name(gestures.greet, gestures.explain, gestures.nod, gestures.point_up)
HELDOUT_GESTURES = _by_name(gestures.greet_with_both, gestures.shrug)
"""Motions of portraits, with raised hands beside the face."""
GESTURES: Mapping[str, Motion] = MappingProxyType({**TRAIN_GESTURES, **HELDOUT_GESTURES})
MOTIONS: Mapping[str, Motion] = MappingProxyType(
    {**TRAIN_MOTIONS, **HELDOUT_MOTIONS, **_by_name(improvise), **GESTURES}
)
"""All motions; `improvise` belongs to neither split."""
