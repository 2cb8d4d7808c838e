"""Catalogue entries of published weights."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath, PurePosixPath

from models.weights.licence import APACHE, TRAINING_DATA, Licence

_CONFIG_BYTES = 2_000


class Hub(StrEnum):
    """Host of a weights repository."""

    HUGGING_FACE = "https://huggingface.co"
    MODELSCOPE = "https://modelscope.cn/models"
    WEB = "https:/"
    """Plain web address: the repository is the address of the folder, without the scheme."""
    LINKED = "https://github.com"
    """A repository on GitHub whose page links the files, which lie where only a browser gets them."""
    WHEEL = "https://pypi.org/project"
    """Inside the wheel of a package index: the repository is package/version."""
    PACKAGE = "this project"
    """Shipped in this repository."""
    TRAINING = "zoetrope train"
    """Published by nobody: the user's own training makes them."""
    LOCAL = "a file"
    """A file that `zoetrope train` wrote: the repository is its folder."""


class Loader(StrEnum):
    """File format and library that opens it."""

    SAFETENSORS = "safetensors"
    TRANSFORMERS = "transformers"
    """Folder with `config.json` and safetensors."""
    DIFFUSERS = "diffusers"
    """Folder with `config.json` and safetensors."""
    TORCH = "torch"
    """`torch.load(…, weights_only=True)`: tensors only, no code."""
    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    """Can execute code; requires `--allow-torchscript`."""
    TFLITE = "tflite"
    JSON = "json"
    """Configuration or vocabulary."""


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file of a weights repository.

    Args:
        name: path in the repository.
        size_bytes: size as published, which may be rounded; None if unknown.
        sha256: hexadecimal digest; None if unknown.
    """

    name: str
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """Weights of one network: files, publisher and licence.

    Args:
        name: identifier in job files and `zoetrope weights`.
        system: method that the network belongs to.
        part: the network's role in the system.
        repository: repository on `hub`; for `Hub.PACKAGE`, a folder of this project.
        files: files in the repository.
        licence: the publisher's.
        loader: format of the files.
        hub: host of the repository.
    """

    name: str
    system: str
    part: str
    repository: str
    files: tuple[File, ...]
    licence: Licence
    loader: Loader
    hub: Hub = Hub.HUGGING_FACE

    @property
    def publisher(self) -> str:
        """Owner of the repository."""
        own = {Hub.PACKAGE: "Zoetrope", Hub.TRAINING: "not published", Hub.LOCAL: "not published"}
        host, _, path = self.repository.partition("/")
        return own.get(self.hub, path.partition("/")[0] if host == "github.com" else host)

    @property
    def size_bytes(self) -> int | None:
        """Total size of the files; None if the size of one is unknown."""
        sizes = [file.size_bytes for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def url(self, file: File) -> str:
        """Download URL of a file; where there is none, the command that makes it or the page that links it."""
        match self.hub:
            case Hub.TRAINING:
                return f"{self.hub} {self.name}"
            case Hub.LOCAL:
                return f"{self.repository}/{file.name}"
            case Hub.LINKED:
                return f"the {file.name} that {self.hub}/{self.repository} links"
            case Hub.WEB:
                return f"{self.hub}/{self.repository}/{file.name}"
            case Hub.WHEEL:
                return f"the {file.name} in the wheel of {self.hub}/{self.repository}"
            case _:
                branch = "master" if self.hub is Hub.MODELSCOPE else "main"
                return f"{self.hub}/{self.repository}/resolve/{branch}/{file.name}"


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
        loader=Loader.SAFETENSORS,
        hub=Hub.PACKAGE,
    )


def trained(name: str, system: str, part: str) -> Weights:
    """A safetensors file that only training makes; `name` is that of the model."""
    return Weights(
        name=name,
        system=system,
        part=part,
        repository=f"trained/{name}",
        files=(File(name="network.safetensors"),),
        licence=TRAINING_DATA,
        loader=Loader.SAFETENSORS,
        hub=Hub.TRAINING,
    )


def local_file(name: str, path: PurePath) -> Weights:
    """A safetensors file that `zoetrope train` wrote."""
    return Weights(
        name=name,
        system="trained",
        part="animation",
        repository=str(path.parent),
        files=(File(name=path.name),),
        licence=TRAINING_DATA,
        loader=Loader.SAFETENSORS,
        hub=Hub.LOCAL,
    )


def folder(
    name: str,
    system: str,
    part: str,
    repository: str,
    *,
    licence: Licence,
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
        loader=loader,
    )
