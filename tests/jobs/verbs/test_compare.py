"""Preference sheets as a whole: written, answered in Chromium, aggregated."""

import base64
import json
import re
import sys
import time
from pathlib import Path

import pytest
from browser import CHROMIUM, Page, browse, open_page
from mlflow import MlflowClient
from small_jobs import options, tracking_uri
from small_results import write_results, write_sources

from jobs.cli.main import main
from jobs.engine.console import Console
from jobs.engine.spec import Options
from jobs.evaluation.preference import CHOICES_KIND, QUESTIONS
from jobs.report.preference import ShownPair, render_sheet
from jobs.verbs import compare as compare_module
from jobs.verbs.compare import aggregate, key_path, write_sheet

NUM_PAIRS = 3
SILENT = Console(json_only=True)
MODELS = ("animate-x-puppets", "animate-anyone-puppets")


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    sources = write_sources(folder, NUM_PAIRS + 1)
    write_results(folder / "first-results", MODELS[0], sources, (200, 0, 0))
    write_results(folder / "second-results", MODELS[1], sources[:NUM_PAIRS], (0, 0, 200))
    return str(folder / "first-results"), str(folder / "second-results")


@pytest.fixture
def sheet(datasets, tmp_path):
    path = tmp_path / "sheet.html"
    write_sheet(*datasets, path, seed=3, console=SILENT)
    return path


