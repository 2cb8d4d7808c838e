"""What there is to know of a published weight."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

APACHE, MIT, NON_COMMERCIAL = "Apache-2.0", "MIT", "CC-BY-NC-4.0"
OPENRAIL, OPENRAIL_2 = "CreativeML OpenRAIL-M", "CreativeML OpenRAIL++-M"
_CONFIG_BYTES = 2_000


class Hub(StrEnum):
    """Where weights are published."""

    HUGGING_FACE = "https://huggingface.co"
    MODELSCOPE = "https://modelscope.cn/models"
    PACKAGE = "this project"
    """They ship with it."""


class Loader(StrEnum):
    """How a weight's files are opened."""

    SAFETENSORS = "safetensors"
    TRANSFORMERS = "transformers"
    """A folder: `config.json` and safetensors."""
    DIFFUSERS = "diffusers"
    """Likewise."""
    TORCH = "torch"
    """`torch.load(…, weights_only=True)`: tensors, never code."""
    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    """Can run code of its own: only with `--allow-torchscript`."""
    JSON = "json"
    """Settings or vocabularies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file, by its path in the publisher's repository.

    `size_bytes`: rounded where only the rounded size is known. `sha256`: hexadecimal, where known.
    """

    name: str
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """Files that belong together.

    Args:
        name: by which job files and `zoetrope weights` speak of it.
        system: the method that it was trained for; `part`: which of its networks it is.
        repository: on `hub`; for what ships with this project, a folder of it.
        commercial_use: whether the licence allows it; None: the publisher does not say.
    """

    name: str
    system: str
    part: str
    repository: str
    files: tuple[File, ...]
    licence: str
    commercial_use: bool | None
    loader: Loader
    hub: Hub = Hub.HUGGING_FACE

    @property
    def publisher(self) -> str:
        """Owner of the repository."""
        return "Zoetrope" if self.hub is Hub.PACKAGE else self.repository.split("/")[0]

    @property
    def size_bytes(self) -> int | None:
        """Of all files; None where one is not known."""
        sizes = [file.size_bytes for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def url(self, file: File) -> str:
        """Where the publisher has the file."""
        return f"{self.hub}/{self.repository}/resolve/{'master' if self.hub is Hub.MODELSCOPE else 'main'}/{file.name}"


def shipped(name: str, system: str, part: str, path: str) -> Weights:
    """A safetensors file that ships with the project; `path` from the root of the checkout."""
    location = PurePosixPath(path)
    return Weights(
        name=name,
        system=system,
        part=part,
        repository=str(location.parent),
        files=(File(name=location.name),),
        licence=APACHE,
        commercial_use=True,
        loader=Loader.SAFETENSORS,
        hub=Hub.PACKAGE,
    )


def folder(
    name: str,
    system: str,
    part: str,
    repository: str,
    *,
    licence: str,
    commercial_use: bool,
    weights: File,
    loader: Loader = Loader.TRANSFORMERS,
) -> Weights:
    """A published `config.json` with a weights file beside it."""
    config = File(name=str(PurePosixPath(weights.name).with_name("config.json")), size_bytes=_CONFIG_BYTES)
    return Weights(
        name=name,
        system=system,
        part=part,
        repository=repository,
        files=(config, weights),
        licence=licence,
        commercial_use=commercial_use,
        loader=loader,
    )
