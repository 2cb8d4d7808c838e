"""Commands and code of the documentation: their options are checked, and they run at small size."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pyarrow.parquet as pq
import pytest
import torch
import typer
from PIL import Image
from safetensors.torch import save_file
from small_jobs import PUPPETS
from stand_in_weights import fill, forget_digests

from jobs.cli.main import app, main
from jobs.engine import config as configuration
from jobs.engine.presets import PRESETS
from models.catalogue import entry
from models.metrics.measures import MEASURES, SET_MEASURES, Measure, SetMeasure
from models.metrics.protocols import PROTOCOLS
from models.systems import find_model, model_names
from models.weights.resolve import place
from pipelines.engine.schema import (
    CLIP_COLUMNS,
    COMPARED_COLUMNS,
    OUTCOME_COLUMNS,
    PAIR_COLUMNS,
    PREPARED_COLUMNS,
    PROVENANCE_COLUMNS,
    REQUEST_COLUMNS,
    RESOLVED_COLUMNS,
    RESULT_COLUMNS,
    STAMPED_PAIR_COLUMNS,
    VIDEO_COLUMNS,
)

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PEOPLE = ROOT / "docs" / "people.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]
MAX_README_LINES = 150

BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n+)?^```(?P<language>sh|python|yaml)\n(?P<code>.*?)^```$", re.S | re.M
)
FENCED = re.compile(r"^```.*?^```$", re.S | re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)")

ONE_WORKER = ("--set", "workers.default.actors=1", "--set", "workers.default.cpus=0.5")
ONE_STEP = [
    argument
    for setting in (
        *("recipe.steps=1", "recipe.batch_size=1", "recipe.sampling.num_frames=2", "recipe.sampling.sample_margin=0"),
        *("recipe.sampling.height_px=64", "recipe.sampling.width_px=48"),
    )
    for argument in ("--set", setting)
]
SMALL = {
    ("puppets",): ("--videos", "1", "--size", "96", "128", "--fps", "8", "--seconds", "1"),
    ("ingest",): ("--set", "ingest.cut.min_frames=6", *ONE_WORKER),
    ("prepare",): ONE_WORKER,
    # Loading a model takes 15 s, and evaluate.md runs a table of requests too.
    ("animate", "requests.parquet"): ("--dry-run",),
    ("animate", "talking.parquet"): ("--dry-run",),
    # Networks of the released size.
    ("animate", "of_people.parquet"): ("--dry-run",),
    ("animate", "--reference", "hero.png", "--driving", "dance.mp4", "--out", "drawn/"): ("--dry-run",),
    ("animate",): ("--steps", "1", "--size", "48", "64", "--limit", "1", *ONE_WORKER),
    ("evaluate", "results/"): ONE_WORKER,
    ("a2bench", "draw"): ("--characters", "1", "--size", "96", "96", "--seconds", "0.5"),
    ("train", "animate-anyone-puppets"): ONE_STEP,
    ("train", "animate-x-puppets"): ONE_STEP,
}
"""First words of a command -> options that are appended to it: the last value of an option is the one that counts."""


@dataclass(frozen=True)
class Block:
    """A fenced block. `reason`: why it is not run; None where it is."""

    page: Path
    language: str
    code: str
    reason: str | None

    @property
    def commands(self) -> list[list[str]]:
        """The lines of a `sh` block as arguments, without comments."""
        lines = self.code.replace("\\\n", " ").splitlines()
        return [arguments for line in lines if (arguments := shlex.split(line, comments=True))]

    @property
    def file_name(self) -> str | None:
        """Name of the file that a YAML block is, from its first line: `# job.yaml`."""
        named = re.match(r"# (\S+\.yaml)\n", self.code)
        return named[1] if named else None


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    fenced = [Block(page, match["language"], match["code"], match["reason"]) for match in BLOCK.finditer(text)]
    assert len(fenced) == len(re.findall(r"^```(?:sh|python|yaml)$", text, re.M)), f"{page.name}: a block is malformed"
    return fenced


def checked(arguments: list[str]) -> dict[str, Any]:
    """Values of a command's options. Raises typer's UsageError for an unknown verb or option."""
    command: Any = typer.main.get_command(app)
    context = command.context_class(command, info_name="zoetrope")
    name = "zoetrope"
    while hasattr(command, "resolve_command"):
        name, command, arguments = command.resolve_command(context, arguments)
        context = command.context_class(command, info_name=name, parent=context)
    values: dict[str, Any] = command.make_context(name, list(arguments), parent=context.parent).params
    return values


def check(arguments: list[str]) -> None:
    """Options, settings and names of one `zoetrope` command."""
    values = checked(arguments)
    if (preset := values.get("preset")) is not None:
        assert preset in PRESETS or "/" in preset  # a folder of trained networks
    for model in [values["model"]] if isinstance(values.get("model"), str) else values.get("model") or ():
        assert model in model_names() or "/runs/" in model  # a trained one
    for name in values.get("names") or ():
        entry(name)
    if (protocol := values.get("protocol")) is not None:
        assert protocol in PROTOCOLS
    if arguments[0] in ("ingest", "prepare", "animate", "evaluate") and values.get("set_"):
        configuration.load(None, values["set_"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_known_options(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "yaml" and (block.file_name or "").startswith("job"):
            (tmp_path / "job.yaml").write_text(block.code)
            configuration.load(tmp_path / "job.yaml")
        if block.language != "sh":
            continue
        for program, *arguments in block.commands:
            if program == "zoetrope":
                check(arguments)
            elif program == "make":
                targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
                assert {argument for argument in arguments if "=" not in argument} <= set(targets)
            else:
                assert block.reason is not None, f"{page.name}: {program} cannot be run here; say why above the block"


@pytest.mark.parametrize(
    "command",
    ["preprae corpus/clips", "prepare corpus/clips --out o --speed 9", "weights fetch dwposed", "train sora p --out o"],
)
def test_a_wrong_command_is_noticed(command: str) -> None:
    with pytest.raises(Exception, match=r"[Nn]o such|no weights|unknown|dwposed|sora"):
        check(command.split())


class Workspace:
    """Folder in which the commands of the pages run, with a video and pictures of a puppet.

    `perception`: options of commands that look at them, unless they name a preset.
    """

    def __init__(self, folder: Path, perception: tuple[str, ...] = PUPPETS) -> None:
        self.folder, self.perception = folder, perception
        self.run(["puppets", "puppets", "--only-humans", "--alone"])
        (video,) = (folder / "puppets" / "videos").glob("*.mp4")
        for name in ("my_videos", "pictures"):
            (folder / name).mkdir()
        for copy in ("dance.mp4", "my_videos/dance.mp4"):
            shutil.copy(video, folder / copy)
        for copy in ("hero.png", "pictures/hero.png"):
            Image.fromarray(first_frame(video)).save(folder / copy)

    def run(self, arguments: list[str]) -> None:
        """One `zoetrope` command at small size, in this process: a process for each would import torch for each."""
        small = next((more for words, more in SMALL.items() if tuple(arguments[: len(words)]) == words), ())
        if arguments[0] in ("prepare", "animate") and "--preset" not in arguments:
            small = (*small, *self.perception)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["zoetrope", *arguments, *small])
            patch.chdir(self.folder)
            with pytest.raises(SystemExit) as ended:
                main()
        assert not ended.value.code, f"zoetrope {shlex.join(arguments)}: exit code {ended.value.code}"

    def run_page(self, page: Path) -> None:
        """Run the blocks of a page in order; the error of one names the page."""
        names: dict[str, Any] = {}
        for block in blocks(page):
            try:
                self.run_block(block, names)
            except BaseException as error:
                error.add_note(f"in {page.name}:\n{block.code}")
                raise

    def run_block(self, block: Block, names: dict[str, Any]) -> None:
        if block.reason is not None:
            return
        if block.language == "yaml" and block.file_name is not None:
            (self.folder / block.file_name).write_text(block.code)
        elif block.language == "python":
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(self.folder)
                exec(compile(block.code, block.page.name, "exec"), names)
        elif block.language == "sh":
            for program, *arguments in block.commands:
                assert program == "zoetrope"
                self.run(arguments)


def first_frame(video: Path) -> Any:
    with av.open(str(video)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


STUBS: dict[str, Callable[[Path], Any]] = {
    ".json": lambda path: path.write_text("{}"),
    ".safetensors": lambda path: save_file({"nothing": torch.zeros(1)}, path),
    ".pth": lambda path: torch.save({}, path),
    ".bin": lambda path: torch.save({}, path),
}
"""By suffix, functions that write a file that is whole; of networks whose animations are not run."""


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with stand-ins of the published networks that the pages name."""
    forget_digests(monkeypatch)
    folder = tmp_path / "stand-ins"
    monkeypatch.setenv("ZOETROPE_WEIGHTS", str(folder))
    fill(folder, ["people", "dwpose-detector", "dwpose-pose", "depth-anything-v2-small", "sam2.1-hiera-large"])
    for part in find_model("animate-anyone").weights:
        for file in part.files:
            path = place(part, file, folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            STUBS[path.suffix](path)
    return folder


# One test for all pages: parametrised tests may run in several pytest workers, and each would prepare the corpus again.
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pages_run(tmp_path: Path, ray_cluster: None, weights: Path) -> None:
    """The pages begin with a video, a picture, and what the commands of the README make of them."""
    space = Workspace(tmp_path)
    (truth,) = (tmp_path / "puppets" / "truth").glob("*.npz")
    shutil.copy(truth, truth.with_name("dance.npz"))
    space.run_page(README)
    for folder in ("corpus/videos", "corpus/clips", "corpus/prepared", "animations"):
        assert list((tmp_path / folder).glob("*.parquet"))
    assert list((tmp_path / "animations").rglob("*.mp4"))
    assert (tmp_path / "corpus/prepared/_report/report.html").is_file()

    (tmp_path / "people").symlink_to("corpus")  # the corpus of train.md, which is prepared like this one
    for page in PAGES[1:]:
        if page != PEOPLE:
            space.run_page(page)


@pytest.mark.slow
def test_the_page_on_people_runs(tmp_path: Path, ray_cluster: None, weights: Path) -> None:
    # The stand-ins see the same pose in every frame.
    space = Workspace(tmp_path, perception=("--set", "prepare.select.min_motion_magnitude=null"))
    space.run_page(PEOPLE)
    (row,) = pq.read_table(tmp_path / "corpus/prepared", columns=["status", "networks"]).to_pylist()
    assert row["status"] == "ok"
    assert {"name": "pose", "value": "people"} in row["networks"]
    assert list((tmp_path / "animations").rglob("*.mp4"))


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES


def test_every_page_is_linked_from_the_readme() -> None:
    links = {target.split("#")[0] for target in LINK.findall(README.read_text(encoding="utf-8"))}
    assert {page.relative_to(ROOT).as_posix() for page in [*PAGES[1:], *OTHERS]} <= links


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    for target in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.name} links to {target}"


