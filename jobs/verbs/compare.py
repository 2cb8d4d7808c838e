"""`zoetrope evaluate compare`: a preference sheet of two datasets of `animate`, and the choices of its judges."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import logging
import random
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from jobs.engine import tracking
from jobs.engine.console import Console
from jobs.engine.spec import JobResult, Options
from jobs.evaluation.preference import (
    CHOICES_KIND,
    KEY_KIND,
    QUESTIONS,
    Key,
    Preference,
    preferences,
    read_choices,
    read_key,
)
from jobs.report.preference import MAX_MEDIA_BYTES, ShownPair, render_sheet, sheet_digest
from models.common.atomic import atomic_path
from models.video.container import MediaLimits
from models.video.encode import write_h264
from pipelines.engine.ledger import Ledger
from pipelines.evaluation.matching import Animation, Matching, match_animations
from stages.animate.driving import DrivingConfig, DrivingStage
from stages.animate.reference import ReferenceConfig
from stages.base import Row
from stages.io.clip_reader import DecodeConfig
from stages.io.picture import read_picture
from stages.io.source import SourceFiles
from stages.io.storage import Storage
from stages.outcome import BadRow

log = logging.getLogger(__name__)

RESULT = "preference.json"
_SHORT_SIDE_PX = 192
"""Short side of the picture and the driving video on the page."""
_DRIVING_CRF = 30


def write_sheet(
    a: str,
    b: str,
    out: Path,
    *,
    models: tuple[str, str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    console: Console,
) -> JobResult:
    """Write a preference sheet to `out`, and its key beside it as `NAME.key.json`.

    Pairs are animations of the same picture and the same part of the same driving video. Their order, and the side of
    each, are random.

    Args:
        a, b: datasets of `animate`; may be the same if `models` differ.
        out: the page, `NAME.html`.
        models: models to compare; needed for datasets with several.
        limit: maximum number of pairs, a random sample; None: all.
        seed: seed of sample, order and sides.
        console: output.

    Raises:
        ValueError: nothing to compare, another sheet of this name, or a page that would be too large.
        OSError: a video cannot be read, or the page not be written.
    """
    ledgers = {"a": Ledger(Storage(a), "request_id"), "b": Ledger(Storage(b), "request_id")}
    if ledgers["a"].storage.url == ledgers["b"].storage.url and (models is None or models[0] == models[1]):
        raise ValueError(f"A and B are both {ledgers['a'].storage.url}; expected two datasets, or two --models")
    matching = match_animations(ledgers["a"], ledgers["b"], models=models)
    _say_unmatched(matching, console)
    generator = random.Random(seed)
    pairs = generator.sample(matching.pairs, min(limit or len(matching.pairs), len(matching.pairs)))
    left = ["ab"[generator.randrange(2)] for _ in pairs]
    shown = _shown_pairs(ledgers, pairs, left)
    num_bare = sum(pair.reference_webp is None or pair.driving_mp4 is None for pair in shown)
    if num_bare:
        console.notice(f"{num_bare} pairs are shown without their picture or driving video, which cannot be read")
    page = render_sheet(shown, questions=QUESTIONS, choices_kind=CHOICES_KIND)
    key = _key(sheet_digest(shown), ledgers, pairs, left)
    _publish(out, page, key)
    console.line(f"sheet: {out} ({len(pairs)} pairs, {len(page) / 2**20:.1f} MiB)")
    console.line(f"key:   {key_path(out)} (keep it from the judges)")
    summary = {"verb": "evaluate compare", "sheet": str(out), "key": str(key_path(out)), "pairs": len(pairs)}
    unmatched = {"unmatched_a": matching.unmatched_a, "unmatched_b": matching.unmatched_b}
    return JobResult(exit_code=0, summary={**summary, **unmatched})


def key_path(sheet: Path) -> Path:
    """Path of the key of a sheet. Raises ValueError unless the sheet's name ends in .html."""
    if sheet.suffix != ".html":
        raise ValueError(f"--out is {sheet}, expected a name that ends in .html")
    return sheet.with_suffix(".key.json")


