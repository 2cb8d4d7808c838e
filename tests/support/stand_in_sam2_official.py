"""One random SAM 2.1 of the released size, as its publisher saves it and as transformers does."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from stand_in_networks import randomise

SPELLINGS = (
    (r"^no_memory_embedding$", "no_mem_embed"),
    (r"^no_memory_positional_encoding$", "no_mem_pos_enc"),
    (r"^memory_temporal_positional_encoding$", "maskmem_tpos_enc"),
    (r"^no_object_pointer$", "no_obj_ptr"),
    (r"^occlusion_spatial_embedding_parameter$", "no_obj_embed_spatial"),
    (r"^shared_image_embedding\.", "sam_prompt_encoder.pe_layer."),
    (r"positional_embedding$", "positional_encoding_gaussian_matrix"),
    (r"^temporal_positional_encoding_projection_layer\.", "obj_ptr_tpos_proj."),
    (r"^object_pointer_proj\.", "obj_ptr_proj."),
    (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
    (r"^vision_encoder\.neck\.convs\.(\d)\.", r"image_encoder.neck.convs.\1.conv."),
    (r"patch_embed\.projection\.", "patch_embed.proj."),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "sam_prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "sam_prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "sam_prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "sam_prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "sam_prompt_encoder.mask_downscaling.6."),
    (r"^prompt_encoder\.", "sam_prompt_encoder."),
    (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
    (r"^mask_decoder\.transformer\.layer_norm_final_attn\.", "mask_decoder.transformer.norm_final_attn."),
    (r"^mask_decoder\.", "sam_mask_decoder."),
    (r"^memory_attention\.layer_norm\.", "memory_attention.norm."),
    (r"^memory_encoder\.feature_projection\.", "memory_encoder.pix_feat_proj."),
    (r"^memory_encoder\.projection\.", "memory_encoder.out_proj."),
    (r"^memory_encoder\.mask_downsampler\.final_conv\.", "memory_encoder.mask_downsampler.encoder.12."),
    (r"^memory_encoder\.memory_fuser\.", "memory_encoder.fuser."),
    (r"\.depthwise_conv\.", ".dwconv."),
    (r"\.pointwise_conv(\d)\.", r".pwconv\1."),
    (r"(fuser\.layers\.\d\.)scale$", r"\1gamma"),
    (r"\.layer_norm(\d?)\.", r".norm\1."),
    (r"\.o_proj\.", ".out_proj."),
    (r"(mlps\.\d|head|obj_ptr_proj)\.layers\.0\.", r"\1.layers.1."),
    (r"(mlps\.\d|head|obj_ptr_proj)\.proj_out\.", r"\1.layers.2."),
    (r"\.proj_in\.", ".layers.0."),
    (r"\.mlp\.proj_out\.", ".mlp.layers.1."),
)  # fmt: skip
"""Name in transformers -> published name, applied in this order."""


def published_name(name: str) -> str:
    """The publisher's name of a tensor of `Sam2VideoModel`, but for the parts that `save_both` cuts up."""
    for theirs, ours in SPELLINGS:
        name = re.sub(theirs, ours, name)
    return name


def save_both(folder: Path, file: Path) -> None:
    """`config.json` and `model.safetensors` in `folder`, the same weights in `file`: 38.9 M, 1024 x 1024 pixels."""
    from transformers import Sam2VideoConfig, Sam2VideoModel

    with torch.random.fork_rng():
        torch.manual_seed(0)  # the positional encoding is a random buffer
        network = Sam2VideoModel(Sam2VideoConfig()).eval()
    randomise(network)
    network.mask_decoder.pred_obj_score_head.proj_out.bias.data.fill_(9)  # the object is in view, so it has a mask
    # Published, the two are one.
    network.prompt_encoder.shared_embedding.positional_embedding.copy_(
        network.shared_image_embedding.positional_embedding
    )
    network.save_pretrained(folder)
    published = {}
    for name, tensor in network.state_dict().items():
        if name == "prompt_encoder.point_embed.weight":
            for n, row in enumerate(tensor):
                published[f"sam_prompt_encoder.point_embeddings.{n}.weight"] = row[None].clone()
        elif match := re.match(r"memory_encoder\.mask_downsampler\.layers\.(\d)\.(conv|layer_norm)\.(\w+)", name):
            place = 3 * int(match[1]) + (match[2] == "layer_norm")
            published[f"memory_encoder.mask_downsampler.encoder.{place}.{match[3]}"] = tensor.clone()
        elif name != "prompt_encoder.shared_embedding.positional_embedding":  # the image's, again
            published[published_name(name)] = tensor.clone()
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": published}, file)
