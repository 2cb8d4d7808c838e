"""Puppets: procedurally rendered, articulated cartoon characters in motion, with exact ground truth.

    spec = sample_spec(seed, split="train", body=None, size_px=(192, 192), num_shots=None)
    frame = render_frame(spec, time_seconds)             # any time, in any order
    for frame in render(spec, fps=16, num_frames=64): ...
    spec = sample_figure(seed)                           # a single full-body character, static camera
    pair = sample_pair(seed)                             # such a character, and a second one that drives it
    spec = sample_interaction(seed, kind="thrown")       # a human character that handles or meets objects
    pair = sample_scene_pair(seed)                       # such a video, and the same scene with another character
    spec = sample_portrait(seed)                         # a talking, gesturing character before moving scenery
    pair = sample_portrait_pair(seed)                    # such a portrait, and another character that drives it
    twin = face_twin(spec, seed)                         # the portrait with another character, frame by frame the same
    spec = living_scene(seed)                            # moving scenery without a character

`sample_spec` samples all parameters and returns a frozen, hashable, picklable `PuppetVideoSpec`. Character recipes and
motions of the split "heldout" do not occur in "train". `spec.shot_starts_seconds` are the true shot boundaries.

`PuppetFrame`:

- `rgb`: (H, W, 3) uint8.
- `keypoints`: (133, 3) float32, x and y in pixels (the centre of the top-left pixel is (0, 0)) and visibility: 0 absent
  (x and y are 0) or outside the frame, 1 occluded, 2 visible.
- `depth`: (H, W) float32 in body heights, smaller is nearer; the background is at `BACKGROUND_DEPTH`.
- `character_mask`: (H, W) bool, visible pixels of the character.
- `object_masks`: object id -> (H, W) bool, visible pixels of the object.
- `limb_depths`: name in `models.pose.skeleton.LIMBS` -> mean depth of the limb's two keypoints, also if occluded.
"""

from models.puppets.interaction import sample_interaction
from models.puppets.pairs import PuppetPair, ScenePair, sample_pair, sample_scene_pair
from models.puppets.portrait import PortraitPair, face_twin, living_scene, sample_portrait, sample_portrait_pair
from models.puppets.prompts import object_prompts
from models.puppets.render import BACKGROUND_DEPTH, CAMERA_DISTANCE, PuppetFrame, render, render_frame
from models.puppets.sampling import sample_spec
from models.puppets.scene.interactions import INTERACTIONS
from models.puppets.scene.living import LIVING_KINDS
from models.puppets.solo import sample_figure
from models.puppets.spec import Body, Interaction, PuppetVideoSpec, Split

__all__ = [
    "BACKGROUND_DEPTH",
    "CAMERA_DISTANCE",
    "INTERACTIONS",
    "LIVING_KINDS",
    "Body",
    "Interaction",
    "PortraitPair",
    "PuppetFrame",
    "PuppetPair",
    "PuppetVideoSpec",
    "ScenePair",
    "Split",
    "face_twin",
    "living_scene",
    "object_prompts",
    "render",
    "render_frame",
    "sample_figure",
    "sample_interaction",
    "sample_pair",
    "sample_portrait",
    "sample_portrait_pair",
    "sample_scene_pair",
    "sample_spec",
]
