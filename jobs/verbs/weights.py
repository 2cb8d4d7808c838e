"""`zoetrope weights`: listing, location, download and verification of published weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from models import catalogue
from models.common.digest import CheckpointError
from models.weights.entry import Hub, Weights
from models.weights.presence import Presence, presence
from models.weights.resolve import check_allowed, fetch, find, locate, place, unpack, verified_digest


def list_weights(folder: Path | None, *, console: Console) -> JobResult:
    """Print one line per catalogue entry: name, size, presence, system, part, publisher, licence.

    Licences that forbid uses follow, with these uses.
    """
    for weights in catalogue.CATALOGUE.values():
        commerce = {True: "", False: " (not for commerce)", None: " (ask the publisher)"}[
            weights.licence.commercial_use
        ]
        if weights.hub is Hub.TRAINING:
            commerce = ""
        size, state = _size(weights.size_bytes), presence(weights, folder)
        console.line(
            f"{weights.name:<32} {size:>9}  {state:<10}  {weights.system}: {weights.part}; {weights.publisher}, "
            f"{weights.licence.name}{commerce}"
        )
    for licence in dict.fromkeys(weights.licence for weights in catalogue.CATALOGUE.values()):
        if licence.restrictions:
            console.line(f"{licence.name} forbids: {', '.join(licence.restrictions)}")
    return JobResult(exit_code=0, summary={"weights": [_described(w, folder) for w in catalogue.CATALOGUE.values()]})


def where(names: Sequence[str], folder: Path | None, *, console: Console) -> JobResult:
    """Print the path of each file; for a missing file, the expected path and the source.

    Raises:
        ValueError: a name that is not in the catalogue.
    """
    chosen = [catalogue.entry(name) for name in names]
    missing = 0
    for weights in chosen:
        for file, path in zip(weights.files, locate(weights, folder).values(), strict=True):
            missing += path is None
            expected = place(weights, file, folder)
            console.line(str(path) if path else f"missing: {expected} from {weights.url(file)}")
    return JobResult(exit_code=int(missing > 0), summary={"weights": [_described(w, folder) for w in chosen]})


def fetch_weights(
    names: Sequence[str], folder: Path | None, *, archive: Path | None, allow_torchscript: bool, console: Console
) -> JobResult:
    """Download missing files, as `models.weights.resolve.fetch` does, and verify them.

    `archive`: file to take them from instead, for weights that are published in a wheel.

    Raises:
        ValueError: a name that is not in the catalogue, or an archive for other weights.
        CheckpointError: a file is unavailable or differs from the catalogue, or is TorchScript without permission.
    """
    chosen = [catalogue.entry(name) for name in names]
    for weights in chosen:
        check_allowed(weights, allow_torchscript=allow_torchscript)
        if archive is not None and weights.hub is not Hub.WHEEL:
            raise ValueError(
                f"--from FILE takes weights that are published in a wheel, such as people; got {weights.name}"
            )
    for weights in chosen:
        licence = weights.licence
        if (licence.restrictions or licence.commercial_use is not True) and weights.hub is not Hub.TRAINING:
            forbidden = f", which forbids {', '.join(licence.restrictions)}" if licence.restrictions else ""
            page = f"{weights.hub}/{weights.repository}"
            console.notice(f"{weights.name}: licence {licence.name}{forbidden}; see {page}")
        if archive is not None:
            unpack(weights, archive, folder)
        elif weights.hub is not Hub.PACKAGE and not all(locate(weights, folder).values()):
            console.line(f"fetching {weights.name} ({_size(weights.size_bytes)}) from {weights.repository}")
            fetch(weights, folder)
        located = find(weights, folder)
        located.verify()
        console.line(f"{weights.name}: {located.path}")
    return JobResult(exit_code=0, summary={"weights": [_described(w, folder) for w in chosen]})


def verify(names: Sequence[str], folder: Path | None, *, console: Console) -> JobResult:
    """Verify present files (of `names`, or of all entries) against the catalogue, without executing their contents.

    Raises:
        ValueError: a name that is not in the catalogue.
    """
    chosen = [catalogue.entry(name) for name in names] or list(catalogue.CATALOGUE.values())
    results: list[dict[str, Any]] = []
    wrong = 0
    for weights in chosen:
        for file, path in zip(weights.files, locate(weights, folder).values(), strict=True):
            result: dict[str, Any] = {"name": weights.name, "file": file.name, "path": str(path) if path else None}
            if path is None:
                result["state"] = "missing"
                wrong += bool(names)
            else:
                try:
                    result["digest"] = verified_digest(weights, file, path)
                    result["state"] = "as published" if file.sha256 else "whole"
                except CheckpointError as error:
                    result |= {"state": "wrong", "message": str(error)}
                    wrong += 1
            if path is not None or names:
                console.line(f"{result['state']:<12} {path or weights.name + '/' + file.name}")
                if "message" in result:
                    console.error(result["message"])
            results.append(result)
    return JobResult(exit_code=int(wrong > 0), summary={"files": results})


def _described(weights: Weights, folder: Path | None) -> dict[str, Any]:
    paths, state = locate(weights, folder), presence(weights, folder)
    return {
        "name": weights.name,
        "system": weights.system,
        "part": weights.part,
        "publisher": weights.publisher,
        "repository": weights.repository,
        "hub": str(weights.hub),
        "licence": weights.licence.name,
        "commercial_use": weights.licence.commercial_use,
        "forbidden_uses": list(weights.licence.restrictions),
        "loader": str(weights.loader),
        "size_bytes": weights.size_bytes,
        "files": [
            {
                "name": file.name,
                "size_bytes": file.size_bytes,
                "sha256": file.sha256,
                "path": str(paths[file.name]) if paths[file.name] else None,
            }
            for file in weights.files
        ],
        "here": state is Presence.HERE,
        "state": str(state),
    }


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "?"
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{max(size_bytes / 1e6, 0.1):.1f} MB"
