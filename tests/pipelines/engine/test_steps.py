import pytest
import toy

from pipelines.engine.steps import Step, Workers, check, fuse


def test_equal_neighbours_share_a_worker() -> None:
    steps = toy.steps()
    assert [len(group.stages) for group in fuse(steps)] == [3]
    steps[1] = Step(stage=steps[1].stage, workers=Workers(gpus=0.5))
    assert [len(group.stages) for group in fuse(steps)] == [1, 1, 1]


def test_the_list_is_checked_before_anything_starts() -> None:
    steps = toy.steps()
    check(steps, ["value", "fault"])
    with pytest.raises(
        ValueError, match=r"stage 'sum' reads \['frames'\], which neither the manifest nor an earlier stage"
    ):
        check(steps[1:], ["value", "fault"])
    with pytest.raises(ValueError, match="two stages are named 'decode'"):
        check([steps[0], steps[0]], ["value", "fault"])
    with pytest.raises(ValueError, match=r"stage 'decode' writes \['size'\], which exist already"):
        check(steps, ["value", "fault", "size"])


def test_impossible_workers_are_refused() -> None:
    with pytest.raises(ValueError, match="must be 1/n"):
        Workers(gpus=0.3)
    with pytest.raises(ValueError, match="nothing negative"):
        Workers(actors=-1)
