"""Who can be drawn: recipes of species, build, hair, hat, clothes and colours, split into train and held-out."""

from __future__ import annotations

import random
from dataclasses import replace

from models.puppets.spec import Body, CharacterSpec, Colour, Look, Proportions, Split

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
ANIMAL_BUILDS = ("mascot", "slim", "short_legs", "no_arms", "hover", "huge_head")

_CLOTHES: tuple[tuple[Colour, Colour, Colour], ...] = (
    ((226, 74, 68), (250, 236, 214), (58, 84, 140)),
    ((66, 133, 208), (250, 214, 92), (88, 72, 60)),
    ((250, 190, 60), (226, 92, 60), (60, 120, 110)),
    ((96, 178, 104), (246, 246, 232), (110, 82, 150)),
    ((150, 96, 190), (250, 196, 220), (52, 60, 92)),
    ((245, 130, 160), (255, 240, 244), (120, 190, 210)),
    ((60, 170, 170), (244, 222, 120), (200, 80, 80)),
    ((240, 132, 52), (66, 76, 120), (126, 150, 82)),
    ((236, 236, 228), (70, 110, 180), (210, 84, 72)),
    ((74, 80, 110), (236, 110, 100), (196, 160, 110)),
)
_SKINS: tuple[Colour, ...] = (
    (255, 219, 186), (244, 196, 156), (224, 166, 120), (188, 128, 88), (146, 94, 64), (108, 70, 50))  # fmt: skip
_HAIR_COLOURS: tuple[Colour, ...] = (
    (62, 42, 34), (34, 30, 40), (142, 84, 44), (224, 176, 84), (196, 84, 44), (120, 90, 170), (60, 140, 180),
    (236, 130, 170), (190, 190, 196))  # fmt: skip
_FUR: dict[str, tuple[tuple[Colour, Colour], ...]] = {
    "cat": (((244, 166, 84), (255, 238, 214)), ((120, 126, 140), (232, 232, 236)), ((70, 66, 78), (236, 226, 226))),
    "bear": (((168, 112, 70), (236, 204, 164)), ((206, 150, 96), (250, 226, 190))),
    "rabbit": (((238, 230, 224), (250, 190, 200)), ((184, 152, 128), (250, 214, 206))),
    "dog": (((226, 178, 122), (132, 86, 58)), ((236, 230, 220), (150, 104, 72))),
    "mouse": (((160, 160, 176), (244, 190, 200)), ((196, 168, 150), (246, 214, 206))),
    "frog": (((112, 190, 88), (226, 240, 170)), ((82, 170, 130), (232, 236, 180))),
    "panda": (((244, 242, 238), (62, 60, 70)),),
    "chick": (((252, 216, 84), (255, 240, 180)), ((250, 240, 220), (255, 250, 240))),
    "pig": (((246, 172, 180), (232, 130, 144)),),
    "monkey": (((140, 92, 62), (242, 206, 166)),),
    "robot": (((150, 178, 200), (224, 240, 244)), ((220, 120, 90), (250, 234, 206)), ((150, 190, 150), (236, 244, 226))),
    "cow": (((242, 238, 232), (92, 70, 64)), ((180, 120, 84), (244, 214, 190))),
    "fox": (((232, 120, 50), (255, 240, 224)),),
    "koala": (((152, 160, 174), (226, 222, 228)),),
    "hare": (((206, 170, 120), (250, 226, 200)),),
    "wolf": (((112, 122, 146), (220, 226, 236)),),
    "penguin": (((66, 78, 108), (246, 244, 238)),),
    "tomato": (((226, 70, 56), (250, 130, 100)),),
    "strawberry": (((232, 60, 84), (252, 222, 130)),),
    "plum": (((140, 84, 170), (190, 140, 210)),),
    "blob": (((96, 196, 190), (70, 160, 170)), ((170, 200, 80), (130, 164, 60))),
    "orange": (((248, 156, 50), (255, 200, 110)),),
    "cactus": (((100, 176, 96), (214, 236, 170)),),
    "monster": (((150, 110, 200), (250, 210, 90)),),
}  # fmt: skip
_OUTLINES: tuple[Colour, ...] = ((44, 32, 40), (36, 30, 52), (58, 38, 30))


def sample_character(rng: random.Random, split: Split, body: Body) -> CharacterSpec:
    """Draw a character of the split. Recipes of the two splits are disjoint by construction."""
    while True:
        character = _human(rng, split) if body == "human" else _anthropomorphic(rng, split)
        if (_is_heldout(character.recipe)) == (split == "heldout"):
            return character


def _is_heldout(recipe: str) -> bool:
    """Held-out: a species or hat of its own, or one in four of the combinations of the rest."""
    _, species, build, hair, hat, top, bottom = recipe.split("/")
    if species in HELDOUT_ANIMALS + HELDOUT_FRUIT or hat in HELDOUT_HATS:
        return True
    choices = (ANIMALS + FRUIT + ("human",), BUILDS + ANIMAL_BUILDS + ("fruit",), HAIR + ("none",), HATS + ("leaf",))
    number = sum(names.index(name) for names, name in zip(choices, (species, build, hair, hat), strict=True))
    outfit = OUTFITS.index((top, bottom)) if (top, bottom) in OUTFITS else 0
    return (number + outfit) % 4 == 0


def _recipe(body: str, build: str, look: Look) -> str:
    return "/".join((body, look.species, build, look.hair, look.hat, look.top, look.bottom))


def _clothes(rng: random.Random, outfits: tuple[tuple[str, str], ...]) -> dict[str, object]:
    top, bottom = rng.choice(outfits)
    first, second, third = (_jitter(rng, colour) for colour in rng.choice(_CLOTHES))
    return {
        "top": top,
        "bottom": bottom,
        "top_pattern": rng.choice(PATTERNS),
        "top_colour": first,
        "top_second": second,
        "bottom_colour": third,
    }