MEASURED = re.compile(rf"(?:{'|'.join(MEASURES)})(?:_truth)?|\w+_features")
"""Columns that evaluate.md lists."""
SECTIONS = {
    "videos": {**VIDEO_COLUMNS, "windows": None},
    "clips": CLIP_COLUMNS,
    "prepared": PREPARED_COLUMNS,
    "requests": REQUEST_COLUMNS,
    "results": {**RESULT_COLUMNS, **RESOLVED_COLUMNS},
    "measures": {
        **PAIR_COLUMNS,
        **STAMPED_PAIR_COLUMNS,
        **{name: kind for name, kind in COMPARED_COLUMNS.items() if not MEASURED.fullmatch(name)},
    },
    "Outcome and provenance": {**OUTCOME_COLUMNS, **PROVENANCE_COLUMNS},
}
SCALARS = {"string", "bool", "int32", "int64", "float", "double"}


@pytest.mark.parametrize("section", SECTIONS)
def test_formats_list_every_column(section: str) -> None:
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    (body,) = re.findall(rf"^## {section}$(.*?)(?=^## |\Z)", text, re.S | re.M)
    documented: dict[str, set[str]] = {}
    for names, kind in re.findall(r"^\| (`[^|]+) \| ([^|]*?) ?\|", body, re.M):
        for name in re.findall(r"`(\w+)`", names):
            documented.setdefault(name, set()).add(kind)
    columns = SECTIONS[section]
    assert documented.keys() == columns.keys()
    for name, column in columns.items():
        if str(column) in SCALARS:
            assert documented[name] <= {str(column), ""}, name


@pytest.mark.parametrize("measure", [*MEASURES.values(), *SET_MEASURES.values()], ids=lambda measure: measure.name)
def test_every_measure_is_listed_with_its_definition(measure: Measure | SetMeasure) -> None:
    arrow = {"higher": "↑", "lower": "↓", "truth": "="}[getattr(measure, "better", "lower")]
    text = " ".join(part for part in (measure.definition, measure.deviation) if part)
    row = f"| `{measure.name}` | {measure.title} {arrow} | {text} |"
    assert row in (ROOT / "docs" / "evaluate.md").read_text(encoding="utf-8").splitlines()


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
