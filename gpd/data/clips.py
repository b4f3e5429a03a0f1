"""Clips on disk: reading by stated rules and writing as mp4. The only room that uses PyAV.

The rules of reading: frames at a fixed rate, each the one nearest in time; as many as requested, from the middle
of the clip; scaled until they cover the requested size, then cropped around the centre.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gpd.artifacts import replace_file

CONTAINERS = {".mp4": "mp4", ".mkv": "matroska", ".webm": "matroska"}  # suffix -> format, as FFmpeg calls it
BT709, LIMITED_RANGE, FULL_RANGE = 1, 1, 2  # FFmpeg's numbers
MAX_PIXELS = 8192 * 4320  # of a frame: a few bytes of H.264 may stand for more memory than there is
MAX_WHOLE_BYTES = 2**32  # of a clip that is held whole; one of Wan's has 97 million
BT601, BT601_TAG = 5, 6  # of the scaler's table of matrices, and of a stream's tag (SMPTE 170M); BT.709 is 1 in both


class BrokenClipError(Exception):
    """Why a clip cannot be used, in a few words without the file's name."""


def load_clip(path: Path, *, frames_per_second: float, num_frames: int, height: int, width: int) -> np.ndarray:
    """Reads a clip by the rules of this module.

    Untagged colours are taken as BT.601, as FFmpeg does; a phone's rotation and oblong pixels are undone.

    Returns:
        Frames [F, H, W, 3], uint8, RGB.

    Raises:
        BrokenClipError: it cannot be decoded, has no video or is too short.
    """
    times = np.array([_time(frame) for frame, _ in _decode(path)])
    chosen = choose_frames(times, frames_per_second=frames_per_second, num_frames=num_frames)
    wanted = set(chosen)
    kept: dict[int, np.ndarray] = {}
    for index, (frame, pixel_aspect) in enumerate(_decode(path)):
        if index in wanted:
            kept[index] = fit(frame, pixel_aspect, height, width)
        if index == chosen[-1]:
            break
    return np.stack([kept[index] for index in chosen])


@dataclass(frozen=True)
class WholeClip:
    """A clip as it lies there: frames [F, H, W, 3] uint8 RGB, and the rate at which they follow each other."""

    frames: np.ndarray
    frames_per_second: float


def load_whole_clip(path: Path, *, as_opencv: bool = False) -> WholeClip:
    """All frames of a clip at their own rate and size, turned by a phone's rotation.

    Args:
        as_opencv: take the colours as BT.601 whatever their tag, as cv2.VideoCapture does.

    Raises:
        BrokenClipError: it cannot be decoded, has no video, fewer than two frames or more than can be held.
    """
    frames, times = [], []
    for frame, _ in _decode(path):
        height, width = (frame.width, frame.height) if round(frame.rotation / 90) % 2 else (frame.height, frame.width)
        frames.append(fit(frame, 1.0, height, width, BT601 if as_opencv else None))
        times.append(_time(frame))
        if len(frames) * frames[-1].nbytes > MAX_WHOLE_BYTES:
            raise BrokenClipError(f"more than {MAX_WHOLE_BYTES >> 30} GiB of frames")
    if len(frames) < 2:
        raise BrokenClipError(f"holds {len(frames)} frames, needs 2")
    if len({frame.shape for frame in frames}) > 1:
        raise BrokenClipError("its frames change their size")
    return WholeClip(np.stack(frames), round(float(1 / np.median(np.diff(times))), 3))


def choose_frames(times: np.ndarray, *, frames_per_second: float, num_frames: int) -> list[int]:
    """Which frames of a clip are taken.

    Args:
        times: seconds at which the clip's frames begin, rising, [N].

    Returns:
        An index into `times` for each of `num_frames` ticks around the clip's middle: the frame nearest in time,
        of two equally near the earlier.

    Raises:
        BrokenClipError: the clip is over before the last tick.
    """
    if not len(times):
        raise BrokenClipError("holds no frame")
    if np.any(np.diff(times) <= 0):
        raise BrokenClipError("time stamps do not rise")
    last_seconds = np.median(np.diff(times)) if len(times) > 1 else 1 / frames_per_second
    num_ticks = int((times[-1] + last_seconds - times[0]) * frames_per_second + 1e-4)  # 16.9999 is 17
    if num_ticks < num_frames:
        raise BrokenClipError(f"too short: has {num_ticks} frames at {frames_per_second:g} fps, needs {num_frames}")
    ticks = (num_ticks - num_frames) // 2 + np.arange(num_frames)
    distance = np.abs(times[None] - times[0] - ticks[:, None] / frames_per_second)
    return [int(index) for index in distance.round(6).argmin(1)]


