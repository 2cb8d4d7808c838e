"""Sampling of characters: species, build, hair, hat, clothes and colours, split into train and held-out."""

from __future__ import annotations

import random
from dataclasses import replace

from models.puppets.character.palettes import CLOTHES, EYES, FUR, HAIR_COLOURS, OUTLINES, SHOES, SKINS, jittered
from models.puppets.drawing.colours import scaled
from models.puppets.spec import Body, CharacterSpec, Look, Proportions, Split

HAIR = ("short", "bob", "long", "ponytail", "buns", "pigtails", "spiky", "afro", "mohawk", "curly")
HATS = ("none", "none", "cap", "beanie", "top_hat", "crown", "bow", "flower", "headphones", "cone")
HELDOUT_HATS = ("straw", "wizard", "cowboy", "helmet")
OUTFITS = (("shirt", "trousers"), ("shirt", "shorts"), ("long_sleeves", "trousers"), ("sleeveless", "shorts"),
           ("dress", "bare"), ("shirt", "skirt"), ("coat", "trousers"), ("sleeveless", "skirt"))  # fmt: skip
PATTERNS = ("plain", "stripes", "dots", "checks", "badge", "band", "buttons")
BUILDS = ("child", "adult", "tall", "wide")
ANIMALS = ("cat", "bear", "rabbit", "dog", "mouse", "frog", "panda", "chick", "pig", "monkey", "robot", "cow")
FRUIT = ("tomato", "strawberry", "blob", "plum")
HELDOUT_ANIMALS = ("fox", "koala", "hare", "wolf", "penguin")
HELDOUT_FRUIT = ("orange", "cactus", "monster")
_ANIMAL_OUTFITS: tuple[tuple[str, str], ...] = (
    ("bare", "bare"), ("bare", "bare"), ("shirt", "bare"), ("sleeveless", "shorts"), ("sleeveless", "skirt"),
    ("dress", "bare"), ("coat", "trousers"), ("bare", "shorts"))  # fmt: skip
_ANIMAL_HATS = ("none", "none", "bow", "flower", "top_hat", "crown", "headphones")
_STALKED = frozenset({"tomato", "strawberry", "orange", "plum"})
_TAILS = {"cat": "long", "mouse": "long", "monkey": "long", "fox": "bushy", "wolf": "bushy", "dog": "long",
          "cow": "long", "rabbit": "tuft", "hare": "tuft", "bear": "tuft", "panda": "tuft"}  # fmt: skip
ANIMAL_BUILDS = ("mascot", "slim", "short_legs", "no_arms", "hover", "huge_head")


def sample_character(rng: random.Random, split: Split, body: Body) -> CharacterSpec:
    """Sample a character of the split. Recipes of the two splits are disjoint by construction."""
    while True:
        character = _human(rng, split) if body == "human" else _anthropomorphic(rng, split)
        if (_is_heldout(character.recipe)) == (split == "heldout"):
            return character


def _is_heldout(recipe: str) -> bool:
    """Whether a recipe is held-out: it has a held-out species or hat, or is among a quarter of the other recipes."""
    _, species, build, hair, hat, top, bottom = recipe.split("/")
    if species in HELDOUT_ANIMALS + HELDOUT_FRUIT or hat in HELDOUT_HATS:
        return True
    choices = ((*ANIMALS, *FRUIT, "human"), (*BUILDS, *ANIMAL_BUILDS, "fruit"), (*HAIR, "none"), (*HATS, "leaf"))
    number = sum(names.index(name) for names, name in zip(choices, (species, build, hair, hat), strict=True))
    outfit = OUTFITS.index((top, bottom)) if (top, bottom) in OUTFITS else 0
    return (number + outfit) % 4 == 0


def _recipe(body: str, build: str, look: Look) -> str:
    return "/".join((body, look.species, build, look.hair, look.hat, look.top, look.bottom))


def _clothes(rng: random.Random, outfits: tuple[tuple[str, str], ...]) -> dict[str, object]:
    top, bottom = rng.choice(outfits)
    first, second, third = (jittered(rng, colour) for colour in rng.choice(CLOTHES))
    return {
        "top": top,
        "bottom": bottom,
        "top_pattern": rng.choice(PATTERNS),
        "top_colour": first,
        "top_second": second,
        "bottom_colour": third,
    }


