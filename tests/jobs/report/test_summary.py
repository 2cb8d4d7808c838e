import pytest

from jobs.report.summary import MAX_EXAMPLES, MAX_MESSAGE_CHARS, summarise


def row(number, **columns):
    return {"clip_id": f"clip-{number}", "uri": f"{number}.mp4", "status": "ok", **columns}


def test_counts_reasons_and_examples():
    rows = [row(i) for i in range(5)]
    rows += [row(10 + i, status="rejected", stage="select", reason="NoMotion", message="still") for i in range(9)]
    rows += [row(20, status="failed", stage="decode", reason="Timeout", message="60 s", attempts=2)]
    rows += [row(30 + i, status="failed", stage="decode", reason="DecodeError", message="bad") for i in range(2)]
    summary = summarise(rows, id_column="clip_id")
    assert dict(summary.counts) == {"ok": 5, "rejected": 9, "failed": 3}
    assert summary.total == 17
    assert [(entry.status, entry.reason, entry.count) for entry in summary.reasons] == [
        ("failed", "DecodeError", 2),
        ("failed", "Timeout", 1),
        ("rejected", "NoMotion", 9),
    ]
    assert [len(entry.examples) for entry in summary.reasons] == [2, 1, MAX_EXAMPLES]
    assert summary.reasons[1].examples[0].attempts == 2
    assert summary.histograms == ()


def test_stage_times_are_added_up():
    times = ({"decode": 0.5, "pose": 1.0}, {"pose": 2.0}, None)
    rows = [row(number, seconds_by_stage=seconds) for number, seconds in enumerate(times)]
    decode, pose = summarise(rows, id_column="clip_id").stages
    assert (decode.stage, decode.seconds, decode.num_rows, decode.rows_per_second) == ("decode", 0.5, 1, 2.0)
    assert (pose.stage, pose.seconds, pose.num_rows) == ("pose", 3.0, 2)


def test_histograms_count_every_row_once():
    rows = [row(i, sharpness=float(i), person_share=1.0, identity_switches=i % 3) for i in range(100)]
    rows += [row(200, status="rejected", reason="Blurred", sharpness=1e6, person_share=0.0, identity_switches=2)]
    rows += [row(201, status="failed", reason="Crash", sharpness=None)]
    summary = summarise(rows, id_column="clip_id", thresholds={"sharpness": 5.0})
    by_column = {histogram.column: histogram for histogram in summary.histograms}
    assert by_column.keys() == {"sharpness", "person_share", "identity_switches"}
    for histogram in summary.histograms:
        assert sum(histogram.ok) == 100
        assert sum(histogram.not_ok) == 1
    sharpness = by_column["sharpness"]
    assert sharpness.clipped
    assert sharpness.high < 200
    assert sharpness.not_ok[-1] == 1
    assert sharpness.threshold == 5.0
    assert sharpness.median == 50
    assert (by_column["person_share"].low, by_column["person_share"].high) == (0, 1)
    assert by_column["identity_switches"].ok[:3] == (34, 33, 33)


def test_histogram_of_one_value():
    (histogram,) = summarise([row(0, motion_magnitude=0.0)], id_column="clip_id").histograms
    assert sum(histogram.ok) == 1
    assert histogram.high > histogram.low


def test_long_messages_keep_both_ends():
    message = "start" + "x" * 50_000 + "end"
    summary = summarise([row(0, status="failed", reason="UnexpectedError", message=message)], id_column="clip_id")
    shown = summary.reasons[0].examples[0].message
    assert len(shown) < MAX_MESSAGE_CHARS + 10
    assert shown.startswith("start")
    assert shown.endswith("end")


def test_no_rows():
    summary = summarise([], id_column="clip_id")
    assert summary.total == 0
    assert summary.reasons == summary.stages == summary.histograms == ()


def test_refuses_an_unknown_status():
    with pytest.raises(ValueError, match="row 'clip-0' has status 'done', expected one of ok, rejected, failed"):
        summarise([row(0, status="done")], id_column="clip_id")
