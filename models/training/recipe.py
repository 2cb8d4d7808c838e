"""Configuration of a training run: optimizer, loss, samples and divergence guard."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from models.pose.pose_augment import ExplicitIndicatorConfig

Decay = Literal["constant", "cosine"]
OptimizerName = Literal["adamw", "muon"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """Optimizer and learning rate schedule.

    Args:
        name: "adamw", or "muon": Muon for matrices and convolution kernels, AdamW for all other parameters. Muon trains
            small networks in fewer steps. It needs unsharded matrices, so it cannot be combined with FSDP.
        learning_rate: peak, reached after the warm-up.
        warmup_steps: length of the linear warm-up.
        decay: "constant" after the warm-up, or half a "cosine" down to `final_share` of the peak at the last step.
        lr_multipliers: parameter name prefix -> multiplier of the learning rate. Multipliers of all matching prefixes
            are multiplied together.
        betas: AdamW's. `weight_decay`: per step, as a share of the learning rate.
        max_grad_norm: gradients are clipped to this norm, taken over all parameters together.
    """

    name: OptimizerName = "adamw"
    learning_rate: float = 1e-5
    warmup_steps: int = 1
    decay: Decay = "constant"
    final_share: float = 0.02
    """Learning rate of the last step as a share of the peak, for a cosine decay."""
    lr_multipliers: dict[str, float] = field(default_factory=dict)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        if not self.learning_rate > 0 or not self.max_grad_norm > 0 or self.warmup_steps < 0:
            raise ValueError(
                "expected learning_rate > 0, max_grad_norm > 0 and warmup_steps >= 0, got "
                f"{self.learning_rate}, {self.max_grad_norm} and {self.warmup_steps}"
            )
        if not all(multiplier > 0 for multiplier in self.lr_multipliers.values()):
            raise ValueError(
                f"lr_multipliers must be above 0 (to fix parameters, list them in frozen), got {self.lr_multipliers}"
            )
        if self.decay not in get_args(Decay):
            raise ValueError(f"unknown decay '{self.decay}', expected one of {', '.join(get_args(Decay))}")
        if self.name not in get_args(OptimizerName):
            raise ValueError(f"unknown optimizer '{self.name}', expected one of {', '.join(get_args(OptimizerName))}")

    def lr_at(self, step: int, num_steps: int) -> float:
        """Learning rate of step `step` (0-based) of a run of `num_steps`, before multipliers."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.decay == "constant":
            return self.learning_rate
        progress = min((step - self.warmup_steps) / max(num_steps - self.warmup_steps, 1), 1.0)
        half_cosine = 0.5 + 0.5 * math.cos(math.pi * progress)
        return self.learning_rate * (self.final_share + (1 - self.final_share) * half_cosine)


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """Diffusion loss.

    Args:
        noise_offset: standard deviation of normal noise added per channel, constant over all pixels, from which the
            network learns to shift mean brightness. `noise_offset_per_frame`: one draw per frame instead of one per
            clip.
        snr_gamma: γ of Min-SNR weighting (arXiv 2303.09556); None weighs all timesteps equally. With zero terminal SNR,
            Min-SNR gives almost no weight to the noisiest timesteps, which decide pose and position.
        timestep_shift: values above 1 draw noisier timesteps more often: a uniform draw u in [0, 1] becomes
            s · u / (1 + (s − 1) · u) (arXiv 2403.03206, equation 23).
        condition_dropout: share of rows trained without conditions, for classifier-free guidance.
        keep_share: share of rows that keep all conditions. In the remaining rows, each optional condition is dropped
            independently with probability `part_dropout`.
        face_weight: weight of the latents of eyes and mouth (the patches of `FACE_CONTROL`) relative to all others, for
            systems that read faces. They are too few to count much otherwise.
    """

    noise_offset: float = 0.05
    noise_offset_per_frame: bool = False
    snr_gamma: float | None = 5.0
    timestep_shift: float = 1.0
    condition_dropout: float = 0.1
    keep_share: float = 0.0
    part_dropout: float = 0.0
    """Probability that an optional condition is dropped, in rows that do not keep all."""
    face_weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.face_weight >= 1:
            raise ValueError(f"face_weight must be 1 or more, got {self.face_weight}")
        if not 0 <= self.condition_dropout < 1:
            raise ValueError(f"condition_dropout must be from 0 to below 1, got {self.condition_dropout}")
        if not 0 <= self.keep_share <= 1 - self.condition_dropout or not 0 <= self.part_dropout < 1:
            raise ValueError(
                "expected keep_share from 0 to 1 - condition_dropout and part_dropout from 0 to below 1, got "
                f"{self.keep_share} and {self.part_dropout}"
            )
        if not self.timestep_shift > 0:
            raise ValueError(f"timestep_shift must be above 0, got {self.timestep_shift}")
        if self.noise_offset < 0 or (self.snr_gamma is not None and not self.snr_gamma > 0):
            raise ValueError(
                f"expected noise_offset >= 0 and snr_gamma > 0 or null, got {self.noise_offset}, {self.snr_gamma}"
            )


