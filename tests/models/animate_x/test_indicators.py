from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_animate_x import TINY

from models.animate_x.indicators import PoseIndicator, indicator_keypoints
from models.pose.skeleton import INDEX

TOKEN_WIDTH = 64


def test_keypoints_are_all_x_then_all_y_as_shares_of_the_frame_and_minus_one_where_missing() -> None:
    keypoints = np.zeros((2, 133, 3), np.float32)
    keypoints[:, INDEX["nose"]] = (10, 40, 0.9)
    keypoints[1, INDEX["nose"], 2] = 0.1
    keypoints[0, INDEX["left_shoulder"]] = (30, 20, 0.9)
    keypoints[0, INDEX["right_shoulder"]] = (10, 20, 0.9)
    shares = indicator_keypoints(keypoints, height_px=80, width_px=40)
    assert shares.shape == (2, 36)
    assert shares[0, 0] == 0.25
    assert shares[0, 18] == 0.5
    np.testing.assert_allclose(shares[0, [1, 19]], (0.5, 0.25))  # the neck is the middle of the shoulders
    assert (shares[1] == -1).all()


@torch.no_grad()
def test_each_query_can_be_left_out() -> None:
    assert TINY.indicator is not None
    keypoints, features = torch.rand(1, 3, 36), torch.randn(1, 3, 64)

    def indicator(**switches: bool) -> PoseIndicator:
        torch.manual_seed(0)
        network = PoseIndicator(replace(TINY.indicator, **switches), TOKEN_WIDTH)
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)
        return network

    names = {}
    for switch in ("keypoint_query", "learned_query"):
        network = indicator(**{switch: False})
        names[switch] = {name for name, _ in network.named_parameters()}
        before = network(keypoints, features)
        reads_keypoints = not torch.allclose(network(keypoints.flip(1), features), before)
        assert reads_keypoints == (switch == "learned_query")
        assert not torch.allclose(network(keypoints, features + torch.randn(64)), before)
    both = {name for name, _ in indicator().named_parameters()}
    assert both - names["learned_query"] == {"queries"}
    assert both - names["keypoint_query"] == {name for name in both if name.startswith("keypoints.")}
    with pytest.raises(ValueError, match="asks by keypoint_query, learned_query or both"):
        replace(TINY.indicator, keypoint_query=False, learned_query=False)


def test_without_a_learned_query_new_motion_tokens_differ() -> None:
    assert TINY.indicator is not None
    torch.manual_seed(0)
    network = PoseIndicator(replace(TINY.indicator, learned_query=False), TOKEN_WIDTH)
    tokens = network(torch.rand(1, 2, 36), torch.randn(1, 2, 64))
    assert not torch.allclose(tokens[..., 0, :], tokens[..., 1, :], atol=1e-3)
