"""Puppets: procedurally drawn, articulated cartoon characters in motion, with exact ground truth.

    spec = sample_spec(seed, split="train", body=None, size_px=(192, 192), num_shots=None)
    frame = render_frame(spec, time_seconds)             # any moment, in any order
    for frame in render(spec, fps=16, num_frames=64): ...
    spec = sample_figure(seed)                           # one character, whole and alone, before a still camera
    pair = sample_pair(seed)                             # such a character, and another that drives it

`sample_spec` decides everything and returns a frozen, hashable, picklable `PuppetVideoSpec`. Characters (their recipes)
and motions of the split "heldout" are never drawn in "train". `spec.shot_starts_seconds` are the true shot boundaries.

`PuppetFrame`:

- `rgb`: (H, W, 3) uint8.
- `keypoints`: (133, 3) float32, x and y in pixels (the centre of the top-left pixel is (0, 0)) and visibility: 0 the
  character has no such part or it is out of the frame (x, y are then those of the part, or 0), 1 occluded, 2 visible.
- `depth`: (H, W) float32 in body heights, near is small; the background is at `BACKGROUND_DEPTH`, behind everything.
- `character_mask`: (H, W) bool, the pixels that show the character.
- `object_masks`: object id -> (H, W) bool, the pixels that show the object.
- `limb_depths`: name in `models.pose.skeleton.LIMBS` -> mean depth of the limb's two keypoints, hidden or not.
"""

from models.puppets.pairs import PuppetPair, sample_pair
from models.puppets.render import BACKGROUND_DEPTH, CAMERA_DISTANCE, PuppetFrame, render, render_frame
from models.puppets.sampling import sample_spec
from models.puppets.solo import sample_figure
from models.puppets.spec import Body, PuppetVideoSpec, Split

__all__ = [
    "BACKGROUND_DEPTH",
    "CAMERA_DISTANCE",
    "Body",
    "PuppetFrame",
    "PuppetPair",
    "PuppetVideoSpec",
    "Split",
    "render",
    "render_frame",
    "sample_figure",
    "sample_pair",
    "sample_spec",
]
