from __future__ import annotations

import random

import pytest

from models.puppets.character.sampling import sample_character
from models.puppets.spec import Body, CharacterSpec, Split


def _draw(split: Split, body: Body, count: int = 400) -> list[CharacterSpec]:
    rng = random.Random(f"{split}{body}")
    return [sample_character(rng, split, body) for _ in range(count)]


@pytest.mark.parametrize("body", ["human", "anthropomorphic"])
def test_no_recipe_is_in_both_splits(body: Body) -> None:
    train = {character.recipe for character in _draw("train", body)}
    heldout = {character.recipe for character in _draw("heldout", body)}
    assert not train & heldout
    assert len(train) > 80
    assert len(heldout) > 40


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_a_character_stands_one_unit_tall(split: Split) -> None:
    for character in _draw(split, "human") + _draw(split, "anthropomorphic"):
        p = character.proportions
        below = (p.thigh + p.shin) * 0.985 + p.foot * 0.28 if p.thigh else p.hover
        above = p.torso if character.look.face_on_body else p.torso + 0.8 * p.neck + 1.92 * p.head_height
        assert below + above == pytest.approx(1.0, abs=0.03)
        assert min(p.torso, p.head_width, p.head_height, p.shoulder_width, p.torso_depth) > 0.0


def test_anthropomorphic_bodies_vary() -> None:
    drawn = _draw("train", "anthropomorphic")
    assert any(character.proportions.upper_arm == 0.0 for character in drawn)
    assert any(character.proportions.thigh == 0.0 for character in drawn)
    assert any(character.proportions.head_height > 0.25 for character in drawn)
    assert any(0.0 < character.proportions.thigh < 0.12 for character in drawn)
    assert any(character.look.face_on_body for character in drawn)
    assert len({character.look.species for character in drawn}) >= 14