def _say_unmatched(matching: Matching, console: Console) -> None:
    if not matching.pairs:
        raise ValueError(
            f"no animation of A ({matching.unmatched_a}) has the picture and driving video of one of B "
            f"({matching.unmatched_b}); expected animations of the same requests by two models"
        )
    if matching.unmatched_a or matching.unmatched_b:
        console.notice(
            f"left out: {matching.unmatched_a} of the animations of A and {matching.unmatched_b} of B; the other "
            "dataset has none of the same picture and the same part of the same driving video"
        )


def _shown_pairs(
    ledgers: Mapping[str, Ledger], pairs: Sequence[tuple[Animation, Animation]], left: Sequence[str]
) -> list[ShownPair]:
    driving = DrivingStage(DrivingConfig(decode=DecodeConfig(short_side_px=_SHORT_SIDE_PX), keep_audio=False))
    reference = ReferenceConfig()
    sources = SourceFiles(reference.allowed_schemes, limits=MediaLimits(max_bytes=reference.max_bytes))
    shown: list[ShownPair] = []
    num_bytes = 0
    driving.open()
    with closing(driving), closing(sources):
        for (of_a, of_b), side in zip(pairs, left, strict=True):
            videos = {"a": _video(ledgers["a"], of_a), "b": _video(ledgers["b"], of_b)}
            row = ledgers["a"].read_row(of_a.data_name, of_a.request_id) or {}
            pair = ShownPair(
                left_mp4=videos[side],
                right_mp4=videos["b" if side == "a" else "a"],
                reference_webp=_reference(row, sources, reference),
                driving_mp4=_driving(row, driving),
            )
            shown.append(pair)
            num_bytes += len(pair.left_mp4) + len(pair.right_mp4)
            if num_bytes > MAX_MEDIA_BYTES:
                raise ValueError(
                    f"the first {len(shown)} of {len(pairs)} pairs have {num_bytes / 2**20:.0f} MiB, a page holds "
                    f"{MAX_MEDIA_BYTES >> 20}; give --limit"
                )
    return shown


def _video(ledger: Ledger, animation: Animation) -> bytes:
    return ledger.storage.read(animation.video_uri)


def _reference(row: Row, sources: SourceFiles, config: ReferenceConfig) -> bytes | None:
    """The character's picture as a small WebP without metadata; None if it is gone or has changed."""
    uri = row.get("reference_uri")
    try:
        path = Path(sources.open(uri).path)
        with path.open("rb") as file:
            if f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" != row["reference_fingerprint"]:
                return None
        picture = read_picture(
            str(path), shown=str(uri), max_pixels=config.max_pixels, background_rgb=config.background_rgb
        )
    except (BadRow, OSError) as error:
        log.warning("no picture of request %s: %s", row.get("request_id"), error)
        return None
    picture.thumbnail((2 * _SHORT_SIDE_PX, 2 * _SHORT_SIDE_PX))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


def _driving(row: Row, stage: DrivingStage) -> bytes | None:
    """The driving part as a small video; None if it is gone or has changed."""
    fingerprint = row.get("driving_fingerprint")
    spec = {"keeps_scene": False, "signals": (), "short_side_px": _SHORT_SIDE_PX}
    try:
        decoded = stage({**dict.fromkeys(stage.reads), **row, "model_spec": spec})
    except BadRow as error:
        log.warning("no driving video of request %s: %s", row.get("request_id"), error)
        return None
    if decoded["driving_fingerprint"] != fingerprint:
        return None
    with tempfile.TemporaryDirectory(prefix="zoetrope-sheet-") as folder:
        path = Path(folder) / "driving.mp4"
        start = row.get("cut_start_frames") or 0
        frames = decoded["decoded_frames"][start : start + row["num_frames"]]
        write_h264(path, frames, fps=decoded["fps"], crf=_DRIVING_CRF)
        return path.read_bytes()


