"""From a name in the catalogue to files on this machine: a folder of weights, the Hugging Face cache, a download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.common.digest import CheckpointError, file_digest
from models.weights.entry import File, Hub, Loader, Weights
from models.weights.integrity import fault

CHECKOUT = Path(__file__).resolve().parents[2]


class MissingWeightsError(CheckpointError):
    """Files are not on this machine; the message names each, and where it is looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Weights whose files are all here. `paths`: in the order of the catalogue."""

    weights: Weights
    paths: tuple[Path, ...]

    @property
    def path(self) -> Path:
        """What a loader is given: the file, or where there are several, the folder that holds them."""
        return self.paths[0] if len(self.paths) == 1 else self.paths[0].parent

    def digests(self) -> dict[str, str]:
        """`sha256:…` of every file, by `name/file`."""
        return {f"{self.weights.name}/{path.name}": file_digest(path) for path in self.paths}

    def verify(self) -> None:
        """Raise CheckpointError where a file is damaged, or is not the one that the catalogue names."""
        for file, path in zip(self.weights.files, self.paths, strict=True):
            verified_digest(self.weights, file, path)


def check_allowed(weights: Weights, *, allow_torchscript: bool) -> None:
    """Raise CheckpointError where the files can run code and nobody asked for that."""
    if weights.loader is Loader.TORCHSCRIPT and not allow_torchscript:
        raise CheckpointError(
            f"{weights.name} is a TorchScript file, which can run code of its own when it is opened; if you trust "
            f"{weights.publisher}, allow it with --allow-torchscript"
        )


def find(weights: Weights, folder: Path | None, *, download: bool = False) -> Found:
    """The files of `weights`: all from `folder`/repository/name, or all from the Hugging Face cache.

    `download`: fetch what is missing, into `folder`, or into the cache where there is none.

    Raises:
        MissingWeightsError: a file is in neither, and may not or cannot be downloaded.
    """
    found = locate(weights, folder)
    if not all(found.values()) and download and weights.hub is Hub.HUGGING_FACE:
        fetch(weights, folder)
        found = locate(weights, folder)
    paths = tuple(path for path in found.values() if path is not None)
    if len(paths) < len(found):
        raise MissingWeightsError(
            _what_to_do(weights, [file for file in weights.files if not found[file.name]], folder)
        )
    return Found(weights=weights, paths=paths)


def locate(weights: Weights, folder: Path | None) -> Mapping[str, Path | None]:
    """Each file's path, by its name in the catalogue; None where it is missing."""
    if weights.hub is Hub.PACKAGE:
        return {file.name: _existing(CHECKOUT / weights.repository / file.name) for file in weights.files}
    own = {file.name: _existing(place(weights, file, folder)) if folder else None for file in weights.files}
    if all(own.values()) or weights.hub is not Hub.HUGGING_FACE:
        return own
    cached = {file.name: _cached(weights, file) for file in weights.files}
    # What is mixed from two places may be of two versions; a person is told of what the better filled one lacks.
    return cached if all(cached.values()) or not any(own.values()) else own


def shipped_path(weights: Weights) -> Path:
    """Path of a file that ships with the project."""
    return CHECKOUT / weights.repository / weights.files[0].name


def place(weights: Weights, file: File, folder: Path) -> Path:
    """Where a file belongs in a folder of weights."""
    return folder / weights.repository / file.name


def fetch(weights: Weights, folder: Path | None) -> None:
    """Download the files that are missing, into `folder`, or into the Hugging Face cache.

    Raises:
        MissingWeightsError: the hub cannot be reached, does not have a file or does not give it, or they are published
            elsewhere.
    """
    if weights.hub is not Hub.HUGGING_FACE:
        raise MissingWeightsError(_what_to_do(weights, list(weights.files), folder))
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    present = locate(weights, folder)
    for file in weights.files:
        if present[file.name]:
            continue
        try:
            hf_hub_download(
                weights.repository, file.name, local_dir=str(folder / weights.repository) if folder else None
            )
        except (HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise MissingWeightsError(f"cannot download {weights.url(file)}: {reason}") from error


def verified_digest(weights: Weights, file: File, path: Path) -> str:
    """`sha256:…` of a whole file that is the one in the catalogue, as far as that knows it.

    Raises:
        CheckpointError: it is not.
    """
    if damage := fault(path):
        raise CheckpointError(f"{path} {damage}; fetch it again from {weights.url(file)}")
    digest = file_digest(path)
    if file.sha256 is not None and digest != f"sha256:{file.sha256}":
        raise CheckpointError(
            f"{path} is not the published {file.name} of {weights.repository}: its digest is {digest}, expected "
            f"sha256:{file.sha256}. It is damaged or another file; fetch it again from {weights.url(file)}"
        )
    return digest


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _cached(weights: Weights, file: File) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(weights.repository, file.name)
    return _existing(Path(path)) if isinstance(path, str) else None


def _what_to_do(weights: Weights, missing: list[File], folder: Path | None) -> str:
    where = folder or Path("DIR")
    puts = "; ".join(f"put {weights.url(file)} at {place(weights, file, where)}" for file in missing)
    looked = f"in {folder}" if folder else "in a folder of weights (none was given with --weights)"
    if weights.hub is not Hub.HUGGING_FACE:
        return f"{weights.name} is not {looked}: {puts}"
    option = f" --weights {folder}" if folder else ""
    return (
        f"{weights.name} is neither {looked} nor in the Hugging Face cache: {puts}, or let "
        f"`zoetrope weights fetch {weights.name}{option}` download it"
    )
