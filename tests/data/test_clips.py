from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpd.data import clips
from gpd.data.clips import BrokenClipError, choose_windows, cover, load_clip, load_whole_clip, load_windows, write_mp4


def choose_frames(times: np.ndarray, **settings: float) -> list[int]:
    (frames,) = choose_windows(times, **settings)  # type: ignore[arg-type]
    return frames


def grey_clip(levels: list[int], height: int = 32, width: int = 48) -> np.ndarray:
    """A clip whose frames are grey all over, so that each can be told by its level."""
    return np.stack([np.full((height, width, 3), level, np.uint8) for level in levels])


def levels_of(frames: np.ndarray) -> list[int]:
    return [int(np.median(frame)) for frame in frames]


def write_with(path: Path, container: str, frames: np.ndarray, times: list[float], aspect: str | None = None) -> None:
    """A clip with time stamps of its own, in milliseconds."""
    with av.open(path, "w", format=container) as output:
        stream = output.add_stream("libx264", 25, {"crf": "1", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if aspect:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        for pixels, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


def test_choose_frames_takes_the_middle_at_the_clips_own_rate() -> None:
    times = np.arange(20) / 10
    assert choose_frames(times, frames_per_second=10, num_frames=5) == [7, 8, 9, 10, 11]
    assert choose_frames(times, frames_per_second=10, num_frames=20) == list(range(20))


def test_choose_frames_at_half_and_double_rate() -> None:
    times = np.arange(20) / 10
    assert choose_frames(times, frames_per_second=5, num_frames=5) == [4, 6, 8, 10, 12]
    # between two frames the earlier one
    assert choose_frames(times, frames_per_second=20, num_frames=40) == [i // 2 for i in range(40)]


def test_choose_frames_ignores_where_the_time_stamps_start() -> None:
    times = np.arange(30) / 30
    shifted = choose_frames(times + 3.7, frames_per_second=16, num_frames=9)
    assert shifted == choose_frames(times, frames_per_second=16, num_frames=9)


def test_choose_frames_of_a_clip_exactly_long_enough() -> None:
    assert choose_frames(np.arange(17) / 16, frames_per_second=16, num_frames=17) == list(range(17))
    with pytest.raises(BrokenClipError, match="too short: has 16 frames at 16 fps, needs 17"):
        choose_frames(np.arange(16) / 16, frames_per_second=16, num_frames=17)


@given(
    steps=st.lists(st.floats(0.005, 0.2), min_size=2, max_size=60),
    rate=st.floats(1.0, 60.0),
    num_frames=st.integers(1, 20),
)
def test_chosen_frames_are_nearest_in_time_and_in_order(steps: list[float], rate: float, num_frames: int) -> None:
    times = np.cumsum(steps)
    try:
        chosen = choose_frames(times, frames_per_second=rate, num_frames=num_frames)
    except BrokenClipError:
        assert (times[-1] + np.median(steps[1:]) - times[0]) * rate < num_frames + 1
        return
    assert len(chosen) == num_frames
    assert chosen == sorted(chosen)
    # ticks are evenly spaced, so two chosen frames lie as far apart as their ticks, up to half a gap at either end
    gap = times[chosen[-1]] - times[chosen[0]]
    assert abs(gap - (num_frames - 1) / rate) <= max(steps) + 1e-3


@given(num=st.integers(1, 200), num_frames=st.integers(1, 30), most=st.integers(1, 9))
def test_windows_are_the_middles_of_equal_parts(num: int, num_frames: int, most: int) -> None:
    times = np.arange(num) / 16
    if num < num_frames:
        return
    windows = choose_windows(times, frames_per_second=16, num_frames=num_frames, most=most)
    assert len(windows) == min(most, num // num_frames)  # as many as fit
    taken = [index for window in windows for index in window]
    assert len(set(taken)) == len(taken)  # none overlap
    assert taken == sorted(taken)
    assert all(np.ptp(window) == num_frames - 1 for window in windows)  # nothing is left out inside
    for part, window in enumerate(windows):
        middle = (part + 0.5) * num / len(windows)
        assert abs(window[0] + num_frames / 2 - middle) < 1.5


def test_windows_by_hand() -> None:
    times = np.arange(250) / 30
    assert len(choose_windows(times, frames_per_second=16, num_frames=17, most=100)) == 7  # of 133 at 16 fps
    ten = choose_windows(np.arange(10) / 16, frames_per_second=16, num_frames=3, most=2)
    assert ten == [[1, 2, 3], [6, 7, 8]]
    slow = choose_windows(np.arange(2) / 4, frames_per_second=16, num_frames=4, most=2)
    assert slow == [[0, 0, 0, 1], [1, 1, 1, 1]]  # a frame may end one and begin the next


def test_windows_read_in_one_go_are_those_of_the_clip(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", grey_clip(list(range(20, 220, 10))), 8)
    settings = {"frames_per_second": 16, "num_frames": 9, "height": 32, "width": 48}
    read = list(load_windows(tmp_path / "a.mp4", **settings, most=3))  # type: ignore[arg-type]
    chosen = choose_windows(np.arange(20) / 8, frames_per_second=16, num_frames=9, most=3)
    assert [levels_of(frames) for frames in read] == [
        pytest.approx([20 + 10 * index for index in window], abs=4) for window in chosen
    ]
    np.testing.assert_array_equal(
        next(load_windows(tmp_path / "a.mp4", **settings, most=1)), load_clip(tmp_path / "a.mp4", **settings)
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("times", [[0.0, 0.1, 0.1], [0.2, 0.1]])
def test_choose_frames_refuses_time_stamps_that_stand_still_or_fall(times: list[float]) -> None:
    with pytest.raises(BrokenClipError, match="do not rise"):
        choose_frames(np.array(times), frames_per_second=10, num_frames=1)


def test_choose_frames_refuses_an_empty_clip() -> None:
    with pytest.raises(BrokenClipError, match="no frame"):
        choose_frames(np.array([]), frames_per_second=10, num_frames=1)


@given(*[st.integers(1, 2000)] * 4)
def test_cover_is_the_smallest_size_of_those_proportions(height: int, width: int, box_h: int, box_w: int) -> None:
    scaled = cover(height, width, box_h, box_w)
    assert scaled[0] >= box_h
    assert scaled[1] >= box_w
    assert scaled[0] == box_h or scaled[1] == box_w


def test_cover_by_hand() -> None:
    assert cover(272, 640, 64, 64) == (64, 151)
    assert cover(640, 272, 64, 64) == (151, 64)


def test_a_written_clip_reads_back_with_its_frames_in_order(tmp_path: Path) -> None:
    levels = [20 + 10 * i for i in range(17)]
    write_mp4(tmp_path / "a.mp4", grey_clip(levels), 16)
    frames = load_clip(tmp_path / "a.mp4", frames_per_second=16, num_frames=17, height=32, width=48)
    assert frames.shape == (17, 32, 48, 3)
    assert frames.dtype == np.uint8
    assert np.abs(np.array(levels_of(frames)) - levels).max() <= 1


def test_colours_survive_writing_and_reading(tmp_path: Path) -> None:
    for colour in [(200, 30, 40), (20, 180, 60), (30, 60, 220), (240, 230, 40)]:
        frames = np.full((5, 32, 32, 3), colour, np.uint8)
        write_mp4(tmp_path / "a.mp4", frames, 16)
        read = load_clip(tmp_path / "a.mp4", frames_per_second=16, num_frames=5, height=32, width=32)
        assert np.abs(read.astype(int) - frames).max() <= 3


def test_a_written_clip_is_what_browsers_play(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", grey_clip([0, 100, 200]), 16)
    with av.open(tmp_path / "a.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 16
        assert stream.frames == 3
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it is all there


def test_writing_twice_gives_the_same_bytes_and_leaves_nothing_else(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)
    write_mp4(tmp_path / "a.mp4", noise, 16)
    write_mp4(tmp_path / "b.mp4", noise, 16)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_a_failed_write_leaves_the_old_clip(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", grey_clip([0, 100, 200]), 16)
    before = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(av.FFmpegError):
        write_mp4(tmp_path / "a.mp4", grey_clip([0, 100], height=31), 16)  # odd: not possible in yuv420p
    assert (tmp_path / "a.mp4").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_metadata_that_is_not_utf8_does_no_harm(tmp_path: Path) -> None:
    """As cameras and old editors write titles."""
    path, levels = tmp_path / "a.mp4", [0, 100, 200]
    with av.open(path, "w", metadata_encoding="latin-1") as container:
        container.metadata["title"] = "TITLE"
        stream = container.add_stream("libx264", 16, {"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for frame in grey_clip(levels):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    assert path.read_bytes().count(b"TITLE") == 1
    path.write_bytes(path.read_bytes().replace(b"TITLE", b"T\xefT\xff\xfe"))
    with pytest.raises(UnicodeDecodeError), av.open(path):
        pass
    frames = load_clip(path, frames_per_second=16, num_frames=3, height=32, width=48)
    assert levels_of(frames) == pytest.approx(levels, abs=4)


def test_a_wide_clip_is_cropped_around_its_centre(tmp_path: Path) -> None:
    frames = grey_clip([40] * 5, height=32, width=96)
    frames[:, :, 32:64] = 200
    write_mp4(tmp_path / "a.mp4", frames, 10)
    read = load_clip(tmp_path / "a.mp4", frames_per_second=10, num_frames=5, height=32, width=32)
    assert np.median(read[:, :, 4:28]) == pytest.approx(200, abs=2)
    assert read[:, :, 4:28].min() > 180


def test_a_rate_that_varies_is_resampled_by_time(tmp_path: Path) -> None:
    # ten frames a second at first, then a frame a second: the late ones are shown ten times as long
    times = [0.1 * i for i in range(10)] + [1.0 + i for i in range(3)]
    levels = [20] * 10 + [80, 140, 200]
    write_with(tmp_path / "a.mkv", "matroska", grey_clip(levels), times)
    read = load_clip(tmp_path / "a.mkv", frames_per_second=2, num_frames=6, height=32, width=48)
    # ticks at 0, .5, 1, .., 3 s; of 1.0 and 2.0 s the earlier is as near to 1.5 s
    assert levels_of(read) == pytest.approx([20, 20, 80, 80, 140, 140], abs=2)


def test_oblong_pixels_are_made_square(tmp_path: Path) -> None:
    frames = grey_clip([40] * 3, height=32, width=32)
    frames[:, :, 8:24] = 200  # shown twice as wide: the middle 32 of 64
    write_with(tmp_path / "a.mp4", "mp4", frames, [0.0, 0.1, 0.2], aspect="2/1")
    read = load_clip(tmp_path / "a.mp4", frames_per_second=10, num_frames=3, height=32, width=32)
    assert read[:, :, 4:28].min() > 180


def test_a_clip_filmed_sideways_is_turned_upright(tmp_path: Path) -> None:
    frames = grey_clip([40] * 3, height=32, width=64)
    frames[:, :, :32] = 200  # left half is light
    write_mp4(tmp_path / "a.mp4", frames, 10)
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    matrix = data.index(b"tkhd") + 44
    clockwise = [0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30]
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in clockwise)
    (tmp_path / "a.mp4").write_bytes(data)
    read = load_clip(tmp_path / "a.mp4", frames_per_second=10, num_frames=3, height=64, width=32)
    assert read.shape == (3, 64, 32, 3)
    assert read[:, :28].min() > 180  # a clockwise quarter turn brings the left side up
    assert read[:, 36:].max() < 60


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.MOV", "libx264", 16),
        ("a.m4v", "libx264", 16),
        ("a.3gp", "mpeg4", 16),
        ("a.MKV", "libx264", 16),
        ("a.webm", "libvpx-vp9", 16),
        ("a.avi", "libx264", 16),
        ("b.AVI", "mjpeg", 16),
        ("a.mpg", "mpeg2video", 25),
        ("a.MTS", "libx264", 16),
        ("a.wmv", "wmv2", 16),
        ("a.flv", "libx264", 16),
        ("a.ogv", "libvpx", 16),
        ("a.gif", "gif", 10),
    ],
)
def test_every_container_is_read_in_capitals_too(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    suffix = Path(name).suffix.lower()
    container = {".webm": "webm", ".mpg": "vob"}.get(suffix, clips.CONTAINERS[suffix])
    levels = [36, 108, 144, 180, 252]  # a gif has few greys
    with av.open(tmp_path / name, "w", format=container) as output:
        stream = output.add_stream(codec, rate)
        stream.height, stream.width = 96, 128
        stream.pix_fmt = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        stream.bit_rate = 2_000_000
        for pixels in grey_clip(levels, 96, 128):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=stream.pix_fmt)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    read = load_clip(tmp_path / name, frames_per_second=rate, num_frames=5, height=96, width=128)
    assert levels_of(read) == pytest.approx(levels, abs=8)
    assert load_whole_clip(tmp_path / name).frames.shape == (5, 96, 128, 3)


def test_broken_files_say_why(tmp_path: Path) -> None:
    write_mp4(tmp_path / "whole.mp4", grey_clip(list(range(0, 170, 10))), 16)
    data = (tmp_path / "whole.mp4").read_bytes()
    texts = {"words.mp4": b"not a clip at all\n" * 50, "empty.mp4": b"", "cut.mp4": data[:-200]}
    texts["playlist.mp4"] = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nwhole.mp4\n#EXT-X-ENDLIST\n"
    for name, content in texts.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BrokenClipError, match="cannot be decoded"):
            load_clip(tmp_path / name, frames_per_second=16, num_frames=9, height=32, width=32)


def test_a_format_without_a_decoder_is_broken(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mov", grey_clip([50, 100]), 16)
    data = (tmp_path / "a.mov").read_bytes()
    (tmp_path / "a.mov").write_bytes(data.replace(b"avc1", b"zzzz"))
    with pytest.raises(BrokenClipError, match="format that FFmpeg does not know"):
        load_whole_clip(tmp_path / "a.mov")


def test_a_clip_without_pictures_is_broken(tmp_path: Path) -> None:
    with av.open(tmp_path / "sound.mp4", "w", format="mp4") as output:
        stream = output.add_stream("aac", 16000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 16000
        output.mux(stream.encode(samples))
        output.mux(stream.encode())
    with pytest.raises(BrokenClipError, match="holds no video"):
        load_clip(tmp_path / "sound.mp4", frames_per_second=16, num_frames=1, height=32, width=32)


def test_a_clip_of_an_unknown_codec_is_broken(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", grey_clip([0, 100]), 16)
    data = (tmp_path / "a.mp4").read_bytes()
    at = data.rindex(b"avc1")
    (tmp_path / "a.mp4").write_bytes(data[:at] + b"xxxx" + data[at + 4 :])
    with pytest.raises(BrokenClipError, match="a format that FFmpeg does not know"):
        load_clip(tmp_path / "a.mp4", frames_per_second=16, num_frames=1, height=32, width=32)


def test_a_clip_that_is_larger_than_memory_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few kilobytes may stand for terabytes of black; here the bounds are lowered instead."""
    path = tmp_path / "clip.mp4"
    write_mp4(path, np.zeros((5, 64, 64, 3), np.uint8), 16.0)
    monkeypatch.setattr(clips, "MAX_WHOLE_BYTES", 4 * 64 * 64 * 3)
    with pytest.raises(BrokenClipError, match="GiB of frames"):
        load_whole_clip(path)
    monkeypatch.setattr(clips, "MAX_PIXELS", 64 * 64 - 1)
    with pytest.raises(BrokenClipError, match="frames of 64 x 64, at most 4,095 pixels"):
        load_clip(path, frames_per_second=16.0, num_frames=5, height=16, width=16)
