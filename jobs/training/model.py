"""Model of a training run: network, frozen encoders and initialisation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.animation.system import Model
from models.common.digest import file_digest
from models.systems import find_model

if TYPE_CHECKING:
    import torch
    from torch import nn

    from models.animation.task import DiffusionTask
    from models.appearance.encoders import FrozenEncoders
    from models.training.recipe import TrainingRecipe


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The model to train.

    Args:
        name: name of a model (`models.systems`).
        network: network configuration; a recipe gives the fields that differ from the model's.
        encoders: folder with the VAE and the image encoder: `vae.safetensors` and `image_encoder.safetensors` for
            embedded models, published weights for others. None: the embedded encoders, or the Hugging Face cache.
        partial_start: accept weights of another network in `--start-from`: tensors with the same name and shape are
            loaded, convolutions with other input channels in part, and the others are initialised at random.
    """

    name: str
    network: Any = None
    encoders: str | None = None
    partial_start: bool = False

    def __post_init__(self) -> None:
        find_model(self.name)

    @property
    def model(self) -> Model:
        """The model with the network configuration of the run."""
        model = find_model(self.name)
        if self.network is None:
            return model
        return replace(model, variant=replace(model.variant, config=self.network))

    def load_encoders(self) -> FrozenEncoders:
        """Load the frozen encoders. Raises CheckpointError or MissingWeightsError."""
        return self.model.encoders.load_from(self._encoders_folder)

    def encoder_digests(self) -> frozenset[str]:
        """Digests of the files of the encoders. Raises CheckpointError or MissingWeightsError."""
        return frozenset(file_digest(path) for path in self.model.encoders.files(self._encoders_folder))

    def task(
        self,
        network: nn.Module,
        recipe: TrainingRecipe,
        encoders: FrozenEncoders,
        *,
        device: torch.device,
        keep_bytes: int,
    ) -> DiffusionTask:
        """The training task. Raises ValueError for a recipe that the network does not support."""
        from models.animation.task import DiffusionTask

        system = self.model.system
        return DiffusionTask(
            system.implementation(),
            network,
            recipe,
            encoders=encoders,
            stages=system.stages,
            device=device,
            keep_bytes=keep_bytes,
        )

    @property
    def absolute_encoders(self) -> str | None:
        """`encoders`, for other working directories."""
        return None if self.encoders is None else str(Path(self.encoders).absolute())

    @property
    def _encoders_folder(self) -> Path | None:
        return None if self.encoders is None else Path(self.encoders)