def _face(rng: random.Random) -> dict[str, object]:
    return {
        "eye_colour": rng.choice(EYES),
        "eye_style": rng.choice(("oval", "oval", "wide", "dot")),
        "eye_size": rng.uniform(0.20, 0.29),
        "mouth_width": rng.uniform(0.30, 0.46),
        "outline": rng.choice(OUTLINES),
        "cheeks": rng.random() < 0.6,
    }


def _human(rng: random.Random, split: Split) -> CharacterSpec:
    hats = HATS if split == "train" or rng.random() < 0.5 else HELDOUT_HATS
    skin = jittered(rng, rng.choice(SKINS), 8)
    hair_colour = jittered(rng, rng.choice(HAIR_COLOURS), 10)
    build = rng.choice(BUILDS)
    hair, hat = rng.choice(HAIR), rng.choice(hats)
    if hair in {"afro", "mohawk", "buns"} and hat not in {"none", "bow", "flower", "headphones"}:
        hair = "short"
    look = Look(
        species="human",
        face_on_body=False,
        skin=skin,
        accent=skin,
        hair=hair,
        hair_colour=hair_colour,
        hat=hat,
        hat_colour=jittered(rng, rng.choice(CLOTHES)[rng.randrange(2)]),
        shoe_colour=jittered(rng, rng.choice(SHOES)),
        hand_style=rng.choice(("fingers", "fingers", "mitten")),
        glove=rng.choice((None, None, None, (246, 246, 246))),
        brow_colour=scaled(hair_colour, 0.75),
        tail="none",
        **_clothes(rng, OUTFITS),  # type: ignore[arg-type]
        **_face(rng),  # type: ignore[arg-type]
    )
    heads, legs, width, limb = {
        "child": (rng.uniform(2.6, 3.1), 0.46, 1.05, 1.05),
        "adult": (rng.uniform(3.6, 4.2), 0.55, 1.0, 1.0),
        "tall": (rng.uniform(4.5, 5.2), 0.60, 0.88, 0.85),
        "wide": (rng.uniform(3.3, 3.9), 0.46, 1.45, 1.25),
    }[build]
    return CharacterSpec(
        recipe=_recipe("human", build, look),
        body="human",
        proportions=_proportions(rng, heads=heads, legs=legs, width=width, limb=limb),
        look=look,
    )


def _anthropomorphic(rng: random.Random, split: Split) -> CharacterSpec:
    exclusive = split == "heldout" and rng.random() < 0.7
    if rng.random() < 0.28:
        return _fruit(rng, rng.choice(HELDOUT_FRUIT if exclusive else FRUIT))
    species = rng.choice(HELDOUT_ANIMALS if exclusive else ANIMALS)
    build = rng.choice(ANIMAL_BUILDS)
    skin, accent = (jittered(rng, colour, 10) for colour in rng.choice(FUR[species]))
    outfits = _ANIMAL_OUTFITS
    if build == "no_arms":
        outfits = tuple(outfit for outfit in outfits if outfit[0] in {"bare", "sleeveless"})
    if species == "robot" or build == "hover":
        outfits = (("bare", "bare"),)
    shoes = build != "hover" and rng.random() < 0.6
    look = Look(
        species=species,
        face_on_body=False,
        skin=skin,
        accent=accent,
        hair="none",
        hair_colour=skin,
        hat="none" if species == "robot" else rng.choice(_ANIMAL_HATS),
        hat_colour=jittered(rng, rng.choice(CLOTHES)[0]),
        shoe_colour=jittered(rng, rng.choice(CLOTHES)[0]) if shoes else skin,
        hand_style=rng.choice(("fingers", "mitten", "mitten")),
        glove=(248, 248, 248) if rng.random() < 0.3 else None,
        brow_colour=scaled(skin, 0.5),
        tail=_TAILS.get(species, "none"),
        **_clothes(rng, outfits),  # type: ignore[arg-type]
        **_face(rng),  # type: ignore[arg-type]
    )
    heads, legs, width, limb = {
        "mascot": (rng.uniform(2.1, 2.5), 0.38, 1.35, 1.45),
        "slim": (rng.uniform(3.0, 3.6), 0.52, 0.95, 1.0),
        "short_legs": (rng.uniform(2.4, 2.8), 0.26, 1.35, 1.35),
        "no_arms": (rng.uniform(2.2, 2.7), 0.42, 1.2, 1.3),
        "hover": (rng.uniform(2.1, 2.6), 0.0, 1.25, 1.3),
        "huge_head": (rng.uniform(1.65, 1.9), 0.42, 1.25, 1.35),
    }[build]
    shape = _proportions(rng, heads=heads, legs=legs, width=width, limb=limb, head_aspect=rng.uniform(1.05, 1.25))
    if build == "no_arms":
        shape = replace(shape, upper_arm=0.0, forearm=0.0, hand=0.0)
    return CharacterSpec(
        recipe=_recipe("anthropomorphic", build, look), body="anthropomorphic", proportions=shape, look=look
    )


