from __future__ import annotations

import dataclasses
import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import save

from models.catalogue import CATALOGUE
from models.common.digest import CheckpointError
from models.weights.entry import File, Weights
from models.weights.resolve import MissingWeightsError, default_folder, fetch, find, place
from models.weights.web import DownloadError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONTENT = {
    "config.json": b'{"a": 1}',
    "model.safetensors": save({"a": torch.arange(6)}),
}
SAM2 = CATALOGUE["sam2.1-hiera-tiny"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hugging Face cache of the test's own."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub that has `CONTENT` for every repository; what was downloaded from it."""
    requests: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            requests.append(self.path)
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            content = CONTENT.get(self.path.rpartition("/")[2])
            self.send_response(200 if content else 404)
            if content is None:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(content or b"").hexdigest()}"')
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if body and content:
                self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    real = huggingface_hub.hf_hub_download
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", functools.partial(real, endpoint=endpoint))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_PROGRESS_BARS", True)
    yield requests
    server.shutdown()
    server.server_close()


def fill(folder: Path, weights: Weights = SAM2, *, without: str = "") -> None:
    for file in weights.files:
        if file.name != without:
            path = place(weights, file, folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(CONTENT[path.name])


def test_a_folder_of_weights_comes_first(tmp_path: Path) -> None:
    fill(tmp_path / "w")
    resolved = find(SAM2, tmp_path / "w")
    assert resolved.path == tmp_path / "w" / "facebook" / "sam2.1-hiera-tiny"
    assert resolved.digests() == {
        f"sam2.1-hiera-tiny/{name}": f"sha256:{hashlib.sha256(content).hexdigest()}"
        for name, content in CONTENT.items()
    }


def test_offline_the_error_says_where_to_put_each_file(tmp_path: Path) -> None:
    fill(tmp_path / "w", without="model.safetensors")
    with pytest.raises(MissingWeightsError) as missing:
        find(SAM2, tmp_path / "w")
    message = str(missing.value)
    assert f"{tmp_path}/w/facebook/sam2.1-hiera-tiny/model.safetensors" in message
    assert "https://huggingface.co/facebook/sam2.1-hiera-tiny/resolve/main/model.safetensors" in message
    assert f"zoetrope weights fetch sam2.1-hiera-tiny --weights {tmp_path}/w" in message
    assert "config.json" not in message


def test_the_default_folder_is_searched_after_a_given_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    default = tmp_path / "xdg" / "zoetrope" / "weights"
    with pytest.raises(MissingWeightsError, match=rf"neither in {default} nor .* fetch sam2.1-hiera-tiny` "):
        find(SAM2, None)
    fill(default)
    assert find(SAM2, None).path == find(SAM2, tmp_path / "w").path == default / "facebook" / "sam2.1-hiera-tiny"
    fill(tmp_path / "w")
    assert find(SAM2, tmp_path / "w").path == tmp_path / "w" / "facebook" / "sam2.1-hiera-tiny"


@pytest.mark.parametrize("cache", ["", "relative"])
def test_without_an_absolute_cache_the_default_folder_is_in_the_home(
    cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "zoetrope" / "weights"


def test_a_download_goes_to_the_folder_and_is_not_repeated(tmp_path: Path, hub: list[str]) -> None:
    fill(tmp_path / "w", without="model.safetensors")
    resolved = find(SAM2, tmp_path / "w", download=True)
    assert resolved.path == tmp_path / "w" / "facebook" / "sam2.1-hiera-tiny"
    assert (resolved.path / "model.safetensors").read_bytes() == CONTENT["model.safetensors"]
    assert hub == ["/facebook/sam2.1-hiera-tiny/resolve/main/model.safetensors"]
    find(SAM2, tmp_path / "w", download=True)
    assert len(hub) == 1


def test_without_a_folder_downloads_go_to_the_cache(cache: Path, hub: list[str]) -> None:
    downloaded = find(SAM2, None, download=True)
    assert downloaded.path.is_relative_to(cache)
    assert downloaded.path.name == COMMIT
    assert find(SAM2, cache / "nowhere").paths == downloaded.paths
    assert len(hub) == 2


def test_a_file_missing_on_the_hub_gives_a_one_line_error(tmp_path: Path, hub: list[str]) -> None:
    with pytest.raises(MissingWeightsError, match=r"cannot download https://huggingface\.co/yzd-v/.*yolox_l\.onnx"):
        find(CATALOGUE["dwpose-detector"], tmp_path, download=True)


def test_no_network_gives_a_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(MissingWeightsError, match="cannot download"):
        find(SAM2, tmp_path, download=True)


def test_weights_on_another_hub_must_be_placed_manually(tmp_path: Path) -> None:
    unianimate = CATALOGUE["unianimate"]
    for call in (lambda: find(unianimate, tmp_path, download=True), lambda: fetch(unianimate, tmp_path)):
        with pytest.raises(MissingWeightsError, match=r"put https://modelscope\.cn/models/iic/unianimate/.* at "):
            call()


def test_a_wrong_digest_is_refused(tmp_path: Path) -> None:
    pinned = dataclasses.replace(
        SAM2, files=(File(name="config.json", sha256="0" * 64), File(name="model.safetensors"))
    )
    fill(tmp_path)
    with pytest.raises(CheckpointError, match=rf"is not the published config\.json.*expected sha256:{'0' * 64}"):
        find(pinned, tmp_path).verify()


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    path = place(SAM2, SAM2.files[1], tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="but its header declares"):
        find(SAM2, tmp_path).verify()


def test_the_path_of_files_in_several_folders_is_the_folder_of_all(tmp_path: Path) -> None:
    files = (File(name="parts/unet/a.ckpt"), File(name="parts/control/b.ckpt"))
    weights = dataclasses.replace(SAM2, files=files)
    for file in files:
        path = place(weights, file, tmp_path)
        path.parent.mkdir(parents=True)
        path.touch()
    assert find(weights, tmp_path).path == tmp_path / weights.repository / "parts"


def test_files_of_plain_web_addresses_lie_under_their_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vgg = CATALOGUE["lpips-vgg16"]
    asked: dict[str, Any] = {}

    def download(url: str, path: Path, **expected: Any) -> None:
        asked.update(expected, url=url)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")

    monkeypatch.setattr("models.weights.web.download", download)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    for folder, root in ((tmp_path, tmp_path), (None, tmp_path / "xdg" / "zoetrope" / "weights")):
        resolved = find(vgg, folder, download=True)
        assert resolved.path == root / "download.pytorch.org" / "models" / "vgg16-397923af.pth"
    assert asked["url"] == "https://download.pytorch.org/models/vgg16-397923af.pth"
    assert asked["sha256"] == vgg.files[0].sha256


def test_a_failed_download_gives_a_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: Any, **__: Any) -> None:
        raise DownloadError("HTTP Error 404: Not Found")

    monkeypatch.setattr("models.weights.web.download", download)
    with pytest.raises(MissingWeightsError, match=r"cannot download https://download\.pytorch\.org/.*: HTTP Error 404"):
        find(CATALOGUE["lpips-vgg16"], tmp_path, download=True)


def test_linked_files_must_be_placed_manually(tmp_path: Path) -> None:
    with pytest.raises(
        MissingWeightsError,
        match=r"put the resnet-50-kinetics\.pth that https://github\.com/kenshohara/3D-ResNets-PyTorch links at .*"
        r"/kenshohara/3D-ResNets-PyTorch/resnet-50-kinetics\.pth$",
    ):
        find(CATALOGUE["resnet3d-50-kinetics"], tmp_path, download=True)


def test_the_publisher_of_a_web_address_is_its_host_or_owner() -> None:
    assert CATALOGUE["lpips-vgg16"].publisher == "download.pytorch.org"
    assert CATALOGUE["fid-inception"].publisher == "mseitzer"
    assert CATALOGUE["resnet3d-50-kinetics"].publisher == "kenshohara"
