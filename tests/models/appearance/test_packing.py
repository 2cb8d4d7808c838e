from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from models.appearance.packing import pack, unpack


@settings(deadline=None)
@given(hnp.arrays(np.float16, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5), elements=st.floats(width=16)))
def test_what_is_packed_is_unpacked_bit_for_bit(features: NDArray[np.float16]) -> None:
    packed, shape = pack(features)
    again = unpack(packed, shape)
    assert again.shape == features.shape
    assert again.tobytes() == features.tobytes()
    if shape:
        with pytest.raises(ValueError, match="bytes in a frame"):
            unpack(packed, [*shape, 2])
