"""Configuration of X-Dyna (arXiv 2501.10021) as released; fields for the ablations of its §4.3 carry their reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from models.common.unet.config import TemporalConfig, UNetConfig
from models.face.control import FACE_FORMS, FaceForm
from models.sampling.config import ScheduleConfig, WindowConfig

Appearance = Literal["adapter", "reference_net", "ip_adapter"]

UNET_FILE = "unet/unet-checkpoint-epoch-5.ckpt"
POSE_FILE = "controlnet/controlnet-checkpoint-epoch-5.ckpt"
FACE_FILE = "controlnet_face/controlnet-face-checkpoint-epoch-2.ckpt"
"""Published files, in the publisher's repository."""


@dataclass(frozen=True, kw_only=True, slots=True)
class XDynaConfig:
    """Configuration of an X-Dyna network.

    Args:
        unet: shape of the denoising U-Net, and of the ControlNets and the ReferenceNet.
        temporal: the denoiser's temporal layers; the reference's frame passes them by where there is one.
        appearance: where the details of the reference come from. "adapter": Dynamics-Adapter, self-attention also to
            the reference as the clip's first frame. "reference_net": features of a ReferenceNet, which the paper
            finds to hold the background still. "ip_adapter": image tokens alone, which lose the identity.
        face_form: content of `FACE_CONTROL`. "patches" of pixels show expressions that "landmarks" do not, such as
            pouts and gazes.
        face: whether there is an S-Face ControlNet; without one the face moves with the head only.
        control_widths: channels of the levels of both ControlNets' condition towers.
        schedule, windows, num_steps, guidance_scale: sampling defaults.
        pose_preset: key of `models.pose.pose_map.PRESETS`.
    """

    unet: UNetConfig = field(default_factory=lambda: UNetConfig(residual_norm="pooled"))
    temporal: TemporalConfig = field(default_factory=lambda: TemporalConfig(max_frames=24, middle=False))
    appearance: Appearance = "adapter"
    face_form: FaceForm = "patches"
    face: bool = True
    control_widths: tuple[int, ...] = (16, 32, 96, 256)
    schedule: ScheduleConfig = field(
        default_factory=lambda: ScheduleConfig(
            betas="linear", zero_terminal_snr=False, prediction="epsilon", spacing="leading"
        )
    )
    windows: WindowConfig = field(
        default_factory=lambda: WindowConfig(size=16, overlap=4, layout="closed_loop", random_offset=True)
    )
    num_steps: int = 25
    guidance_scale: float = 7.5
    pose_preset: str = "x-dyna"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("appearance", self.appearance, get_args(Appearance)),
            ("face_form", self.face_form, FACE_FORMS),
        ):
            if value not in known:
                raise ValueError(f"expected {name} of {', '.join(known)}, got '{value}'")
