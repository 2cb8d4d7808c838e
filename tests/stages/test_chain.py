from typing import Any, ClassVar

import numpy as np
import pytest

from models.finite import NotFiniteError
from stages.base import Row, Stage
from stages.chain import reuse, run_row, stages_to_run
from stages.outcome import BadRow, OutputRefusedError, Reason, Rejected


def stage(name: str, reads: str, writes: str, transient: str = "") -> Stage[None]:
    class Made(Stage[None]):
        def process(self, row: Row) -> Row:
            if row.get("raise") == name:
                raise row["error"]
            return {column: f"{name}:{column}" for column in self.writes}

    Made.name = name
    Made.reads, Made.writes, Made.transient = (frozenset(text.split()) for text in (reads, writes, transient))
    return Made(None)


CHAIN: list[Stage[Any]] = [
    stage("decode", "uri", "frames times", "frames"),
    stage("pose", "frames", "keypoints"),
    stage("depth", "frames keypoints", "depth"),
    stage("select", "keypoints", ""),
]
KEYS = {s.name: f"key-{s.name}" for s in CHAIN}


def names(reusable: set[str]) -> list[str]:
    return [s.name for s in stages_to_run(CHAIN, frozenset(reusable))]


def test_frames_are_made_again_only_for_those_who_read_them() -> None:
    assert names(set()) == ["decode", "pose", "depth", "select"]
    assert names({"decode", "pose", "depth"}) == ["select"]
    assert names({"decode", "pose", "select"}) == ["decode", "depth"]
    assert names({"decode", "pose", "depth", "select"}) == []


def test_outcomes_instead_of_exceptions() -> None:
    done = run_row({"uri": "x"}, CHAIN, KEYS)
    assert (done["status"], done["stage_keys"]) == ("ok", KEYS)
    assert list(done["seconds_by_stage"]) == list(KEYS)
    bad = run_row({"uri": "x", "raise": "pose", "error": BadRow(Reason.DECODE_ERROR, "why")}, CHAIN, KEYS)
    assert (bad["status"], bad["stage"], bad["reason"], bad["message"]) == ("failed", "pose", "DecodeError", "why")
    assert set(bad["stage_keys"]) == {"decode"}
    out = run_row({"uri": "x", "raise": "select", "error": Rejected(Reason.NO_MOTION, "why")}, CHAIN, KEYS)
    assert (out["status"], out["depth"]) == ("rejected", "depth:depth")
    odd = run_row({"uri": "x", "raise": "depth", "error": KeyError("nothing")}, CHAIN, KEYS)
    assert odd["reason"] == "UnexpectedError"
    assert odd["message"].rstrip().endswith("KeyError: 'nothing'")
    full = run_row({"uri": "x", "raise": "depth", "error": MemoryError()}, CHAIN, KEYS)
    assert full["reason"] == "OutOfMemory"
    black = run_row({"uri": "x", "raise": "depth", "error": NotFiniteError("depth of it: 1 of 2 values")}, CHAIN, KEYS)
    assert (black["status"], black["stage"], black["reason"]) == ("failed", "depth", "NotFinite")
    assert black["message"] == "depth of it: 1 of 2 values"


def test_a_storage_that_refuses_is_no_outcome_of_the_row() -> None:
    with pytest.raises(OutputRefusedError, match="full"):
        run_row({"uri": "x", "raise": "pose", "error": OutputRefusedError("full")}, CHAIN, KEYS)


class Loader(Stage[None]):
    """Loads the resource named by the row, unless it is loaded already."""

    name = "loader"
    reads: ClassVar[frozenset[str]] = frozenset({"model"})
    writes: ClassVar[frozenset[str]] = frozenset()
    loaded = ""

    def load(self, row: Row) -> bool:
        if row["model"] == self.loaded:
            return False
        if row["model"] == "lost":
            raise BadRow(Reason.NOT_FOUND, "no such model")
        self.loaded = row["model"]
        return True

    def process(self, row: Row) -> Row:
        return {}


def test_loading_is_counted_apart_and_only_where_something_was_loaded() -> None:
    loader, keys = Loader(None), {"loader": "k"}
    first, second, lost = (run_row({"model": name}, [loader], keys) for name in ("a", "a", "lost"))
    assert list(first["seconds_by_stage"]) == ["loader.load", "loader"]
    assert list(second["seconds_by_stage"]) == ["loader"]
    assert (lost["stage"], lost["reason"]) == ("loader", "NotFound")


def test_only_stages_with_the_same_key_are_reused() -> None:
    previous = {
        "times": np.zeros(3),
        "keypoints": np.ones(3),
        "depth": "old",
        "stage_keys": {"decode": "key-decode", "pose": "key-pose", "depth": "another", "select": "key-select"},
    }
    row: Row = {"uri": "x"}
    same = reuse(row, previous, CHAIN, KEYS)
    assert same == {"decode", "pose", "select"}
    assert row["keypoints"] is previous["keypoints"]
    assert "depth" not in row
    assert reuse({}, {"stage_keys": None}, CHAIN, KEYS) == frozenset()


class Looks(Stage[None]):
    """Shows the row to a network, unless it fails before."""

    reads: ClassVar[frozenset[str]] = frozenset({"fails"})
    writes: ClassVar[frozenset[str]] = frozenset({"found"})
    name = "looks"

    def networks(self, row: Row) -> dict[str, str]:
        return {"looks": "glasses"}

    def process(self, row: Row) -> Row:
        if row["fails"]:
            raise BadRow(Reason.NO_PERSON, "nobody")
        return {"found": 1}


def test_a_row_names_the_networks_that_saw_it() -> None:
    chain, keys = [CHAIN[0], Looks(None)], {"decode": "d", "looks": "l"}
    for fails, status in ((False, "ok"), (True, "failed")):
        done = run_row({"fails": fails}, chain, keys)
        assert (done["status"], done["networks"]) == (status, {"looks": "glasses"})
    unseen = {"raise": "decode", "error": BadRow(Reason.DECODE_ERROR, "why")}
    assert run_row(unseen, chain, keys)["networks"] == {}

    # A reused stage keeps its network; rows of earlier versions do not name it.
    for before in ({"networks": {"looks": "glasses", "gone": "x"}}, {"networks": None}, {}):
        row: Row = {"fails": False}
        same = reuse(row, {"found": 1, "stage_keys": {"looks": "l"}, **before}, chain, keys)
        assert run_row(row, [CHAIN[0]], keys, same)["networks"] == {"looks": "glasses"}


class Liar(Stage[None]):
    name = "liar"
    reads: ClassVar[frozenset[str]] = frozenset()
    writes: ClassVar[frozenset[str]] = frozenset({"promised"})

    def process(self, row: Row) -> Row:
        return {"other": 1}


def test_a_stage_must_write_what_it_declares() -> None:
    done = run_row({}, [Liar(None)], {"liar": "k"})
    assert "wrote ['other'], but declares ['promised']" in done["message"]
