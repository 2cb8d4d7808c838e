"""Planning imports no torch: commands that validate, plan and report start at once, on machines without it too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
MODULES = [
    "models.systems",
    "models.catalogue",
    "models.animation.system",
    "pipelines.requests",
    "pipelines.animate",
    "pipelines.prepare",
    "pipelines.evaluation.steps",
    "pipelines.evaluation.pairs",
    "models.metrics.protocols",
    "models.metrics.weights",
    "pipelines.engine.plan",
    "stages.animate.diffusion",
    "jobs.verbs.animate",
    "jobs.verbs.evaluate",
    "jobs.verbs.prepare",
]


@pytest.mark.parametrize("module", MODULES)
def test_importing_imports_no_torch(module: str) -> None:
    """In an interpreter of its own."""
    program = f"""
import sys, traceback

class RefuseTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            chain = [frame.filename for frame in traceback.extract_stack() if {str(CHECKOUT)!r} in frame.filename]
            print(" -> ".join(dict.fromkeys(chain)), file=sys.stderr)
            raise SystemExit(1)

sys.meta_path.insert(0, RefuseTorch())
import {module}
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
