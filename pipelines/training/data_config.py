"""Configuration of the data of a training run: where its samples come from, and how they are computed."""

from __future__ import annotations

from dataclasses import dataclass, field

from stages.io.clip_reader import DecodeConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingDataConfig:
    """How samples are computed.

    Args:
        decode: allowed sources and limits of the decoder. The size is set by the recipe.
        keep_gib: cache of each worker. If the whole corpus fits, clips are read once; or else, if all but the frames
            fits, each sample decodes only the frames that it needs; or else it reads everything.
        prefetch_batches: batches computed ahead of the training step.
        workers: sample workers per training worker. `cpus`: CPUs of each.
        samples_per_round: samples per Ray Data execution, which bounds its bookkeeping.
        truth: folder or URL with the ground truth of puppet videos (`truth` in the `--out` of `zoetrope puppets`); its
            keypoints replace the predicted ones, and its masks and depth those of samples with a scene. Noisy keypoints
            make the model average over positions, which blurs limbs.
        scenery: `clips` that `ingest` wrote, of videos without a character. `SamplingConfig.scenery_share` of the
            samples are of these.
        faces: prepared dataset that shows the clips' expressions on other characters (`pipelines.training.twins`), from
            which face control is drawn; None: from the clips themselves.
        faces_truth: as `truth`, of the videos of `faces`.
        min_faces_share: least share of the clips that must have their twin in `faces`; the others are left out.
    """

    decode: DecodeConfig = field(default_factory=DecodeConfig)
    keep_gib: float = 1.0
    prefetch_batches: int = 2
    workers: int = 1
    cpus: float = 1.0
    samples_per_round: int = 50_000
    truth: str | None = None
    scenery: str | None = None
    faces: str | None = None
    faces_truth: str | None = None
    min_faces_share: float = 0.5

    def __post_init__(self) -> None:
        if min(self.workers, self.prefetch_batches, self.samples_per_round) < 1 or self.cpus <= 0 or self.keep_gib < 0:
            raise ValueError(
                "expected workers, prefetch_batches and samples_per_round >= 1, cpus > 0 and keep_gib >= 0, got "
                f"{self.workers}, {self.prefetch_batches}, {self.samples_per_round}, {self.cpus} and {self.keep_gib}"
            )
        if not 0 <= self.min_faces_share <= 1:
            raise ValueError(f"expected min_faces_share between 0 and 1, got {self.min_faces_share:g}")
        if self.faces_truth is not None and self.faces is None:
            raise ValueError(f"faces_truth is the ground truth of faces, got {self.faces_truth} without faces")