def _jitter(rng: random.Random, colour: Colour, amount: int = 14) -> Colour:
    return tuple(min(max(c + rng.randint(-amount, amount), 12), 255) for c in colour)  # type: ignore[return-value]


def _face(rng: random.Random) -> dict[str, object]:
    return {
        "eye_colour": rng.choice(((90, 56, 38), (60, 120, 190), (76, 150, 96), (110, 84, 170), (50, 44, 60))),
        "eye_style": rng.choice(("oval", "oval", "wide", "dot")),
        "eye_size": rng.uniform(0.20, 0.29),
        "mouth_width": rng.uniform(0.30, 0.46),
        "outline": rng.choice(_OUTLINES),
        "cheeks": rng.random() < 0.6,
    }


def _human(rng: random.Random, split: Split) -> CharacterSpec:
    hats = HATS if split == "train" or rng.random() < 0.5 else HELDOUT_HATS
    skin = _jitter(rng, rng.choice(_SKINS), 8)
    hair_colour = _jitter(rng, rng.choice(_HAIR_COLOURS), 10)
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
        hat_colour=_jitter(rng, rng.choice(_CLOTHES)[rng.randrange(2)]),
        shoe_colour=_jitter(
            rng, rng.choice(((196, 60, 60), (70, 70, 90), (120, 80, 54), (70, 130, 190), (240, 200, 80)))
        ),
        hand_style=rng.choice(("fingers", "fingers", "mitten")),
        glove=rng.choice((None, None, None, (246, 246, 246))),
        brow_colour=tuple(int(c * 0.75) for c in hair_colour),  # type: ignore[arg-type]
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
    skin, accent = (_jitter(rng, colour, 10) for colour in rng.choice(_FUR[species]))
    outfits = (("bare", "bare"), ("bare", "bare"), ("shirt", "bare"), ("sleeveless", "shorts"), ("dress", "bare"),
               ("coat", "trousers"), ("bare", "shorts"))  # fmt: skip
    if species == "robot" or build == "hover":
        outfits = (("bare", "bare"),)
    if build == "no_arms":
        outfits = (("bare", "bare"), ("sleeveless", "shorts"), ("sleeveless", "skirt"))
    shoes = build != "hover" and rng.random() < 0.6
    look = Look(
        species=species,
        face_on_body=False,
        skin=skin,
        accent=accent,
        hair="none",
        hair_colour=skin,
        hat="none" if species == "robot" else rng.choice(("none", "none", "bow", "flower", "top_hat", "crown", "headphones")),
        hat_colour=_jitter(rng, rng.choice(_CLOTHES)[0]),
        shoe_colour=_jitter(rng, rng.choice(_CLOTHES)[0]) if shoes else skin,
        hand_style=rng.choice(("fingers", "mitten", "mitten")),
        glove=(248, 248, 248) if rng.random() < 0.3 else None,
        brow_colour=tuple(int(c * 0.5) for c in skin),  # type: ignore[arg-type]
        tail={"cat": "long", "mouse": "long", "monkey": "long", "fox": "bushy", "wolf": "bushy", "dog": "long",
              "rabbit": "tuft", "hare": "tuft", "bear": "tuft", "panda": "tuft", "cow": "long"}.get(species, "none"),
        **_clothes(rng, outfits),  # type: ignore[arg-type]
        **_face(rng),  # type: ignore[arg-type]
    )  # fmt: skip
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
    """A body that is a face, with limbs or without."""
    skin, accent = (_jitter(rng, colour, 10) for colour in rng.choice(_FUR[species]))
    limbs = rng.choice(("both", "both", "legs", "arms", "none"))
    look = Look(
        species=species,
        face_on_body=True,
        skin=skin,
        accent=accent,
        hair="none",
        hair_colour=skin,
        hat="leaf"
        if species in {"tomato", "strawberry", "orange", "plum"}
        else rng.choice(("none", "flower", "cone", "bow")),
        hat_colour=(92, 168, 76)
        if species in {"tomato", "strawberry", "orange", "plum"}
        else _jitter(rng, rng.choice(_CLOTHES)[0]),
        top="bare",
        top_pattern="plain",
        top_colour=skin,
        top_second=accent,
        bottom="bare",
        bottom_colour=skin,
        shoe_colour=_jitter(rng, rng.choice(_CLOTHES)[0]),
        hand_style="mitten",
        glove=(248, 248, 248) if rng.random() < 0.5 else None,
        brow_colour=tuple(int(c * 0.5) for c in skin),  # type: ignore[arg-type]
        tail="none",
        **_face(rng),  # type: ignore[arg-type]
    )
    legs = rng.uniform(0.26, 0.36) if limbs in {"both", "legs"} else 0.0
    foot = 0.13
    hover = 0.02 if species == "blob" or not legs else 0.0
    torso = 1.0 - legs - (foot * 0.28 if legs else hover)
    wide = torso * rng.uniform(0.42, 0.54)
    arm = rng.uniform(0.17, 0.21) if limbs in {"both", "arms"} else 0.0
    shape = Proportions(
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
    return CharacterSpec(
        recipe=_recipe("anthropomorphic", "fruit", look), body="anthropomorphic", proportions=shape, look=look
    )


def _proportions(
    rng: random.Random, *, heads: float, legs: float, width: float, limb: float, head_aspect: float = 1.0
) -> Proportions:
    """Sizes of a body that is `heads` heads tall and whose legs take the share `legs` of what is below the head."""
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
