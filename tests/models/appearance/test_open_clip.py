from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.appearance.image_encoder import CLIP_DEVIATION, CLIP_MEAN
from models.appearance.open_clip import OpenClipConfig, load_open_clip
from models.common.digest import CheckpointError

TINY = OpenClipConfig(
    image_size_px=16,
    patch_px=8,
    width=24,
    layers=2,
    heads=3,
    ff_width=40,
    embedding_width=12,
    text_width=16,
    text_layers=3,
    text_heads=2,
    text_ff_width=20,
    text_length=6,
    vocabulary=11,
)


class Block(nn.Module):
    """A layer as OpenCLIP has it."""

    def __init__(self, width: int, heads: int, ff_width: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, ff_width), "c_proj": nn.Linear(ff_width, width)})

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        seen = self.ln_1(x)
        x = x + self.attn(seen, seen, seen, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp["c_proj"](functional.gelu(self.mlp["c_fc"](self.ln_2(x))))


class Tower(nn.Module):
    def __init__(self, blocks: list[Block]) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(blocks)


class Vision(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        width, grid = TINY.width, TINY.image_size_px // TINY.patch_px
        self.class_embedding = nn.Parameter(torch.randn(width))
        self.positional_embedding = nn.Parameter(torch.randn(grid**2 + 1, width))
        self.proj = nn.Parameter(torch.randn(width, TINY.embedding_width))
        self.conv1 = nn.Conv2d(3, width, TINY.patch_px, stride=TINY.patch_px, bias=False)
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Tower([Block(width, TINY.heads, TINY.ff_width) for _ in range(TINY.layers)])

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(pixels), 1, -1)
        x = self.ln_pre(torch.cat([first, patches], 1) + self.positional_embedding)
        for block in self.transformer.resblocks:
            x = block(x)
        return self.ln_post(x[:, 0]) @ self.proj


class Published(nn.Module):
    """Module with the tensors of the published file."""

    def __init__(self) -> None:
        super().__init__()
        width = TINY.text_width
        self.visual = Vision()
        self.positional_embedding = nn.Parameter(torch.randn(TINY.text_length, width))
        self.text_projection = nn.Parameter(torch.randn(width, TINY.embedding_width))
        self.logit_scale = nn.Parameter(torch.tensor(1.0))
        self.transformer = Tower([Block(width, TINY.text_heads, TINY.text_ff_width) for _ in range(TINY.text_layers)])
        self.token_embedding = nn.Embedding(TINY.vocabulary, width)
        self.ln_final = nn.LayerNorm(width)

    def penultimate(self, tokens: Tensor) -> Tensor:
        x = self.token_embedding(tokens) + self.positional_embedding
        mask = torch.full((TINY.text_length,) * 2, -torch.inf).triu(1)
        for block in self.transformer.resblocks[:-1]:
            x = block(x, mask)
        return self.ln_final(x)


@pytest.fixture
def published() -> Published:
    torch.manual_seed(0)
    return Published().eval()


@pytest.fixture
def file(published: Published, tmp_path: Path) -> Path:
    torch.save(published.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    return tmp_path / "open_clip_pytorch_model.bin"


@torch.no_grad()
def test_embeddings_and_the_empty_text_are_those_of_the_published_networks(published: Published, file: Path) -> None:
    found = load_open_clip(file, TINY)
    images = torch.rand(2, 3, 40, 24) * 2 - 1
    square = functional.interpolate(images, size=(16, 16), mode="bilinear", antialias=True)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (CLIP_MEAN, CLIP_DEVIATION))
    expected = published.visual((square / 2 + 0.5 - mean) / deviation)
    torch.testing.assert_close(found.image_encoder(images), expected, atol=1e-5, rtol=1e-4)
    tokens = torch.tensor([[9, 10, 0, 0, 0, 0]])
    torch.testing.assert_close(found.empty_text_1LD, published.penultimate(tokens), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("visual.ln_post.weight", None, r"1 missing \(vision_model\.post_layernorm\.weight"),
        ("transformer.resblocks.0.ln_1.bias", None, "1 missing"),
        ("visual.another", torch.zeros(2), "1 unexpected"),
        ("visual.transformer.resblocks.1.attn.in_proj_bias", torch.zeros(7), "does not hold queries, keys and values"),
        ("ln_final.weight", torch.zeros(3), "1 misshapen"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(file: Path, key: str, value: Tensor | None, words: str) -> None:
    tensors = torch.load(file, weights_only=True)
    tensors.pop(key, None)
    torch.save(tensors if value is None else {**tensors, key: value}, file)
    with pytest.raises(CheckpointError, match=words):
        load_open_clip(file, TINY)