def _key(
    digest: str,
    ledgers: Mapping[str, Ledger],
    pairs: Sequence[tuple[Animation, Animation]],
    left: Sequence[str],
) -> dict[str, Any]:
    models = {side: sorted({pair[i].model for pair in pairs}) for i, side in enumerate("ab")}
    return {
        "zoetrope": KEY_KIND,
        "sheet": digest,
        **{side: {"dataset": ledgers[side].storage.url, "models": models[side]} for side in "ab"},
        "pairs": [
            {"pair": number, "left": side, "a": of_a.request_id, "b": of_b.request_id}
            for number, ((of_a, of_b), side) in enumerate(zip(pairs, left, strict=True), start=1)
        ],
    }


def _publish(out: Path, page: str, key: Mapping[str, Any]) -> None:
    path = key_path(out)
    if path.exists() and read_key(path).sheet != key["sheet"]:
        raise ValueError(
            f"{path} belongs to another sheet, whose choices could no longer be read; give another --out, or delete it"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    # The key first: a page without a key would be of no use.
    for target, text in ((path, json.dumps(key, indent=1) + "\n"), (out, page)):
        with atomic_path(target) as temporary:
            temporary.write_text(text, encoding="utf-8")


def aggregate(a: str, b: str, sheet: Path, *, choices: Sequence[Path], options: Options, console: Console) -> JobResult:
    """Aggregate the choices of judges: prints them, writes `preference.json` beside the sheet, and logs to MLflow.

    Args:
        a, b: datasets of the sheet, as a check.
        sheet: the page; its key lies beside it.
        choices: files that the page saved, or folders of them.
        options: MLflow store and experiment.
        console: output.

    Raises:
        ValueError: no key, other datasets, or a file that is malformed, of another sheet, or of a judge who has one.
    """
    key = read_key(key_path(sheet))
    given = (Storage(a).url, Storage(b).url)
    if given != key.datasets:
        raise ValueError(
            f"{sheet} compares {' with '.join(key.datasets)}, but A and B are {' and '.join(given)}; give them as they "
            "were when the sheet was written"
        )
    judges = read_choices(choices, key)
    results = preferences(judges, key)
    summary = {
        "verb": "evaluate compare",
        "sheet": key.sheet,
        "a": key.datasets[0],
        "b": key.datasets[1],
        "pairs": len(key.left),
        "judges": len(judges),
        "questions": {name: dataclasses.asdict(result) for name, result in results.items()},
    }
    target = sheet.with_name(RESULT)
    data = json.dumps(summary, indent=1) + "\n"
    with atomic_path(target) as temporary:
        temporary.write_text(data)
    for line in _lines(key, len(judges), results):
        console.line(line)
    console.line(f"written: {target}")
    uri = options.tracking_uri or tracking.sqlite_uri(Path())
    with tracking.run("evaluate compare", uri=uri, out=str(target), experiment=options.experiment) as record:
        record.params({name: summary[name] for name in ("verb", "sheet", "a", "b", "pairs", "judges")})
        record.metrics(_metrics(results))
        record.file(RESULT, data.encode())
    return JobResult(exit_code=0, summary=summary)


def _metrics(results: Mapping[str, Preference]) -> dict[str, float]:
    return {
        f"preference/{name}/{field}": float(value)
        for name, result in results.items()
        for field, value in dataclasses.asdict(result).items()
        if value is not None
    }


def _lines(key: Key, num_judges: int, results: Mapping[str, Preference]) -> list[str]:
    lines = [
        f"compare: {len(key.left)} pairs, {num_judges} judges",
        f"A: {key.datasets[0]}",
        f"B: {key.datasets[1]}",
        f"{'':16}{'A':>6}{'B':>6}{'equal':>7}{'missing':>9}{'pairs A':>9}{'pairs B':>9}  share of A          sign test",
    ]
    for name, result in results.items():
        share = "–" if result.share_a is None else f"{result.share_a:.3f}"
        if result.ci_low is not None:
            share += f" [{result.ci_low:.3f}, {result.ci_high:.3f}]"
        lines.append(
            f"{QUESTIONS[name]:16}{result.votes_a:6}{result.votes_b:6}{result.equal:7}{result.missing:9}"
            f"{result.pairs_a:9}{result.pairs_b:9}  {share:20}p = {result.p_value:.3g}"
        )
    return lines
