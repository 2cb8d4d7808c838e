import pytest
from small_results import write_results, write_sources

from pipelines.engine.ledger import Ledger
from pipelines.evaluation.matching import match_animations
from stages.io.storage import Storage


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return write_sources(tmp_path_factory.mktemp("sources"), 4)


def test_animations_match_by_picture_and_driving_video(tmp_path, sources):
    a = write_results(tmp_path / "a", "red", sources, (200, 0, 0))
    b = write_results(tmp_path / "b", "blue", sources[::-1], (0, 0, 200), prefix="other-")
    matching = match_animations(a, b)
    assert [(of_a.request_id, of_b.request_id) for of_a, of_b in matching.pairs] == [
        (f"{i}.red", f"other-{3 - i}.blue") for i in range(4)
    ]
    assert (matching.unmatched_a, matching.unmatched_b) == (0, 0)
    assert a.read_row(matching.pairs[0][0].data_name, "0.red") is not None


def test_another_part_of_the_driving_video_is_no_match(tmp_path, sources):
    a = write_results(tmp_path / "a", "red", sources[:3], (200, 0, 0))
    b = write_results(tmp_path / "b", "blue", [sources[0], {**sources[1], "start_seconds": 0.5}], (0, 0, 200))
    matching = match_animations(a, b)
    assert [of_a.request_id for of_a, _ in matching.pairs] == ["0.red"]
    assert (matching.unmatched_a, matching.unmatched_b) == (2, 1)


def test_rows_without_an_animation_are_left_out(tmp_path, sources):
    a = write_results(tmp_path / "a", "red", sources, (200, 0, 0), failed=3)
    b = write_results(tmp_path / "b", "blue", sources, (0, 0, 200))
    matching = match_animations(a, b)
    assert len(matching.pairs) == 1
    assert (matching.unmatched_a, matching.unmatched_b) == (0, 3)


def test_models_of_one_dataset(tmp_path, sources):
    write_results(tmp_path / "all", "red", sources, (200, 0, 0))
    both = write_results(tmp_path / "all", "blue", sources, (0, 0, 200))
    with pytest.raises(ValueError, match=r"several animations of the same picture.*--models"):
        match_animations(both, both)
    matching = match_animations(both, both, models=("red", "blue"))
    assert {(of_a.model, of_b.model) for of_a, of_b in matching.pairs} == {("red", "blue")}
    with pytest.raises(ValueError, match="no animations of green"):
        match_animations(both, both, models=("red", "green"))


def test_other_datasets_are_refused(tmp_path, sources):
    a = write_results(tmp_path / "a", "red", sources, (200, 0, 0))
    with pytest.raises(ValueError, match="expected a dataset that `zoetrope animate` wrote"):
        match_animations(a, Ledger(Storage(str(tmp_path / "nothing")), "request_id"))
