"""Sound files as a leg plays them: mono int16 at its rate, decoded once."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import soxr

from media.leg import Pcm

SECONDS_MAX = 600
"""Longer files are not prompts; ten minutes at 48 kHz are 58 MB."""

CACHE_BYTES_MAX = 64 * 1024 * 1024

_Key = tuple[str, int, int, int]


executor = ThreadPoolExecutor(2, thread_name_prefix="wav")
"""Decodes files: asyncio's own threads may all be held by agents, and a prompt must not wait for them."""


class WavError(Exception):
    """A sound file cannot be played: names the file, what is wrong with it, and the mend."""


def check_wav(path: Path) -> None:
    """Look at the file's header only.

    Raises:
        WavError: it is not there, cannot be read, is no sound file, is empty, or too long.
    """
    with _open(path) as sound:
        _check_length(path, sound)


def load_wav(path: Path, rate_hz: int) -> Pcm:
    """Decode a file; WAV of any encoding, also FLAC, Ogg and MP3. Several channels become their mean. Blocks.

    The result is read-only and shared; it is kept until the file changes or `CACHE_BYTES_MAX` is reached. From any
    thread.

    Raises:
        WavError: as `check_wav`.
    """
    key = _key(path, rate_hz)
    with _lock:
        found = _cache.get(key)
        if found is not None:
            _cache.move_to_end(key)
            return found
    pcm = _decode(path, rate_hz)
    pcm.flags.writeable = False
    with _lock:
        _cache[key] = pcm
        while sum(kept.nbytes for kept in _cache.values()) > CACHE_BYTES_MAX and len(_cache) > 1:
            _cache.popitem(last=False)
    return pcm


async def decoded(path: Path, rate_hz: int) -> Pcm:
    """`load_wav` for a loop, which it does not block."""
    return await asyncio.get_running_loop().run_in_executor(executor, load_wav, path, rate_hz)


_cache: OrderedDict[_Key, Pcm] = OrderedDict()
_lock = threading.Lock()


def _key(path: Path, rate_hz: int) -> _Key:
    try:
        status = path.stat()
    except OSError as error:
        raise WavError(f"{path}: {error.strerror}: give the path of a file that the gateway may read") from error
    return str(path), rate_hz, status.st_mtime_ns, status.st_size


def _open(path: Path) -> soundfile.SoundFile:
    _key(path, 0)
    try:
        return soundfile.SoundFile(path)
    except (soundfile.SoundFileError, OSError) as error:
        raise WavError(f"{path}: {error}: give a WAV file, e.g. 16-bit PCM, mono, 8000 or 16000 Hz") from error


def _check_length(path: Path, sound: soundfile.SoundFile) -> None:
    if sound.frames == 0:
        raise WavError(f"{path}: holds no sound (0 frames): record it anew")
    seconds = sound.frames / sound.samplerate
    if seconds > SECONDS_MAX:
        raise WavError(f"{path}: is {seconds:.0f} s long: give at most {SECONDS_MAX} s")


def _decode(path: Path, rate_hz: int) -> Pcm:
    with _open(path) as sound:
        _check_length(path, sound)
        try:
            samples = sound.read(dtype="float32", always_2d=True).mean(axis=1)
        except soundfile.SoundFileError as error:
            raise WavError(f"{path}: breaks off while it is read: {error}: copy it anew") from error
        source_hz = sound.samplerate
    if source_hz != rate_hz:
        samples = soxr.resample(samples, source_hz, rate_hz)
    scaled = np.nan_to_num(samples) * 32_768.0
    pcm: Pcm = np.clip(np.round(scaled), -32_768, 32_767).astype(np.int16)
    return pcm