def _fruit(rng: random.Random, species: str) -> CharacterSpec:
    """Sample a character whose body is its face, with or without limbs."""
    skin, accent = (jittered(rng, colour, 10) for colour in rng.choice(FUR[species]))
    stalked = species in _STALKED
    limbs = rng.choice(("both", "both", "legs", "arms", "none"))
    look = Look(
        species=species,
        face_on_body=True,
        skin=skin,
        accent=accent,
        hair="none",
        hair_colour=skin,
        hat="leaf" if stalked else rng.choice(("none", "flower", "cone", "bow")),
        hat_colour=(92, 168, 76) if stalked else jittered(rng, rng.choice(CLOTHES)[0]),
        top="bare",
        top_pattern="plain",
        top_colour=skin,
        top_second=accent,
        bottom="bare",
        bottom_colour=skin,
        shoe_colour=jittered(rng, rng.choice(CLOTHES)[0]),
        hand_style="mitten",
        glove=(248, 248, 248) if rng.random() < 0.5 else None,
        brow_colour=scaled(skin, 0.5),
        tail="none",
        **_face(rng),  # type: ignore[arg-type]
    )
    shape = _fruit_proportions(rng, limbs, hover=0.02 if species == "blob" else 0.0)
    return CharacterSpec(
        recipe=_recipe("anthropomorphic", "fruit", look), body="anthropomorphic", proportions=shape, look=look
    )


def _fruit_proportions(rng: random.Random, limbs: str, *, hover: float) -> Proportions:
    legs = rng.uniform(0.26, 0.36) if limbs in {"both", "legs"} else 0.0
    foot = 0.13
    hover = 0.02 if not legs else hover
    torso = 1.0 - legs - (foot * 0.28 if legs else hover)
    wide = torso * rng.uniform(0.42, 0.54)
    arm = rng.uniform(0.17, 0.21) if limbs in {"both", "arms"} else 0.0
    return Proportions(
        head_width=wide,
        head_height=0.5 * torso,
        head_depth=wide,
        neck=0.0,
        torso=torso,
        shoulder_width=wide,
        waist_width=wide,
        hip_width=0.62 * wide,
        torso_depth=0.92 * wide,
        upper_arm=arm,
        forearm=arm,
        arm_radius=0.026,
        hand=0.16 if arm else 0.0,
        thigh=0.5 * legs,
        shin=0.5 * legs,
        leg_radius=0.032,
        foot=foot * 1.3,
        hover=hover,
    )


def _proportions(
    rng: random.Random, *, heads: float, legs: float, width: float, limb: float, head_aspect: float = 1.0
) -> Proportions:
    """Proportions of a body `heads` heads tall, with legs of the share `legs` of the height below the head."""
    head = 0.5 / heads
    below = 1.0 - 1.92 * head
    neck = 0.05 * below
    leg = legs * below
    foot = 0.16 if leg else 0.0
    sole = foot * 0.28
    hover = 0.0 if leg else 0.3 * below
    torso = below - neck * 0.8 - leg * 0.985 - sole - hover
    arm = min(0.42 * below + 0.18 * torso, 0.4)
    shoulder = 0.1 * width * rng.uniform(0.95, 1.1)
    return Proportions(
        head_width=head * head_aspect * rng.uniform(0.86, 0.98),
        head_height=head,
        head_depth=head * rng.uniform(0.86, 0.95),
        neck=neck,
        torso=torso,
        shoulder_width=shoulder,
        waist_width=shoulder * (0.82 if width < 1.2 else 1.12),
        hip_width=shoulder * (0.9 if width < 1.2 else 1.15) * rng.uniform(0.95, 1.1),
        torso_depth=shoulder * (0.68 if width < 1.2 else 0.95),
        upper_arm=arm * 0.52,
        forearm=arm * 0.48,
        arm_radius=0.027 * limb,
        hand=0.125 * (0.5 + 0.5 * limb),
        thigh=leg * 0.5,
        shin=leg * 0.5,
        leg_radius=0.038 * limb,
        foot=foot * (0.6 + 0.4 * limb),
        hover=hover,
    )
