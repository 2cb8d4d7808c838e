"""Opening of media files, restricted to common formats and codecs and to the file itself."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.logging

from models.video.errors import MediaError

# Video containers. Playlists (hls, dash, concat) and image sequences refer to other files, so they are excluded.
FORMATS = ("mov", "mp4", "matroska", "webm", "avi", "mpegts", "mpeg", "flv", "ogg", "asf", "mxf", "nut")

# Decoders in wide use. The several hundred others of ffmpeg would only enlarge the attack surface.
VIDEO_DECODERS = (
    *("h264", "hevc", "vvc", "libdav1d", "av1", "vp8", "libvpx-vp8", "vp9", "libvpx-vp9", "theora"),
    *("mpeg4", "mpeg1video", "mpeg2video", "h263", "flv", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "wmv3", "vc1"),
    *("mjpeg", "prores", "dnxhd", "ffv1", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "png"),
)

AUDIO_DECODERS = (
    *(
        "aac",
        "mp3float",
        "mp3",
        "mp2float",
        "mp2",
        "opus",
        "libopus",
        "vorbis",
        "libvorbis",
        "flac",
        "alac",
        "ac3",
        "eac3",
    ),
    *(
        "wmav1",
        "wmav2",
        "amrnb",
        "pcm_s16le",
        "pcm_s16be",
        "pcm_s24le",
        "pcm_s24be",
        "pcm_s32le",
        "pcm_f32le",
        "pcm_u8",
        "pcm_alaw",
        "pcm_mulaw",
        "adpcm_ms",
        "adpcm_ima_wav",
        "wavpack",
        "dca",
    ),
)

# Reported by the H.264 decoder after every seek to a keyframe of an open group of pictures.
_HARMLESS = "mmco: unref short failure"


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaLimits:
    """Limits checked before decoding or allocation."""

    max_bytes: int = 16 * 2**30
    """File size."""
    max_pixels: int = 7680 * 4320
    """Width x height of a coded frame."""
    max_frames: int = 500_000
    """Number of frames in the file."""
    max_duration_seconds: float = 4 * 3600.0
    """From the first timestamp to the end of the last frame."""
    max_clip_bytes: int = 2**30
    """Size of the decoded frames of one clip: frames x height x width x 3."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoFile:
    """Open video file: PyAV's container and its best video stream, decoded on one thread."""

    path: str
    container: Any
    stream: Any
    log: list[tuple[int, str, str]]
    """ffmpeg's error log since the file was opened: level, component, message."""

    def decode(self, packet: Any | None) -> list[Any]:
        """Decode a packet into the frames that become available; None flushes the decoder.

        Raises:
            MediaError: OutOfMemory, or TooLarge if the picture size grows mid-stream; the H.264 decoder reports both as
                invalid data.
            av.error.FFmpegError: the packet is damaged.
        """
        try:
            frames: list[Any] = self.stream.codec_context.decode(packet)
        except av.error.InvalidDataError as error:
            log_text = "".join(text for _, _, text in self.log)
            if "exceeds specified max pixel count" in log_text:
                raise MediaError(
                    "TooLarge", f"{self.path}: pictures grow beyond the number of pixels allowed"
                ) from error
            if "get_buffer() failed" in log_text:
                raise MediaError("OutOfMemory", f"no memory left to decode {self.path}") from error
            raise
        return frames

    def container_errors(self) -> list[str]:
        """Demuxer errors in the log. The demuxer tolerates damage such as truncated clusters or invalid sizes."""
        name = self.container.format.name
        return [text.strip() for _, part, text in self.log if part == name and "not on whitelist" not in text]

    def decoder_errors(self) -> list[str]:
        """Video decoder errors in the log. Some damage, such as an FFV1 checksum mismatch, is reported only here."""
        name = self.stream.codec_context.name
        return [text.strip() for _, part, text in self.log if part == name and not text.startswith(_HARMLESS)]


@contextlib.contextmanager
def open_video(path: str, limits: MediaLimits) -> Iterator[VideoFile]:
    """Open `path` for decoding on one thread: with frame threads, ffmpeg does not report a truncated file.

    Raises:
        MediaError: ffmpeg cannot read the file, here or inside the `with` block.
    """
    options = {"codec_whitelist": ",".join(VIDEO_DECODERS), "max_pixels": str(limits.max_pixels)}
    with open_container(path, limits, options) as (container, log):
        yield VideoFile(path=path, container=container, stream=_video_stream(container, path, limits), log=log)


