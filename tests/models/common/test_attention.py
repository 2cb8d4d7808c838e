import pytest
import torch
from torch.nn import functional

from models.common.attention import scaled_dot_product_attention


@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_has_the_gradients_of_float32(autocast: bool) -> None:
    g = torch.Generator().manual_seed(0)
    exact = [torch.randn(2, 3, tokens, 8, generator=g).bfloat16().float().requires_grad_() for tokens in (7, 5, 5)]
    short = [x.detach().bfloat16().requires_grad_() for x in exact]
    expected = functional.scaled_dot_product_attention(*exact)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        attended = scaled_dot_product_attention(*short)
    assert attended.dtype == torch.bfloat16
    torch.testing.assert_close(attended.float(), expected, rtol=2**-8, atol=0)  # half a unit in the last place
    for x in (attended.float(), expected):
        x.square().sum().backward()
    for ours, theirs in zip(short, exact, strict=True):
        torch.testing.assert_close(ours.grad.float(), theirs.grad, rtol=0.02, atol=0.02)


def test_float32_is_torchs_own() -> None:
    q, k, v = torch.randn(3, 2, 3, 7, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    torch.testing.assert_close(
        scaled_dot_product_attention(q, k, v), functional.scaled_dot_product_attention(q, k, v), rtol=0, atol=0
    )
