"""Sound files of every kind become mono int16 at the leg's rate; what cannot be played is named with the fix."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from media import wav
from media.leg import Pcm
from media.wav import WavError, check_wav, decoded, load_wav


def sine(hz: int, rate_hz: int, duration_ms: int = 500) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(rate_hz * duration_ms // 1_000) / rate_hz)


def loudest_hz(pcm: Pcm, rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.fft.rfftfreq(len(pcm), 1 / rate_hz)[spectrum.argmax()])


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_U8", "PCM_24", "FLOAT", "ULAW", "ALAW"])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_every_encoding_at_every_rate(tmp_path: Path, subtype: str, rate_hz: int) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, sine(440, 22_050), 22_050, subtype=subtype)
    check_wav(path)
    pcm = load_wav(path, rate_hz)
    assert pcm.dtype == np.int16
    assert pcm.ndim == 1
    assert abs(len(pcm) - rate_hz // 2) <= 1
    assert loudest_hz(pcm, rate_hz) == pytest.approx(440, abs=3)
    assert int(pcm[1_000:-1_000].max()) == pytest.approx(16_384, rel=0.06)


def test_pcm_at_the_legs_rate_comes_out_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "exact.wav"
    samples = np.array([0, 1, -1, 32_767, -32_768, 12_345] * 100, np.int16)
    soundfile.write(path, samples, 8_000, subtype="PCM_16")
    assert np.array_equal(load_wav(path, 8_000), samples)


def test_stereo_becomes_its_mean(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.column_stack((np.full(800, 1_000), np.full(800, 3_000))).astype(np.int16), 8_000)
    assert set(load_wav(path, 8_000).tolist()) == {2_000}


def test_decoded_once_until_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "prompt.wav"
    soundfile.write(path, np.full(800, 1_000, np.int16), 8_000)
    first = load_wav(path, 8_000)
    assert load_wav(path, 8_000) is first
    assert not first.flags.writeable
    soundfile.write(path, np.full(800, 2_000, np.int16), 8_000)
    os.utime(path, ns=(1, 1))
    assert set(load_wav(path, 8_000).tolist()) == {2_000}


def test_the_cache_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "CACHE_BYTES_MAX", 4_000)
    paths = [tmp_path / f"{number}.wav" for number in range(4)]
    for path in paths:
        soundfile.write(path, np.full(800, 1_000, np.int16), 8_000)
    loaded = [load_wav(path, 8_000) for path in paths]
    assert load_wav(paths[-1], 8_000) is loaded[-1]
    assert load_wav(paths[0], 8_000) is not loaded[0]


@pytest.mark.parametrize("look", [check_wav, lambda path: load_wav(path, 8_000)], ids=["check", "load"])
def test_what_cannot_be_played_is_named(tmp_path: Path, look: object) -> None:
    assert callable(look)
    text, empty, long = tmp_path / "text.wav", tmp_path / "empty.wav", tmp_path / "long.wav"
    text.write_text("hello")
    soundfile.write(empty, np.zeros(0, np.int16), 8_000)
    soundfile.write(long, np.zeros(8_000 * 601, np.int16), 8_000)
    for path, message in (
        (tmp_path / "none.wav", "none.wav: No such file or directory: give the path"),
        (tmp_path, "it is a directory, not a file: give a WAV file"),
        (text, "text.wav: .*: give a WAV file"),
        (empty, "empty.wav: contains no sound"),
        (long, "long.wav: is 601 s long: give at most 600 s"),
    ):
        with pytest.raises(WavError, match=message):
            look(path)


@pytest.mark.parametrize("look", [check_wav, lambda path: load_wav(path, 8_000)], ids=["check", "load"])
def test_what_has_no_end_is_not_read(tmp_path: Path, look: object) -> None:
    assert callable(look)
    pipe, link = tmp_path / "pipe.wav", tmp_path / "link.wav"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.wav"))
        for path, message in (
            (pipe, "pipe.wav: it is a pipe, not a file: give a WAV file"),
            (link, "link.wav: it is a device, not a file: give a WAV file"),
            (tmp_path / "socket.wav", "socket.wav: .*: give the path of a file that"),
        ):
            with pytest.raises(WavError, match=message):
                look(path)


def test_a_prompt_that_became_a_pipe_holds_up_no_other(tmp_path: Path) -> None:
    async def main() -> None:
        pipe, prompt = tmp_path / "pipe.wav", tmp_path / "prompt.wav"
        os.mkfifo(pipe)
        soundfile.write(prompt, np.full(80, 0.2, np.float32), 8_000)
        stuck = [asyncio.ensure_future(decoded(pipe, 8_000)) for _ in range(4)]
        assert len(await asyncio.wait_for(decoded(prompt, 8_000), 20)) == 80
        assert all(isinstance(one, WavError) for one in await asyncio.gather(*stuck, return_exceptions=True))

    asyncio.run(main())


def test_a_header_cannot_ask_for_more_memory_than_there_is(tmp_path: Path) -> None:
    many, fast = tmp_path / "many.wav", tmp_path / "fast.wav"
    soundfile.write(many, np.zeros((800, 64), np.int16), 8_000)
    soundfile.write(fast, np.zeros(800, np.int16), 400_000)
    with pytest.raises(WavError, match=r"many\.wav: has 64 channels: give one, or 8 at most"):
        load_wav(many, 8_000)
    with pytest.raises(WavError, match=r"fast\.wav: has 400000 samples per second: give at most 192000"):
        load_wav(fast, 8_000)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
def test_a_sound_of_several_blocks_is_as_that_of_one(
    tmp_path: Path, rate_hz: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole.wav", tmp_path / "parts.wav"
    samples = (np.column_stack((sine(440, 16_000), sine(441, 16_000))) * 30_000).astype(np.int16)
    soundfile.write(whole, samples, 16_000)
    soundfile.write(parts, samples, 16_000)
    expected = load_wav(whole, rate_hz)
    monkeypatch.setattr(wav, "BLOCK_FRAMES", 777)
    assert np.array_equal(load_wav(parts, rate_hz), expected)


def test_users_who_hold_all_threads_of_the_loop_delay_no_prompt(tmp_path: Path) -> None:
    async def main() -> None:
        released = threading.Event()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        held = loop.run_in_executor(None, released.wait)
        path = tmp_path / "prompt.wav"
        soundfile.write(path, np.full(80, 0.2, np.float32), 8_000)
        try:
            assert len(await asyncio.wait_for(decoded(path, 8_000), 5)) == 80
        finally:
            released.set()
        await held

    asyncio.run(main())
