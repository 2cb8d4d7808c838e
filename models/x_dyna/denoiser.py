"""X-Dyna's denoiser of one clip, with everything computed that depends on no step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.common.unet.control import ControlResiduals
from models.sampling.denoise import Windows
from models.x_dyna.conditions import ClipConditions, ControlPictures
from models.x_dyna.network import XDyna


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """Residuals of the last window of a call. The second half of guidance may be in the next call."""

    t: int
    window: tuple[int, ...]
    latents_CFHW: Tensor
    maps: tuple[Tensor, ...]

    def is_of(self, t: int, window: tuple[int, ...], latents_CFHW: Tensor) -> bool:
        """Whether a ControlNet would compute the same again."""
        return (self.t, self.window) == (t, window) and torch.equal(self.latents_CFHW, latents_CFHW)


class ClipDenoiser:
    """See `models.sampling.denoise.Denoiser`.

    ControlNets read neither reference nor image tokens: they run once per window and step for both halves of guidance.
    """

    def __init__(self, network: XDyna, clip: ClipConditions) -> None:
        """`clip`: a batch of one."""
        self._network, self._clip = network, clip
        self._blocks = network.block_conditions(clip, torch.cat([clip.blank_tokens_1LD, clip.image_tokens_BLD]))
        self._runs = clip.controls_B2[0].tolist()
        self._pose = ControlPictures(clip.poses_BFHWC)
        self._face = None if clip.face_BFHWC is None else ControlPictures(clip.face_BFHWC)
        self._kept: _Kept | None = None

    def __call__(self, latents_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
        """The prediction for each row."""
        reference = self._clip.reference_latents_BCHW
        x = latents_BCFHW.to(reference.dtype)
        t_B = torch.full((len(x),), t, device=x.device)
        rows = [int(row) for row in conditional]
        predicted = self._network.predict(
            x, t_B, reference, [block.rows(rows) for block in self._blocks], self._control(x, t, windows)
        )
        return predicted.to(latents_BCFHW.dtype)

    def _control(self, latents_BCFHW: Tensor, t: int, windows: Windows) -> ControlResiduals | None:
        """Residuals of every row, computed once for rows with the same window and latents."""
        clips: list[_Kept] = [] if self._kept is None else [self._kept]
        rows = []
        for window, latents in zip(map(tuple, windows), latents_BCFHW, strict=True):
            found = next((n for n, clip in enumerate(clips) if clip.is_of(t, window, latents)), None)
            if found is None:
                found = len(clips)
                clips.append(_Kept(t=t, window=window, latents_CFHW=latents, maps=self._maps(latents, t, window)))
            rows.append(found)
        self._kept = clips[rows[-1]]
        if not self._kept.maps:
            return None
        used = sorted(set(rows))
        maps = tuple(torch.cat(maps) for maps in zip(*(clips[n].maps for n in used), strict=True))
        return ControlResiduals(maps=maps, rows=tuple(used.index(n) for n in rows))

    def _maps(self, latents_CFHW: Tensor, t: int, window: tuple[int, ...]) -> tuple[Tensor, ...]:
        images = self._network.control_images(self._pose, self._face, window, self._runs, latents_CFHW)
        t_B = torch.tensor([t], device=latents_CFHW.device)
        return self._network.control_residuals(latents_CFHW[None], t_B, self._clip.text_tokens_1LD, images)