@contextlib.contextmanager
def open_container(
    path: str, limits: MediaLimits, options: Mapping[str, str]
) -> Iterator[tuple[Any, list[tuple[int, str, str]]]]:
    """Open `path`, but no other file that it refers to. Yields PyAV's container and ffmpeg's error log.

    Raises:
        MediaError: ffmpeg cannot read the file, here or inside the `with` block.
    """
    check_regular_file(path, limits)
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS), **options}
    with _error_log() as log:
        try:
            # "file:" prevents ffmpeg from parsing a path such as "concat:a.mp4|b.mp4" as a protocol.
            container = av.open("file:" + os.path.abspath(path), options=options, metadata_errors="replace")  # noqa: PTH100
        except MemoryError as error:
            raise MediaError("OutOfMemory", f"no memory left to open {path}") from error
        except (av.error.FFmpegError, UnicodeDecodeError) as error:
            detail = describe(error, log)
            raise MediaError("NotAVideo", f"{path} opens as none of {', '.join(FORMATS)}: {detail}") from error
        try:
            with container:
                yield container, log
        except MemoryError as error:
            raise MediaError("OutOfMemory", f"no memory left to decode {path}") from error
        except (av.error.FFmpegError, UnicodeDecodeError) as error:
            raise MediaError("DecodeError", f"{path}: {describe(error, log)}") from error


@contextlib.contextmanager
def _error_log() -> Iterator[list[tuple[int, str, str]]]:
    """Capture ffmpeg's error messages of this thread instead of printing them."""
    level, skip_repeated = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # otherwise an error equal to the last one of the previous file is dropped
    try:
        with av.logging.Capture() as log:
            yield log
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skip_repeated)


def describe(error: Exception, log: list[tuple[int, str, str]]) -> str:
    """Error message with ffmpeg's last log line: the exception alone is often only 'Invalid data'."""
    text = getattr(error, "strerror", None) or str(error)
    lines = [message.strip() for _, _, message in log if "not on whitelist" not in message]
    return f"{text} ({lines[-1]})" if lines else text


def check_regular_file(path: str, limits: MediaLimits) -> None:
    """Raise MediaError unless `path` is a readable regular file of a size between 1 byte and the limit."""
    try:
        status = os.stat(path)  # noqa: PTH116 (os.stat raises ValueError for a NUL in `path`, pathlib does not)
        if stat.S_ISREG(status.st_mode):
            with Path(path).open("rb"):
                pass
    except FileNotFoundError as error:
        raise MediaError("NotFound", f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise MediaError("UnreadableSource", f"{path[:200]} cannot be read: {error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaError("UnreadableSource", f"{path} is not a regular file")
    if status.st_size == 0:
        raise MediaError("NotAVideo", f"{path} is empty (0 bytes)")
    if status.st_size > limits.max_bytes:
        raise MediaError("TooLarge", f"{path} has {status.st_size} bytes, more than the {limits.max_bytes} allowed")


def _video_stream(container: Any, path: str, limits: MediaLimits) -> Any:
    stream = container.streams.best("video")
    if stream is None or av.stream.Disposition.attached_pic in stream.disposition:
        kinds = ", ".join(sorted(other.type for other in container.streams)) or "none"
        raise MediaError("NoVideoStream", f"{path} has no video stream (streams: {kinds})")
    codec = stream.codec_context
    if codec is None or codec.name not in VIDEO_DECODERS:
        raise MediaError("UnsupportedCodec", f"{path} is coded as {codec.name if codec else 'an unknown codec'}")
    if codec.width < 1 or codec.height < 1:
        raise MediaError("DecodeError", f"{path} states no picture size ({codec.width} x {codec.height})")
    if codec.width * codec.height > limits.max_pixels:
        size = f"{codec.width} x {codec.height}"
        raise MediaError("TooLarge", f"{path} is {size}, more than the {limits.max_pixels} pixels allowed")
    stream.thread_type = "NONE"
    codec.thread_count = 1
    codec.options = {"max_pixels": str(limits.max_pixels)}
    return stream
