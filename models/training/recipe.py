"""What a training run is told: how long, how fast, on what, and by which loss."""

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
    """AdamW or Muon, and the learning rate.

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
        if not all(factor > 0 for factor in self.lr_multipliers.values()):
            raise ValueError(
                f"lr_multipliers must be above 0 (to fix parameters, list them in frozen), got {self.lr_multipliers}"
            )
        if self.decay not in get_args(Decay):
            raise ValueError(f"unknown decay '{self.decay}', expected one of {', '.join(get_args(Decay))}")
        if self.name not in get_args(OptimizerName):
            raise ValueError(f"unknown optimizer '{self.name}', expected one of {', '.join(get_args(OptimizerName))}")

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of step `step` (0 first) of a run of `steps`."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.decay == "constant":
            return self.learning_rate
        done = min((step - self.warmup_steps) / max(steps - self.warmup_steps, 1), 1.0)
        half_cosine = 0.5 + 0.5 * math.cos(math.pi * done)
        return self.learning_rate * (self.final_share + (1 - self.final_share) * half_cosine)


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """The diffusion loss.

    Args:
        noise_offset: to the noise of every channel is added normal noise of this standard deviation, the same for all
            pixels: networks learn to move the mean brightness. `noise_offset_per_frame`: drawn for each frame, or one
            for all.
        snr_gamma: γ of Min-SNR weighting (arXiv 2303.09556); None weighs all steps alike. With zero terminal SNR the
            noisiest steps then weigh next to nothing, though pose and place are decided there.
        timestep_shift: above 1, noisier steps are drawn more often: a step drawn evenly, as a share u of all, becomes
            s · u / (1 + (s − 1) · u) (arXiv 2403.03206, equation 23).
        condition_dropout: share of rows that are trained as the unconditional half of guidance is run at inference.
        keep_share: share of rows that keep all of their conditions. In the rest, each condition that a system can do
            without is left out by itself with the probability `part_dropout`.
    """

    noise_offset: float = 0.05
    noise_offset_per_frame: bool = False
    snr_gamma: float | None = 5.0
    timestep_shift: float = 1.0
    condition_dropout: float = 0.1
    keep_share: float = 0.0
    part_dropout: float = 0.0

    def __post_init__(self) -> None:
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


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingConfig:
    """What a training sample is cut from a clip as: target frames, their skeletons, and a reference.

    Args:
        height_px, width_px: of all pictures. The largest part of the video of that aspect is cut out and resized.
        num_frames: targets of a sample. `frame_step`: from one target to the next, in frames of the clip.
        sample_margin: the reference is at least so many frames before or after every target; where a clip has no such
            frame, the one farthest from the targets is taken.
        min_crop_share: the part cut out is this share of the largest or more, drawn evenly and placed at random;
            1 always takes the largest, from the middle.
        mirror_share: of the samples that are flipped left to right.
        pose_preset: key of `models.pose.pose_map.PRESETS`; None: the model's own.
        explicit_indicator: how the targets' skeletons are changed before they are drawn; None leaves them.
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

    @property
    def span(self) -> int:
        """Frames of a clip from the first target to the last."""
        return (self.num_frames - 1) * self.frame_step + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardConfig:
    """When a run is taken for diverged: the mean loss over `window` steps exceeds that of its first `window` steps
    `max_ratio` times. A loss or a gradient that is not finite ends it at once.
    """

    window: int = 25
    max_ratio: float = 10.0

    def __post_init__(self) -> None:
        if self.window < 1 or not self.max_ratio > 1:
            raise ValueError(f"expected window >= 1 and max_ratio > 1, got {self.window} and {self.max_ratio}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRecipe:
    """A training run but for the network.

    Args:
        stage: which parts learn; what that means is the system's own.
        steps: optimizer steps in all. A finished run is made longer by raising it.
        batch_size: samples of an optimizer step, over all workers and accumulated micro-batches together.
        accumulation: micro-batches that a worker's share of a batch is computed in.
        frozen: parameters that do not learn although the stage would train them, by the beginnings of their names.
        gradient_checkpointing: compute again in the backward pass what would fill the memory.
        precision: "bfloat16" computes in autocast; weights and optimizer stay float32. "auto" is bfloat16 on devices
            that have instructions for it, else float32.
        ema_decay: decay per step of the average of the weights, which is what a checkpoint offers for use; 0: the
            weights themselves. It rises to that from (1 + step) / (10 + step).
        seed: of everything drawn.
    """

    stage: int = 1
    steps: int = field(default=30_000, metadata={"in_key": False})
    batch_size: int = 4
    accumulation: int = field(default=1, metadata={"in_key": False})
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    guard: GuardConfig = field(default_factory=GuardConfig, metadata={"in_key": False})
    frozen: tuple[str, ...] = ()
    gradient_checkpointing: bool = field(default=False, metadata={"in_key": False})
    precision: Precision = "float32"
    ema_decay: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.stage, self.steps, self.batch_size, self.accumulation) < 1 or self.seed < 0:
            raise ValueError(
                "stage, steps, batch_size and accumulation must be at least 1 and seed at least 0, got "
                f"{self.stage}, {self.steps}, {self.batch_size}, {self.accumulation} and {self.seed}"
            )
        if self.precision not in get_args(Precision):
            raise ValueError(f"unknown precision '{self.precision}', expected one of {', '.join(get_args(Precision))}")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must be from 0 to below 1, got {self.ema_decay}")

    def micro_batch(self, world_size: int) -> int:
        """Samples of one micro-batch of one worker. Raises ValueError if the batch does not divide."""
        parts = world_size * self.accumulation
        if self.batch_size % parts:
            raise ValueError(
                f"batch_size {self.batch_size} must be a multiple of workers x accumulation = "
                f"{world_size} x {self.accumulation}"
            )
        return self.batch_size // parts
