"""Included networks, and those that `zoetrope train perception` and `train appearance` wrote to a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from models.common.digest import CheckpointError
from models.common.safetensors_file import read_metadata
from models.weights.integrity import integrity_error
from stages.io.storage import Storage

PUBLISHED = "published"
"""Folder of the networks in that of the training job."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Included:
    """A network that ships with the project, whose place a trained one of the same architecture can take.

    Args:
        path: its file; that of a trained one has the same name.
        label: its name in the weights of rows.
        trained_by: `zoetrope train` with this name trains such a network.
        sizes: fields of the architecture in which a trained one may differ.
    """

    path: Path
    label: str
    trained_by: Literal["perception", "appearance"]
    sizes: frozenset[str] = frozenset()


@contextmanager
def opened(place: str | None, included: Included) -> Iterator[Path]:
    """Local path of a trained network while the context lasts; `place` None: of the included one.

    Args:
        place: absolute path or URL of the network's file, of a folder that holds it, or of the training job's folder.
        included: the network that it replaces.

    Raises:
        CheckpointError: there is no such network, or it is damaged or of another architecture.
    """
    if place is None:
        yield included.path
        return
    with ExitStack() as stack:
        located = _located(place, included)
        if located is None:
            raise CheckpointError(
                f"{place} holds no {included.path.name}, expected the folder to which `zoetrope train "
                f"{included.trained_by}` wrote, or that file"
            )
        storage, name = located
        try:
            path = stack.enter_context(storage.fetched(name))
        except FileNotFoundError:
            raise CheckpointError(f"no {storage.url_of(name)} on this machine") from None
        _check(path, storage.url_of(name), included)
        yield path


def holds(place: str, included: Included) -> bool:
    """Whether a place of trained networks has the file of this one, by its name."""
    is_other = place.endswith(".safetensors") and PurePosixPath(place).name != included.path.name
    return not is_other and _located(place, included) is not None


def _located(place: str, included: Included) -> tuple[Storage, str] | None:
    """Storage and name of the network's file."""
    if place.endswith(".safetensors"):
        folder, _, name = place.rpartition("/")
        storage = Storage(folder or "/")
        return (storage, name) if storage.exists(name) else None
    storage = Storage(place)
    names = (included.path.name, f"{PUBLISHED}/{included.path.name}")
    return next(((storage, name) for name in names if storage.exists(name)), None)


def _check(path: Path, url: str, included: Included) -> None:
    if damage := integrity_error(path):
        raise CheckpointError(f"{url} {damage}")
    try:
        stored = read_metadata(path).get("network")
    except CheckpointError:
        stored = None
    expected = read_metadata(included.path)["network"]
    if not isinstance(stored, dict) or _fixed(stored, included) != _fixed(expected, included):
        raise CheckpointError(
            f"{url} is of another architecture than the {included.path.name} that `zoetrope train "
            f"{included.trained_by}` writes"
        )


def _fixed(architecture: Mapping[str, Any], included: Included) -> dict[str, Any]:
    return {field: value for field, value in architecture.items() if field not in included.sizes}
