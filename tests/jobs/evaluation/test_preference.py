import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.evaluation.preference import (
    ANSWERS,
    CHOICES_KIND,
    KEY_KIND,
    QUESTIONS,
    Choices,
    Key,
    preferences,
    read_choices,
    read_key,
)

SHEET = "5e" * 32
KEY = Key(sheet=SHEET, datasets=("a", "b"), left=("a", "b", "a"))


def write(path, **changes):
    content = {
        "zoetrope": CHOICES_KIND,
        "sheet": SHEET,
        "judge": path.stem,
        "choices": [{"pair": 1, "quality": "left"}, {"pair": 2, "quality": "left", "identity": "equal"}],
    }
    path.write_text(json.dumps({**content, **changes}))
    return path


def test_sides_are_resolved_by_the_key(tmp_path):
    judges = read_choices([write(tmp_path / "one.json"), write(tmp_path / "two.json")], KEY)
    result = preferences(judges, KEY)
    quality, identity = result["quality"], result["identity"]
    assert (quality.votes_a, quality.votes_b, quality.equal, quality.missing) == (2, 2, 0, 2)
    assert (quality.pairs_a, quality.pairs_b, quality.share_a, quality.p_value) == (1, 1, 0.5, 1.0)
    assert (quality.ci_low, quality.ci_high) == (0.0, 1.0)
    assert (identity.equal, identity.missing, identity.share_a, identity.ci_low) == (2, 4, None, None)


def test_votes_of_one_pair_count_once_in_the_test():
    key = Key(sheet=SHEET, datasets=("a", "b"), left=("a",) * 6)
    answers = {(pair, "quality"): "left" for pair in range(1, 7)}
    one = preferences([Choices(judge="0", answers=answers)], key)["quality"]
    ten = preferences([Choices(judge=str(i), answers=answers) for i in range(10)], key)["quality"]
    assert one.p_value == ten.p_value == pytest.approx(2 / 2**6)
    assert (ten.votes_a, ten.pairs_a) == (60, 6)


ANSWERED = st.dictionaries(
    st.tuples(st.integers(1, 3), st.sampled_from(list(QUESTIONS))), st.sampled_from(ANSWERS), max_size=9
)


@given(st.lists(ANSWERED, max_size=4), st.lists(st.sampled_from("ab"), min_size=3, max_size=3))
def test_every_answer_is_counted_once_and_exchanging_a_and_b_mirrors_all(answers, left):
    judges = [Choices(judge=str(i), answers=given) for i, given in enumerate(answers)]
    key = Key(sheet=SHEET, datasets=("a", "b"), left=tuple(left))
    mirrored = Key(sheet=SHEET, datasets=("b", "a"), left=tuple("b" if side == "a" else "a" for side in left))
    ours, theirs = preferences(judges, key), preferences(judges, mirrored)
    for name in QUESTIONS:
        one, other = ours[name], theirs[name]
        assert one.votes_a + one.votes_b + one.equal + one.missing == 3 * len(judges)
        assert (one.votes_a, one.pairs_a, one.p_value) == (other.votes_b, other.pairs_b, other.p_value)
        if one.share_a is not None:
            assert one.share_a == pytest.approx(1 - other.share_a)


def test_a_folder_stands_for_its_files(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / f"{name}.json")
    (tmp_path / "notes.txt").write_text("not choices")
    assert [one.judge for one in read_choices([tmp_path], KEY)] == ["one", "two"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sheet": "other"}, "choices of another sheet"),
        ({"sheet": None}, "choices of another sheet"),
        ({"zoetrope": KEY_KIND}, "is no 'zoetrope preference choices' file"),
        ({"judge": 7}, "expected a text 'judge'"),
        ({"choices": {}}, "a list 'choices'"),
        ({"choices": [{"pair": 4}]}, "pair 4, expected a number from 1 to 3"),
        ({"choices": [{"pair": True}]}, "pair True"),
        ({"choices": ["pair"]}, "pair None"),
        ({"choices": [{"pair": 1, "quality": "up"}]}, "'quality': 'up' in pair 1"),
        ({"choices": [{"pair": 1, "quality": ["left"]}]}, "'quality'"),
        ({"choices": [{"pair": 1, "beauty": "left"}]}, "'beauty'"),
        ({"choices": [{"pair": 1, "quality": "left"}, {"pair": 1, "quality": "right"}]}, "pair 1 occurs twice"),
    ],
)
def test_malformed_choices_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_choices([write(tmp_path / "one.json", **changes)], KEY)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"[" * 100_000])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "one.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"one\.json"):
        read_choices([tmp_path / "one.json"], KEY)


def test_two_files_of_one_judge_are_refused(tmp_path):
    files = [write(tmp_path / "one.json"), write(tmp_path / "copy.json", judge="one")]
    with pytest.raises(ValueError, match=r"same judge \(one\)"):
        read_choices(files, KEY)


def test_absent_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="is no file"):
        read_choices([tmp_path / "none.json"], KEY)
    with pytest.raises(ValueError, match=r"holds no \.json files"):
        read_choices([tmp_path], KEY)
    with pytest.raises(ValueError, match="beside the sheet"):
        read_key(tmp_path / "sheet.key.json")


def test_a_damaged_key_is_refused(tmp_path):
    path = tmp_path / "sheet.key.json"
    path.write_text(json.dumps({"zoetrope": KEY_KIND, "sheet": SHEET}))
    with pytest.raises(ValueError, match="the key lacks 'pairs'"):
        read_key(path)
