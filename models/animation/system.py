"""Animation systems as data: everything that planning, jobs and reports need of one, without importing torch.

A system is one folder: `system.py` holds its `System`, whose `implementation` imports the networks when it is called.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from models.animation.signals import FACE_CONTROL, SCENE_SIGNALS, Signal
from models.appearance.encoders import ENCODER_SETS, EncoderSet, FrozenEncoders
from models.common.digest import file_digest
from models.sampling.config import ScheduleConfig, WindowConfig
from models.weights.entry import Hub, Weights
from models.weights.resolve import find

if TYPE_CHECKING:
    from torch import nn

    from models.animation.animator import Animator
    from models.animation.implementation import Implementation

Dtype = Literal["auto", "float32", "float16", "bfloat16"]

SIZE_MULTIPLE = 8
"""Both sides of an output are multiples of the pixels along the side of a latent."""


class NetworkConfig(Protocol):
    """Configuration of a system's network: a frozen dataclass with at least these fields.

    `schedule`, `windows`, `num_steps`, `guidance_scale`: how it is sampled unless a request says otherwise.
    `pose_preset`: key of `models.pose.pose_map.PRESETS`.
    """

    schedule: ScheduleConfig
    windows: WindowConfig
    num_steps: int
    guidance_scale: float
    pose_preset: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One network of a system, with its weights and encoders.

    Args:
        config: of the network (`NetworkConfig`).
        weights: of the network: published, or shipped with the project (`Hub.PACKAGE`).
        base: public base models that training may begin from (`Implementation.load_base`).
        encoders: key of `models.appearance.encoders.ENCODER_SETS`.
        needs: signals that the network reads (`models.animation.signals`).
        short_side_px: shorter side of an output where the request does not say: the size it was trained at.
        reads_reference_picture: whether the network reads the reference picture itself, not only its encodings.
        notice: shown before a job that uses it; None for none.
    """

    config: Any
    weights: Weights
    base: tuple[Weights, ...] = ()
    encoders: str
    needs: frozenset[str] = frozenset()
    short_side_px: int
    reads_reference_picture: bool = False
    notice: str | None = None

    @property
    def ships(self) -> bool:
        """Whether the network's weights are part of the project."""
        return self.weights.hub is Hub.PACKAGE

    @property
    def keeps_scene(self) -> bool:
        """Whether the output is the driving video with another character, not the reference picture in motion."""
        return bool(self.needs & SCENE_SIGNALS)

    @property
    def reads_face(self) -> bool:
        """Whether patches of the driving face control the animation."""
        return FACE_CONTROL in self.needs


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    """An animation system.

    Args:
        name: its folder's name, with `-` for `_`. `title`: as its paper has it.
        version: part of every model's digest; raised when the code computes something else with the same weights.
        variants: by the name of the model, which requests and `zoetrope train` give.
        implementation: imports the networks; called where torch is needed.
        signals: signals of the system's own, by name.
        stages: training stages.
    """

    name: str
    title: str
    version: int
    variants: Mapping[str, Variant]
    implementation: Callable[[], Implementation[Any, Any]]
    signals: Mapping[str, Signal] = field(default_factory=dict)
    stages: tuple[int, ...] = (1,)

    @property
    def weights(self) -> tuple[Weights, ...]:
        """Catalogue entries of its variants' networks."""
        return tuple(variant.weights for variant in self.variants.values())

    def model(self, name: str) -> Model:
        """The model of this name, one of `variants`."""
        return Model(name=name, system=self, variant=self.variants[name])


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadOptions:
    """How a model is loaded.

    `weights`: folder of published weights; models that ship need none.
    `dtype`: `auto` is bfloat16 on a GPU and float32 on a CPU.
    """

    weights: str | None = None
    device: str = "cpu"
    dtype: Dtype = "auto"
    compile: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model by its name: a variant of a system.

    `encoders_folder`: folder of the encoders that it was trained with; None: those that ship, or those of the folder of
      published weights.
    """

    name: str
    system: System
    variant: Variant
    encoders_folder: Path | None = None

    @property
    def encoders(self) -> EncoderSet:
        """The VAE and image encoder that it reads pictures with."""
        return ENCODER_SETS[self.variant.encoders]

    @property
    def weights(self) -> tuple[Weights, ...]:
        """Catalogue entries of everything it is loaded from."""
        return (self.variant.weights, *self.encoders.weights)

    def digest(self, folder: str | None) -> str:
        """`sha256:…` of all that decides what the model computes: weights, configuration, versions. Cheap: the driver
        calls it.

        Raises:
            MissingWeightsError: a file is missing.
        """
        where = None if folder is None else Path(folder)
        paths = [*find(self.variant.weights, where).paths, *self.encoders.files(self._encoders_in(where))]
        files = sorted(map(file_digest, paths))
        signals = {name: self.system.signals[name].version for name in self.variant.needs & self.system.signals.keys()}
        facts = {
            "system": [self.system.name, self.system.version],
            "config": dataclasses.asdict(self.variant.config),
            "encoders": self.variant.encoders,
            "short_side_px": self.variant.short_side_px,
            "needs": sorted(self.variant.needs),
            "signals": signals,
            "files": files,
        }
        return "sha256:" + hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def new_network(self) -> nn.Module:
        """The network with random weights."""
        network: nn.Module = self.system.implementation().new_network(self.variant.config)
        return network

    def network(self, folder: Path | None) -> nn.Module:
        """The network with its weights, in evaluation mode. Raises as `load` does."""
        from models.common.checkpoint import load_new

        path = find(self.variant.weights, folder).path
        if self.variant.weights.hub not in (Hub.PACKAGE, Hub.LOCAL):
            published: nn.Module = self.system.implementation().load_published(path, self.variant.config)
            return published
        return load_new(self.new_network, path).eval()

    def animator(self, network: nn.Module, encoders: FrozenEncoders, options: LoadOptions) -> Animator:
        """A network and its encoders, ready to animate."""
        from models.animation.animator import Animator, torch_dtype

        return Animator(
            self.name,
            implementation=self.system.implementation(),
            network=network,
            encoders=encoders,
            needs=self.variant.needs,
            device=options.device,
            dtype=torch_dtype(options.dtype, options.device),
            compile=options.compile,
        )

    def load(self, options: LoadOptions) -> Animator:
        """The model, ready to animate.

        Raises:
            MissingWeightsError: a file is missing.
            CheckpointError: a file is damaged, or of another network.
        """
        folder = None if options.weights is None else Path(options.weights)
        encoders = self.encoders.load_from(self._encoders_in(folder))
        return self.animator(self.network(folder), encoders, options)

    def _encoders_in(self, folder: Path | None) -> Path | None:
        """Folder of the encoders. `folder`: of published weights; encoders that ship are not in it."""
        return self.encoders_folder or (None if self.encoders.ships else folder)
