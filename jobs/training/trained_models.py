"""Models of the user's own training, by the folder of a run or of a publication. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from jobs.cards.records import recorded_model
from jobs.engine.config import ConfigError
from jobs.training.network_config import network_config
from jobs.training.origins import recorded_origins
from jobs.training.run_files import weights_file
from models.animation.system import LoadOptions, Model
from models.common.digest import CheckpointError, file_digest
from models.common.safetensors_file import read_metadata
from models.systems import UnknownModelError, find_model
from models.weights.entry import Weights, local_file
from models.weights.local import folder_label
from models.weights.resolve import MissingWeightsError
from stages.io.storage import Storage

if TYPE_CHECKING:
    from models.animation.animator import Animator


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedModel:
    """Weights in a storage, and the model that their metadata describe.

    `model`: its name is `NAME@FOLDER`. `digest`: of the weights file.
    """

    model: Model
    storage: Storage
    weights: str
    digest: str
    metadata: Mapping[str, Any]

    @property
    def started_from(self) -> tuple[Weights, ...]:
        """Published weights from which it was trained further (`recorded_origins`)."""
        return recorded_origins(self.metadata["runs"], self.url)

    @property
    def url(self) -> str:
        """Address of the weights file."""
        return self.storage.url_of(self.weights)

    def load(self, options: LoadOptions) -> Animator:
        """Load the model.

        Raises:
            MissingWeightsError: a file is missing, or no longer the one that was planned with.
            CheckpointError: a file is damaged.
        """
        with self.local() as model:
            return model.load(options)

    @contextmanager
    def local(self) -> Iterator[Model]:
        """The model with its weights on this machine. Raises MissingWeightsError."""
        with ExitStack() as stack:
            try:
                path = stack.enter_context(self.storage.fetched(self.weights))
            except FileNotFoundError:
                raise MissingWeightsError(f"no checkpoint at {self.url} on this machine") from None
            if file_digest(path) != self.digest:
                raise MissingWeightsError(f"{self.url} is not the file that the job was planned with; run it again")
            yield _with_weights(self.model, path)


def open_trained(run: str, weights: str | None = None) -> TrainedModel:
    """The model of a run (its last checkpoint), of a publication or of a `.safetensors` file of either.

    `weights`: folder of published weights, for models whose encoders are published.

    Raises:
        CheckpointError: there are no such weights, they are damaged, or of no model of this version.
        MissingWeightsError: the encoders that it was trained with are not found.
    """
    try:
        location = weights_file(run)
        if location is None:
            raise CheckpointError(
                f"{run} holds no trained model; give the --out of `zoetrope train`, the folder of `zoetrope train "
                "publish`, or a .safetensors file of either"
            )
        storage, name = location
        with storage.fetched(name) as path:
            metadata, digest = read_metadata(path), file_digest(path)
            model = _recorded(metadata, run)
            model = replace(model, encoders_folder=_encoders_folder(model, metadata, path.parent, weights))
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {run}") from None
    named = replace(model, name=f"{model.name}@{folder_label(run)}")
    url = PurePosixPath(storage.url_of(name))
    notice = f"{named.name}: trained weights {storage.url_of(name)}, {digest[:15]}…"
    variant = replace(named.variant, weights=local_file(named.name, url), notice=notice)
    return TrainedModel(
        model=replace(named, variant=variant), storage=storage, weights=name, digest=digest, metadata=metadata
    )


def _recorded(metadata: Mapping[str, Any], run: str) -> Model:
    """Model, with the network's configuration, that the metadata's last run trained."""
    try:
        last = metadata["runs"][-1]
        model, network = find_model(recorded_model(last)), last["model"]["network"]
    except UnknownModelError as error:
        raise CheckpointError(f"the weights of {run} are of another version: {error}") from error
    except (KeyError, IndexError, TypeError, AttributeError):
        raise CheckpointError(f"the weights of {run} name no model, as `zoetrope train MODEL` writes them") from None
    try:
        # A publication is sampled as it was measured.
        config = network_config(model, {**network, **metadata.get("sampling", {})})
    except (ConfigError, TypeError) as error:
        raise CheckpointError(f"the weights of {run} name a network that {model.name} cannot have: {error}") from error
    return replace(model, variant=replace(model.variant, config=config))


def _encoders_folder(model: Model, metadata: Mapping[str, Any], beside: Path, weights: str | None) -> Path | None:
    """Folder with the encoders that the last run was trained with; None for those that every model of this kind reads.

    Raises:
        MissingWeightsError: they are in no known place.
    """
    recorded = metadata["runs"][-1].get("encoders")
    if not isinstance(recorded, Mapping) or not isinstance(recorded.get("digests"), list):
        return None  # of a version that recorded none
    digests = set(map(str, recorded["digests"]))
    usual = None if model.encoders.ships or weights is None else Path(weights)
    folder = recorded.get("folder")
    for place in (usual, beside, None if folder is None else Path(str(folder))):
        try:
            found = {file_digest(path) for path in model.encoders.files(place)}
        except CheckpointError:
            continue
        if found == digests:
            return None if place == usual else place
    raise MissingWeightsError(
        f"the VAE and the image encoder that {model.name} was trained with are not found"
        + (f" in {folder}" if folder is not None else "; --weights names their folder")
    )


def _with_weights(model: Model, path: Path) -> Model:
    return replace(model, variant=replace(model.variant, weights=local_file(model.name, path)))