def content_of(path):
    element = re.search(r'<script type="application/json" id="sheet">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(element[1])


def test_a_sheet_and_its_key(datasets, sheet):
    key, content = json.loads(key_path(sheet).read_text()), content_of(sheet)
    assert key["sheet"] == content["sheet"]
    assert [key["a"]["models"], key["b"]["models"]] == [[MODELS[0]], [MODELS[1]]]
    assert len(content["pairs"]) == NUM_PAIRS
    for shown, concealed in zip(content["pairs"], key["pairs"], strict=True):
        other = {"a": "b", "b": "a"}[concealed["left"]]
        for side, name in (("left", concealed["left"]), ("right", other)):
            video = Path(datasets["ab".index(name)]) / "_videos" / f"{concealed[name]}.mp4"
            assert base64.b64decode(shown[side]) == video.read_bytes()
        assert shown["reference"] is not None
        assert shown["driving"] is not None


def test_unmatched_animations_are_counted(datasets, tmp_path):
    summary = write_sheet(*datasets, tmp_path / "s.html", console=SILENT).summary
    assert (summary["pairs"], summary["unmatched_a"], summary["unmatched_b"]) == (NUM_PAIRS, 1, 0)


def test_the_page_is_blind_and_self_contained(datasets, sheet):
    html = sheet.read_text()
    media = [data for pair in content_of(sheet)["pairs"] for data in pair.values() if data]
    for word in (*MODELS, *datasets, "first-results", "request", "puppets", "picture-1", "driving-1"):
        assert word not in html
        assert all(word.encode() not in base64.b64decode(data) for data in media)
    page = Page(html)
    assert all(address.startswith("data:") for address in page.addresses)
    assert "default-src 'none'" in html


def test_sides_and_order_depend_on_the_seed(datasets, tmp_path):
    keys = []
    for seed in range(4):
        path = tmp_path / f"{seed}.html"
        write_sheet(*datasets, path, seed=seed, console=SILENT)
        keys.append(json.loads(key_path(path).read_text())["pairs"])
    assert len({tuple(pair["left"] for pair in pairs) for pairs in keys}) > 1
    assert len({tuple(pair["a"] for pair in pairs) for pairs in keys}) > 1


def test_the_same_command_writes_the_same_sheet(datasets, sheet):
    before = sheet.read_bytes(), key_path(sheet).read_bytes()
    write_sheet(*datasets, sheet, seed=3, console=SILENT)
    assert (sheet.read_bytes(), key_path(sheet).read_bytes()) == before


def test_another_sheet_of_the_same_name_is_refused(datasets, sheet):
    before = key_path(sheet).read_bytes()
    with pytest.raises(ValueError, match="belongs to another sheet"):
        write_sheet(*datasets, sheet, limit=1, console=SILENT)
    assert key_path(sheet).read_bytes() == before


def test_a_limit_draws_pairs(datasets, tmp_path):
    write_sheet(*datasets, tmp_path / "s.html", limit=2, console=SILENT)
    assert len(content_of(tmp_path / "s.html")["pairs"]) == 2


@pytest.mark.parametrize("order", [(0, 0), (1, 1)])
def test_a_dataset_is_not_compared_with_itself(datasets, tmp_path, order):
    with pytest.raises(ValueError, match="expected two datasets, or two --models"):
        write_sheet(*(datasets[i] for i in order), tmp_path / "s.html", console=SILENT)


def test_datasets_without_common_requests_are_refused(datasets, tmp_path):
    (tmp_path / "sources").mkdir()
    sources = [{**row, "start_seconds": 0.5} for row in write_sources(tmp_path / "sources", 1)]
    write_results(tmp_path / "third", "third", sources, (0, 200, 0))
    with pytest.raises(ValueError, match="no animation of A"):
        write_sheet(datasets[0], str(tmp_path / "third"), tmp_path / "s.html", console=SILENT)


def test_pages_that_no_browser_opens_are_refused(datasets, tmp_path, monkeypatch):
    monkeypatch.setattr(compare_module, "MAX_MEDIA_BYTES", 100)
    with pytest.raises(ValueError, match="give --limit"):
        write_sheet(*datasets, tmp_path / "s.html", console=SILENT)
    assert not list(tmp_path.iterdir())


def test_names_of_sheets_end_in_html(datasets, tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.html"):
        write_sheet(*datasets, tmp_path / "sheet", console=SILENT)


def test_missing_sources_cost_their_picture_only(tmp_path):
    sources = write_sources(tmp_path, 2)
    a = write_results(tmp_path / "a", "one", sources, (200, 0, 0)).storage.url
    b = write_results(tmp_path / "b", "two", sources, (0, 0, 200)).storage.url
    (tmp_path / "picture-0.png").unlink()
    (tmp_path / "picture-1.png").write_bytes(b"another picture")
    (tmp_path / "driving-0.mp4").unlink()
    write_sheet(a, b, tmp_path / "s.html", console=SILENT)
    pairs = content_of(tmp_path / "s.html")["pairs"]
    assert [pair["reference"] for pair in pairs] == [None, None]
    assert sorted(pair["driving"] is None for pair in pairs) == [False, True]


def test_choices_of_other_datasets_are_refused(datasets, sheet):
    with pytest.raises(ValueError, match="but A and B are"):
        aggregate(*datasets[::-1], sheet, choices=[sheet], options=Options(), console=SILENT)


def test_content_cannot_end_the_script():
    pair = ShownPair(left_mp4=b"</script>", right_mp4=b"")
    page = render_sheet([pair], questions={"q": "<b>"}, choices_kind="</script>")
    assert page.count("</script>") == 2
    assert "Better <b>&lt;b&gt;</b>?" in page


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@needs_chromium
def test_a_browser_shows_the_sheet_without_errors_or_requests(sheet, tmp_path):
    dom, console, outside = browse(sheet, tmp_path, "--dump-dom", "--virtual-time-budget=4000")
    assert console == []
    assert outside == set()
    assert Page(dom).texts["number"] == "1"


@needs_chromium
def test_choices_made_in_a_browser_are_aggregated(datasets, sheet, tmp_path):
    key = json.loads(key_path(sheet).read_text())
    with open_page(sheet, tmp_path) as page:
        page.wait_for("document.getElementById('left').videoWidth === 64")
        page.wait_for("document.getElementById('driving').videoWidth > 0")
        page.wait_for("!document.getElementById('right').paused")
        # By keys, for A throughout: quality and identity in all pairs; consistency is equal in the first.
        for number, pair in enumerate(key["pairs"]):
            towards_a = "ArrowLeft" if pair["left"] == "a" else "ArrowRight"
            for press in (towards_a, towards_a, "ArrowDown" if number == 0 else towards_a, "Enter"):
                page.press(press)
        assert page.evaluate("document.getElementById('done').textContent") == str(NUM_PAIRS)
        # By mouse, a change of mind in the last pair.
        other = "right" if key["pairs"][-1]["left"] == "a" else "left"
        page.click(f'[data-question="quality"] [data-answer="{other}"]')
        page.click("#save")
        assert page.errors == []
        saved = downloaded(tmp_path)
    result = aggregate(*datasets, sheet, choices=[saved], options=options(tmp_path), console=SILENT).summary
    assert json.loads((tmp_path / "preference.json").read_text()) == result
    votes = {name: (q["votes_a"], q["votes_b"], q["equal"], q["missing"]) for name, q in result["questions"].items()}
    assert votes == {"quality": (2, 1, 0, 0), "identity": (3, 0, 0, 0), "consistency": (2, 0, 1, 0)}
    assert result["questions"]["identity"]["p_value"] == 0.25


@needs_chromium
def test_progress_is_kept_in_the_browser(sheet, tmp_path):
    with open_page(sheet, tmp_path) as page:
        page.press("ArrowDown")
        page.press("Enter")
        page.evaluate("document.getElementById('name').focus()")
        for letter in "Ada":
            page.press(letter)
        judge = page.evaluate("JSON.parse(localStorage.getItem(Object.keys(localStorage)[0])).judge")
        page.reload()
        assert page.evaluate("document.getElementById('number').textContent") == "2"
        assert page.evaluate("document.getElementById('name').value") == "Ada"
        page.press("Tab")
        page.press("Backspace")
        checked = '[data-question="quality"] [aria-checked="true"]'
        assert page.evaluate(f"document.querySelector('{checked}').textContent") == "Equal"
        page.click("#save")
        content = json.loads(downloaded(tmp_path).read_text())
    assert content["choices"] == [{"pair": 1, "quality": "equal"}]
    assert (content["judge"], content["name"]) == (judge, "Ada")


def downloaded(folder):
    deadline = time.monotonic() + 30
    # Chromium makes an empty file of this name before it moves the content there.
    while not (files := [path for path in folder.glob("choices-*.json") if path.stat().st_size]):
        assert time.monotonic() < deadline, "nothing was downloaded"
        time.sleep(0.05)
    return files[0]


def choose_left_throughout(sheet, path):
    number_of_pairs = len(content_of(sheet)["pairs"])
    answers = dict.fromkeys(QUESTIONS, "left")
    choices = [{"pair": pair, **answers} for pair in range(1, number_of_pairs + 1)]
    content = {"zoetrope": CHOICES_KIND, "sheet": content_of(sheet)["sheet"], "judge": path.stem, "choices": choices}
    path.write_text(json.dumps(content))


def run_command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["zoetrope", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


def test_the_command_line(datasets, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ("evaluate", "compare", *datasets, "--out", "sheet.html")
    assert run_command(monkeypatch, *command, "--seed", "3") == 0
    assert "left out: 1 of the animations of A and 0 of B" in capsys.readouterr().out
    (tmp_path / "choices").mkdir()
    for judge in ("ada", "bob"):
        choose_left_throughout(tmp_path / "sheet.html", tmp_path / "choices" / f"{judge}.json")
    store = tracking_uri(tmp_path / "mlflow.db")
    assert run_command(monkeypatch, *command, "--choices", "choices", "--tracking-uri", store, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary == json.loads((tmp_path / "preference.json").read_text())
    assert summary["judges"] == 2
    left = [pair["left"] for pair in json.loads((tmp_path / "sheet.key.json").read_text())["pairs"]]
    quality = summary["questions"]["quality"]
    assert (quality["votes_a"], quality["votes_b"]) == (2 * left.count("a"), 2 * left.count("b"))
    (run,) = MlflowClient(store).search_runs(["1"])
    assert run.data.metrics["preference/quality/votes_a"] == quality["votes_a"]
    assert run_command(monkeypatch, *command, "--choices", "choices", "--limit", "2") == 2
    assert run_command(monkeypatch, *command, "--choices", "sheet.html") == 2
    assert "is not JSON" in capsys.readouterr().err
