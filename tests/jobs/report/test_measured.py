import pytest

from jobs.report.measured import ABSENT, compare, heading, measured_model, not_computed, shown
from models.metrics.measures import MEASURES, SET_MEASURES
from models.metrics.protocols import PROTOCOLS
from pipelines.evaluation.tables import MeasuredValue, ModelTable


def table(model, **values):
    lines = tuple(MeasuredValue(name=name, n=3, value=value) for name, value in values.items())
    return ModelTable(model=model, setting="default", ok=3, rejected=0, failed=1, values=lines)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (28.413, "28.41"),
        (1703.87, "1,703.87"),
        (0.718, "0.718"),
        (2.7e-4, "2.70e-04"),
        (0.0, "0.000"),
        (-0.25, "-0.250"),
        (None, ABSENT),
        (float("nan"), ABSENT),
        (float("inf"), ABSENT),
    ],
)
def test_values_as_text(value, text):
    assert shown(value) == text


@pytest.mark.parametrize("name", [*MEASURES, *SET_MEASURES])
def test_every_measure_has_a_heading(name):
    assert heading(name).definition


def test_lines_of_a_model():
    value = MeasuredValue(
        name="flicker", n=4, value=0.02, ci_low=0.01, ci_high=0.03, truth_value=0.015, note="one clip has one frame"
    )
    model = measured_model(ModelTable(model="m", setting="", ok=4, rejected=1, failed=0, values=(value,)))
    (line,) = model.lines
    assert (line.value, line.interval, line.truth, line.note) == (
        "0.020",
        "0.010 to 0.030",
        "0.015",
        "one clip has one frame",
    )
    assert line.heading.arrow == ""


def test_a_distance_has_no_interval():
    (line,) = measured_model(table("m", fvd=81.6)).lines
    assert (line.value, line.interval, line.heading.arrow) == ("81.60", ABSENT, "↓")


def test_the_best_model_is_marked_by_the_direction_of_the_measure():
    comparison = compare([table("a", psnr_db=20.0, l1=0.1, flicker=0.2), table("b", psnr_db=21.0, l1=0.2)], None)
    assert [h.name for h in comparison.headings] == ["psnr_db", "l1", "flicker"]
    assert [row.best for row in comparison.rows] == [(False, True, False), (True, False, False)]


def test_the_best_model_is_marked_within_a_setting():
    tables = [
        ModelTable(model=model, setting=setting, ok=1, rejected=0, failed=0, values=(psnr(value),))
        for model, setting, value in (
            ("b", "easy", 30.0),
            ("a", "hard", 20.0),
            ("a", "easy", 29.0),
            ("b", "hard", 19.0),
        )
    ]
    rows = compare(tables, None).rows
    assert [(row.setting, row.label, row.best) for row in rows] == [
        ("easy", "a", (False,)),
        ("easy", "b", (True,)),
        ("hard", "a", (True,)),
        ("hard", "b", (False,)),
    ]


def psnr(value: float) -> MeasuredValue:
    return MeasuredValue(name="psnr_db", n=1, value=value)


def test_one_model_without_published_rows_is_not_compared():
    assert compare([table("a", psnr_db=20.0)], None) is None
    assert compare([table("a", psnr_db=20.0)], PROTOCOLS["a2bench-self"]) is None


def test_published_rows_are_below_ours_and_named():
    comparison = compare([table("a", psnr_db=20.0)], PROTOCOLS["tiktok"])
    assert [h.name for h in comparison.headings] == list(PROTOCOLS["tiktok"].measures)
    ours, *published = comparison.rows
    assert (ours.label, ours.source) == ("a", "")
    assert all(row.source and not any(row.best) for row in published)
    animate_x = next(row for row in published if row.label == "Animate-X")
    assert animate_x.cells == ("2.70e-04", "30.78", "20.77", "0.806", "0.232", ABSENT, ABSENT, "139.01")


def test_what_is_not_computed_has_a_reason():
    missing = MeasuredValue(name="fvd", n=1, value=None, note="1 clip: a covariance needs two")
    measured = ModelTable(model="m", setting="", ok=1, rejected=0, failed=0, values=(missing,))
    reasons = not_computed([measured, table("a", psnr_db=1.0)], PROTOCOLS["tiktok"], ["pixels", "fvd"])
    assert reasons["FVD"] == "1 clip: a covariance needs two"
    assert reasons["SSIM"] == "no animation has a value"
    assert "weights are missing" in reasons["FID"]
    assert "PSNR*" not in reasons
    assert "DTFVD" not in reasons  # not of this protocol
