"""Choices of judges between two sets of animations: reading of their files, and statistics."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.metrics.bootstrap import bootstrap_interval, sign_test

QUESTIONS: Mapping[str, str] = {
    "quality": "visual quality",
    "identity": "identity",
    "consistency": "consistency",
}
"""Questions of a sheet: name in files -> title."""
ANSWERS = ("left", "right", "equal")
KEY_KIND = "zoetrope preference key"
CHOICES_KIND = "zoetrope preference choices"
_MAX_BYTES = 16 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """Key of a preference sheet: the dataset on the left of each pair.

    Args:
        sheet: digest of the sheet.
        datasets: addresses of A and B.
        left: for each pair, in the order of the sheet, the dataset on the left: `a` or `b`.
    """

    sheet: str
    datasets: tuple[str, str]
    left: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """Answers of one judge. `answers`: (number of the pair from 1, question) -> `left`, `right` or `equal`."""

    judge: str
    answers: Mapping[tuple[int, str], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Preference:
    """Answers of all judges to one question.

    Votes of one pair by several judges are not independent. Interval and test are therefore over pairs: a pair is won
    by the side with more votes.

    Args:
        votes_a, votes_b, equal: number of answers for A, for B, and for neither.
        missing: number of pairs times judges without an answer.
        pairs_a, pairs_b: number of pairs won; pairs without a winner are left out.
        share_a: mean over pairs of the share of A among the votes for either; None without such votes.
        ci_low, ci_high: 95% bootstrap interval of `share_a` over pairs; None for fewer than two pairs.
        p_value: exact two-sided sign test of `pairs_a` against `pairs_b`.
    """

    votes_a: int
    votes_b: int
    equal: int
    missing: int
    pairs_a: int
    pairs_b: int
    share_a: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float


def read_key(path: Path) -> Key:
    """Read the key of a sheet.

    Raises:
        ValueError: the file is absent or no key.
    """
    data = _read_json(path, KEY_KIND, "it lies beside the sheet that `zoetrope evaluate compare` wrote")
    try:
        left = tuple(pair["left"] for pair in data["pairs"])
        key = Key(sheet=data["sheet"], datasets=(data["a"]["dataset"], data["b"]["dataset"]), left=left)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: the key lacks {error}; write the sheet again") from error
    if not set(left) <= {"a", "b"} or not left:
        raise ValueError(f"{path}: expected 'a' or 'b' on the left of each pair, got {sorted(set(left))}")
    return key


def read_choices(paths: Sequence[Path], key: Key) -> list[Choices]:
    """Read the files of several judges; a folder stands for its JSON files.

    Raises:
        ValueError: a file is absent, malformed or of another sheet, or two are of the same judge.
    """
    files: list[Path] = []
    for path in paths:
        files += sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{', '.join(map(str, paths))} holds no .json files; expected files that judges saved")
    choices: dict[str, Choices] = {}
    origins: dict[str, Path] = {}
    for path in files:
        one = _choices(path, key)
        if one.judge in choices:
            raise ValueError(
                f"{path} and {origins[one.judge]} are choices of the same judge ({one.judge}); keep the later one"
            )
        choices[one.judge], origins[one.judge] = one, path
    return list(choices.values())


def _choices(path: Path, key: Key) -> Choices:
    data = _read_json(path, CHOICES_KIND, "the page writes it with 'Save choices'")
    if data.get("sheet") != key.sheet:
        raise ValueError(
            f"{path} has choices of another sheet ({str(data.get('sheet'))[:12]}), expected {key.sheet[:12]}"
        )
    judge, entries = data.get("judge"), data.get("choices")
    if not isinstance(judge, str) or not judge or not isinstance(entries, list):
        raise ValueError(f"{path}: expected a text 'judge' and a list 'choices'")
    answers: dict[tuple[int, str], str] = {}
    for entry in entries:
        number = entry.get("pair") if isinstance(entry, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= len(key.left):
            raise ValueError(f"{path}: pair {number!r}, expected a number from 1 to {len(key.left)}")
        for question, answer in entry.items():
            if question == "pair":
                continue
            if question not in QUESTIONS or answer not in ANSWERS:
                raise ValueError(
                    f"{path}: '{question}': {answer!r} in pair {number}, expected {', '.join(QUESTIONS)} with one of "
                    f"{', '.join(ANSWERS)}"
                )
            if (number, question) in answers:
                raise ValueError(f"{path}: pair {number} occurs twice; expected one entry per pair")
            answers[number, question] = answer
    return Choices(judge=judge, answers=answers)


def _read_json(path: Path, kind: str, origin: str) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path} is no file; expected a '{kind}' file: {origin}")
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, {_MAX_BYTES} are allowed")
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON ({str(error)[:120]}); expected a '{kind}' file: {origin}") from error
    if not isinstance(data, dict) or data.get("zoetrope") != kind:
        raise ValueError(f"{path} is no '{kind}' file: {origin}")
    return data


def preferences(choices: Sequence[Choices], key: Key, *, seed: int = 0) -> dict[str, Preference]:
    """Statistics by question.

    Args:
        choices: answers of each judge.
        key: key of their sheet.
        seed: seed of the bootstrap.
    """
    return {question: _preference(_votes(choices, key, question), len(choices), seed) for question in QUESTIONS}


def _votes(choices: Iterable[Choices], key: Key, question: str) -> list[Counter[str]]:
    """Votes of each pair for `a`, `b` and `equal`."""
    votes: list[Counter[str]] = [Counter() for _ in key.left]
    for one in choices:
        for (number, asked), answer in one.answers.items():
            if asked == question:
                left = key.left[number - 1]
                sides = {"left": left, "right": "b" if left == "a" else "a", "equal": "equal"}
                votes[number - 1][sides[answer]] += 1
    return votes


def _preference(votes: Sequence[Counter[str]], num_judges: int, seed: int) -> Preference:
    total = sum(votes, Counter())
    shares = [pair["a"] / (pair["a"] + pair["b"]) for pair in votes if pair["a"] + pair["b"]]
    pairs_a, pairs_b = sum(pair["a"] > pair["b"] for pair in votes), sum(pair["b"] > pair["a"] for pair in votes)
    interval = bootstrap_interval(shares, seed=seed)
    return Preference(
        votes_a=total["a"],
        votes_b=total["b"],
        equal=total["equal"],
        missing=len(votes) * num_judges - total.total(),
        pairs_a=pairs_a,
        pairs_b=pairs_b,
        share_a=sum(shares) / len(shares) if shares else None,
        ci_low=None if interval is None else interval[0],
        ci_high=None if interval is None else interval[1],
        p_value=sign_test(pairs_a, pairs_b),
    )
