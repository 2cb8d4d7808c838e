"""Version of the code, for provenance and `zoetrope --version`."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def code_version() -> str:
    """Version of the package, with the commit if it runs from a git checkout."""
    release = version("zoetrope")
    if not (CHECKOUT / ".git").exists():
        return release
    try:
        command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12"]
        described = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return release
    return f"{release}+{described}"
