"""Sources of samples with a scene, from a small prepared dataset."""

from __future__ import annotations

from pathlib import Path

from models.training.batch import SampleBatch
from models.training.recipe import SamplingConfig, SceneSamplingConfig
from pipelines.training.batches import SampleSource
from pipelines.training.corpus import open_corpus
from pipelines.training.data_config import TrainingDataConfig

ROWS = "rows-000000.parquet"
SAMPLING = SamplingConfig(
    height_px=64,
    width_px=48,
    num_frames=3,
    frame_step=2,
    sample_margin=2,
    min_crop_share=0.8,
    mirror_share=0.5,
    scene=SceneSamplingConfig(scale_share=0.5, max_scale=1.3, known_share=0.3),
)


def source(prepared: Path, sampling: SamplingConfig = SAMPLING, **config: object) -> SampleSource:
    truth = config.get("truth")
    return SampleSource(
        corpus=open_corpus(str(prepared), sampling, truth=truth is not None),
        sampling=sampling,
        config=TrainingDataConfig(cpus=0.5, **config),  # type: ignore[arg-type]
        preset="embedded",
        seed=7,
    )


def samples(settings: SampleSource, numbers: range) -> SampleBatch:
    maker = settings.maker()
    try:
        return maker.batch(numbers)
    finally:
        maker.close()