def fit(frame: Any, pixel_aspect: float, height: int, width: int, matrix: int | None = None) -> np.ndarray:
    """A decoded frame, scaled to cover height x width and cropped around its centre: [H, W, 3] uint8.

    Args:
        pixel_aspect: width over height of one of the frame's pixels.
        matrix: of its colours, instead of the one in its tag.
    """
    turns = round(frame.rotation / 90)
    box = (width, height) if turns % 2 else (height, width)
    scaled_height, scaled_width = cover(frame.height, frame.width * pixel_aspect, *box)
    pixels = frame.to_ndarray(
        format="rgb24",
        height=scaled_height,
        width=scaled_width,
        interpolation="BICUBIC",
        src_colorspace=matrix,
        dst_color_range=FULL_RANGE,
        threads=1,  # starting threads for each frame takes fifty times as long as scaling a small one
    )
    top, left = (scaled_height - box[0]) // 2, (scaled_width - box[1]) // 2
    return np.ascontiguousarray(np.rot90(pixels[top : top + box[0], left : left + box[1]], turns))


def cover(height: float, width: float, box_height: int, box_width: int) -> tuple[int, int]:
    """The smallest size (height, width) of the given proportions that covers the box."""
    scale = max(box_height / height, box_width / width)
    return max(box_height, round(height * scale)), max(box_width, round(width * scale))


def write_mp4(
    path: Path, frames: np.ndarray, frames_per_second: float, crf: int = 12, *, is_bt601: bool = False
) -> None:
    """Writes H.264 that browsers play (yuv420p, index in front); whole or not at all.

    Args:
        frames: [F, H, W, 3], uint8, RGB, H and W even.
        crf: x264's quality, smaller is better; 12 looks the same as the original.
        is_bt601: colours by BT.601 instead of BT.709, for readers that support no other (OpenCV).
    """
    import av

    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with av.open(partial, "w", format="mp4", options={"movflags": "+faststart"}) as container:
            # One thread: the bytes do not depend on the machine's number of cores. No macroblock tree: with it x264's
            # assembly gives other bytes once in some hundred calls, with the same input on the same machine.
            options = {"crf": str(crf), "threads": "1", "x264-params": "mbtree=0"}
            stream = container.add_stream("libx264", Fraction(frames_per_second).limit_denominator(1001), options)
            stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
            _tag_colours(stream.codec_context, BT601_TAG if is_bt601 else BT709)
            for frame in frames:
                container.mux(stream.encode(_to_video_frame(frame, BT601 if is_bt601 else BT709)))
            container.mux(stream.encode())
        replace_file(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _decode(path: Path) -> Iterator[tuple[Any, float]]:
    """The frames of the clip's first video stream in the order of showing, each with its pixels' aspect."""
    import av

    try:
        # the format is named: FFmpeg's guessing would take a text file for a playlist and open what it points to
        # a title need not be UTF-8 for the frames to be good
        with av.open(path, format=CONTAINERS[path.suffix.lower()], metadata_errors="replace") as container:
            if not container.streams.video:
                raise BrokenClipError("holds no video")
            stream = container.streams.video[0]
            if stream.codec_context is None:  # and no width either
                raise BrokenClipError("its codec is none that FFmpeg has")
            _check_size(stream.width, stream.height)
            for frame in container.decode(stream):
                _check_size(frame.width, frame.height)  # which may change on the way
                if frame.is_corrupt:
                    raise BrokenClipError("a frame is damaged")
                yield frame, float(stream.sample_aspect_ratio or 1)
    except av.FFmpegError as error:
        raise BrokenClipError(f"cannot be decoded: {error.strerror}") from None


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BrokenClipError(f"frames of {width} x {height}, at most {MAX_PIXELS:,} pixels")


def _time(frame: Any) -> float:
    if frame.time is None:
        raise BrokenClipError("a frame has no time stamp")
    return float(frame.time)


def _tag_colours(context: Any, matrix: int) -> None:
    context.colorspace, context.color_primaries, context.color_trc = matrix, BT709, BT709
    context.color_range = LIMITED_RANGE


def _to_video_frame(pixels: np.ndarray, matrix: int) -> Any:
    import av

    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    return frame.reformat(
        format="yuv420p",
        interpolation="BICUBIC",
        src_color_range=FULL_RANGE,
        dst_color_range=LIMITED_RANGE,
        dst_colorspace=matrix,
        threads=1,
    )
