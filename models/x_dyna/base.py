"""X-Dyna at the start of training, from public base models (arXiv 2501.10021, §4.1).

| part | begins as |
|---|---|
| denoiser | U-Net of Stable Diffusion 1.5; stays frozen |
| temporal layers | those of AnimateDiff v1 |
| keys and values of image tokens | those of IP-Adapter-Plus; stay frozen |
| Dynamics-Adapter | queries of the self-attention beside it, output zero: without effect |
| pose ControlNet | that of ControlNet 1.1 for OpenPose |
| S-Face ControlNet | encoder of the U-Net, condition tower random, outputs zero |
| ReferenceNet (ablation) | U-Net of Stable Diffusion 1.5 |

From what the S-Face ControlNet begins is not public; here it is how ControlNets do (arXiv 2302.05543, §3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from models.appearance.ip_adapter import PREFIX
from models.appearance.weights import IP_ADAPTER
from models.common.base_models import without_output
from models.common.checkpoint import fill, read_tensors
from models.common.digest import CheckpointError
from models.common.unet.motion_keys import renamed_motion_keys
from models.common.unet.unet import is_temporal
from models.weights.base import ANIMATEDIFF_1, OPENPOSE_CONTROL_NET, SD_UNET
from models.x_dyna.blocks import AdapterAttention
from models.x_dyna.config import XDynaConfig
from models.x_dyna.network import Denoiser, XDyna

_IMAGE_LAYERS = "ip_adapter."
_ENCODER = ("conv_in.", "time_embedding.", "down_blocks.", "mid_block.")


def load_base(paths: Mapping[str, Path], config: XDynaConfig) -> XDyna:
    """The network at the start of training.

    `paths`: of the base models, by the names of their catalogue entries.

    Raises:
        CheckpointError: a file is absent or damaged, or has a tensor that is missing, unexpected or misshapen.
    """
    network = XDyna(config)
    denoiser, path = network.denoiser, paths[SD_UNET.name]
    unet = read_tensors(path)
    fill(denoiser, unet, path, holds=_is_of_the_unet)
    if network.reference_net is not None:
        fill(network.reference_net, without_output(unet), path)
    if network.face_control is not None:
        encoder = {name: tensor for name, tensor in unet.items() if name.startswith(_ENCODER)}
        fill(network.face_control, encoder, path, holds=lambda name: name.startswith(_ENCODER))
    for module in denoiser.modules():
        if isinstance(module, AdapterAttention):
            module.begin()
    path = paths[ANIMATEDIFF_1.name]
    fill(denoiser, renamed_motion_keys(read_tensors(path), path), path, holds=is_temporal)
    path = paths[IP_ADAPTER.name]
    fill(denoiser, _image_layers(denoiser, read_tensors(path), path), path, holds=_is_of_image_tokens)
    path = paths[OPENPOSE_CONTROL_NET.name]
    fill(network.pose_control, read_tensors(path), path)
    return network


def _is_of_image_tokens(name: str) -> bool:
    return "_ip." in name


def _is_of_the_unet(name: str) -> bool:
    return not (is_temporal(name) or "_ff." in name or _is_of_image_tokens(name))


def _image_layers(denoiser: Denoiser, tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Layers of image tokens under the names of the denoiser.

    IP-Adapter numbers the attentions of a U-Net in the order encoder, decoder, middle, cross-attentions with odd ones.

    Raises:
        CheckpointError: a tensor belongs neither to a cross-attention nor to the resampler.
    """
    names = {module: name for name, module in denoiser.named_modules()}
    encoder, transformers = denoiser.num_encoder_transformers, denoiser.transformers
    ordered = [*transformers[:encoder], *transformers[encoder + 1 :], transformers[encoder]]
    layers = {
        f"{_IMAGE_LAYERS}{2 * place + 1}.": f"{names[transformer.block.attn2]}."
        for place, transformer in enumerate(ordered)
    }
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith(PREFIX):
            continue  # of the resampler, which is an encoder
        layer = next((layer for layer in layers if name.startswith(layer)), None)
        if layer is None:
            raise CheckpointError(f"{path}: {name} belongs to no cross-attention of this network")
        renamed[layers[layer] + name.removeprefix(layer)] = tensor
    return renamed
