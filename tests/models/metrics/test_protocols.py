import subprocess
import sys

import pytest

from models.metrics.measures import MEASURES, SET_MEASURES
from models.metrics.protocols import PROTOCOLS

SHARES = {"ssim", "lpips_disco", "face_cos", "face_det"}


def test_names_of_the_command_line():
    assert list(PROTOCOLS) == ["tiktok", "fashion", "a2bench-self", "a2bench-rescaled", "x-dyna", "animate-anyone-2"]


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_measures_exist_and_published_values_are_of_the_protocol(protocol):
    assert set(protocol.measures) <= MEASURES.keys() | SET_MEASURES.keys()
    assert len(set(protocol.measures)) == len(protocol.measures)
    assert len({row.model for row in protocol.published}) == len(protocol.published)
    for row in protocol.published:
        assert row.values.keys() <= set(protocol.measures)
        assert "arXiv" in row.source


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_published_values_have_our_units(protocol):
    for row in protocol.published:
        assert all(0 < row.values[name] < 1 for name in SHARES & row.values.keys())
        if "psnr_wrapped_db" in row.values and "psnr_db" in row.values:
            assert row.values["psnr_wrapped_db"] > row.values["psnr_db"]
        assert row.values.get("l1_disco", 0) < 1e-3


def test_planning_imports_no_torch():
    program = "import sys, models.metrics.protocols; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