SceneMask = Literal["agnostic", "box", "exact"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneSamplingConfig:
    """Samples in which a character is set into its scene (Animate Anyone 2, arXiv 2502.06145, §3.2 and §4.1).

    Args:
        mask: area without the scene: "agnostic", with numbers of blocks k_h and k_w drawn for every sample; or, for
            ablations, the character's "box" or its "exact" mask.
        scale_share: share of samples in which the character and its objects are enlarged and set back into the clip, so
            that the mask, which is that of the original size, is too small. The paper gives no rate.
        max_scale: largest scale; scales are uniform from 1. The paper gives no range.
        known_share: share of samples whose first `known_frames` frames are given whole, with an empty mask, as the
            last frames of the clip before are when a long video is made clip by clip.
        known_frames: see `known_share`.
    """

    mask: SceneMask = "agnostic"
    scale_share: float = 0.5
    max_scale: float = 1.25
    known_share: float = 0.0
    known_frames: int = 1

    def __post_init__(self) -> None:
        if self.mask not in get_args(SceneMask):
            raise ValueError(f"unknown mask '{self.mask}', expected one of {', '.join(get_args(SceneMask))}")
        if not (0 <= self.scale_share <= 1 and 0 <= self.known_share <= 1):
            raise ValueError(
                f"expected 0 <= scale_share <= 1 and 0 <= known_share <= 1, got {self.scale_share}, {self.known_share}"
            )
        if self.max_scale < 1 or self.known_frames < 1:
            raise ValueError(
                f"expected max_scale >= 1 and known_frames >= 1, got {self.max_scale} and {self.known_frames}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingConfig:
    """Training sample cut from a clip: target frames, their skeletons, and a reference frame.

    Args:
        height_px, width_px: size of all pictures. The largest crop of the video with this aspect ratio is resized.
        num_frames: target frames per sample. `frame_step`: distance between target frames, in frames of the clip.
        sample_margin: minimum distance of the reference from every target, in frames; if the clip has no such frame,
            the frame farthest from the targets is the reference.
        min_crop_share: minimum size of the random crop as a share of the largest crop, drawn uniformly and placed at
            random; 1 always takes the largest crop, centred.
        mirror_share: share of samples flipped horizontally.
        pose_preset: key of `models.pose.pose_map.PRESETS`; None: the model's own.
        explicit_indicator: augmentation of the target skeletons before they are drawn; None disables it.
        scene: signals of the scene, for systems that set the character into a video; None: the samples have none.
        scenery_share: share of the samples that are of `TrainingDataConfig.scenery`, where it is given.
        face_control: draw the signal `FACE_CONTROL`, for systems that read it; without it, it is black.
    """

    height_px: int = 768
    width_px: int = 768
    num_frames: int = 1
    frame_step: int = 1
    sample_margin: int = 30
    min_crop_share: float = 1.0
    mirror_share: float = 0.0
    pose_preset: str | None = None
    explicit_indicator: ExplicitIndicatorConfig | None = None
    scene: SceneSamplingConfig | None = None
    # Not in the key, which stays that of runs from before these existed; a run adds them where they have an effect.
    scenery_share: float = field(default=0.5, metadata={"in_key": False})
    face_control: bool = field(default=False, metadata={"in_key": False})

    def __post_init__(self) -> None:
        if self.height_px < 8 or self.width_px < 8 or self.height_px % 8 or self.width_px % 8:
            raise ValueError(f"height_px and width_px must be multiples of 8, got {self.height_px}, {self.width_px}")
        if min(self.num_frames, self.frame_step) < 1 or self.sample_margin < 0:
            raise ValueError(
                "expected num_frames and frame_step >= 1 and sample_margin >= 0, got "
                f"{self.num_frames}, {self.frame_step} and {self.sample_margin}"
            )
        if not 0 < self.min_crop_share <= 1 or not 0 <= self.mirror_share <= 1:
            raise ValueError(
                "expected 0 < min_crop_share <= 1 and 0 <= mirror_share <= 1, got "
                f"{self.min_crop_share} and {self.mirror_share}"
            )
        if not 0 <= self.scenery_share <= 1:
            raise ValueError(f"scenery_share must be from 0 to 1, got {self.scenery_share}")

    @property
    def repeats_pictures(self) -> bool:
        """Whether a frame of a clip is the same picture in every sample."""
        return self.min_crop_share == 1 and self.scene is None

    @property
    def span(self) -> int:
        """Number of clip frames from the first target to the last, both included."""
        return (self.num_frames - 1) * self.frame_step + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardConfig:
    """Criterion for a diverged run: the mean loss of the last `window` steps exceeds `max_ratio` times the mean of the
    first `window` steps. A non-finite loss or gradient norm stops the run immediately.
    """

    window: int = 25
    """Number of first, and of last, steps whose mean losses are compared."""
    max_ratio: float = 10.0
    """Maximum ratio of the mean loss of the last steps to that of the first."""

    def __post_init__(self) -> None:
        if self.window < 1 or not self.max_ratio > 1:
            raise ValueError(f"expected window >= 1 and max_ratio > 1, got {self.window} and {self.max_ratio}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizationRecipe:
    """Settings of a training run that hold for any network and loss.

    Args:
        steps: total number of optimizer steps. Raise it to continue a finished run.
        batch_size: samples per optimizer step, over all workers and accumulated micro-batches.
        accumulation: micro-batches per worker and step.
        frozen: name prefixes of parameters to exclude from training.
        gradient_checkpointing: recompute activations in the backward pass to save memory.
        precision: "bfloat16" runs the forward pass under autocast; weights and optimizer state stay float32. "auto" is
            bfloat16 on devices with bfloat16 instructions, else float32.
        ema_decay: decay per step of the exponential moving average (EMA) of the weights, which checkpoints then offer
            for inference; 0 disables it. Warm-up: min(ema_decay, (1 + step) / (10 + step)).
        seed: seed of all random draws.
    """

    steps: int = field(default=30_000, metadata={"in_key": False})
    batch_size: int = 4
    accumulation: int = field(default=1, metadata={"in_key": False})
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    guard: GuardConfig = field(default_factory=GuardConfig, metadata={"in_key": False})
    frozen: tuple[str, ...] = ()
    gradient_checkpointing: bool = field(default=False, metadata={"in_key": False})
    precision: Precision = "float32"
    ema_decay: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.accumulation) < 1 or self.seed < 0:
            raise ValueError(
                "steps, batch_size and accumulation must be at least 1 and seed at least 0, got "
                f"{self.steps}, {self.batch_size}, {self.accumulation} and {self.seed}"
            )
        if self.precision not in get_args(Precision):
            raise ValueError(f"unknown precision '{self.precision}', expected one of {', '.join(get_args(Precision))}")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must be from 0 to below 1, got {self.ema_decay}")

    def micro_batch(self, world_size: int) -> int:
        """Samples per micro-batch of one worker. Raises ValueError if the batch does not divide evenly."""
        parts = world_size * self.accumulation
        if self.batch_size % parts:
            raise ValueError(
                f"batch_size {self.batch_size} must be a multiple of workers x accumulation = "
                f"{world_size} x {self.accumulation}"
            )
        return self.batch_size // parts


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRecipe(OptimizationRecipe):
    """Settings of a training run of a diffusion system.

    Args:
        stage: training stage; the system defines which parameters each stage trains.
        loss: diffusion loss.
        sampling: training samples cut from clips.
    """

    stage: int = 1
    loss: LossConfig = field(default_factory=LossConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    def __post_init__(self) -> None:
        # Dataclasses with slots are new classes, which super() without arguments does not resolve.
        OptimizationRecipe.__post_init__(self)
        if self.stage < 1:
            raise ValueError(f"stage must be at least 1, got {self.stage}")
