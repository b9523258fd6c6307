"""Decodes sound files for a leg: mono int16 at the leg's rate, with a cache."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import soxr

from media.files import NotRegularError, open_regular
from media.leg import Pcm

SECONDS_MAX = 600
"""Longer files are not prompts; ten minutes at 48 kHz are 58 MB."""

CHANNELS_MAX, RATE_MAX_HZ = 8, 192_000
"""The limits of usual recordings; a header may claim 1,024 channels, and each costs memory while they are mixed."""

BLOCK_FRAMES = 65_536

CACHE_BYTES_MAX = 64 * 1024 * 1024

_Key = tuple[str, int, int, int]


executor = ThreadPoolExecutor(2, thread_name_prefix="wav")
"""Decodes files: agents may occupy all threads of asyncio, and a prompt must not wait for these."""


class WavError(Exception):
    """A sound file cannot be played: names the file, what is wrong with it, and the fix."""


def check_wav(path: Path) -> None:
    """Check a file by its header only.

    Raises:
        WavError: it does not exist, cannot be read, is not a regular file or not a sound file, is empty or too long,
            or has too many channels or too high a rate.
    """
    with _open(path) as sound:
        _check(path, sound)


def load_wav(path: Path, rate_hz: int) -> Pcm:
    """Decode a file: WAV of any encoding, FLAC, Ogg or MP3. Several channels are mixed to their mean. Blocks.

    The result is read-only and shared; it is cached until the file changes or `CACHE_BYTES_MAX` is exceeded. May be
    called from any thread.

    Raises:
        WavError: like `check_wav`, or the file cannot be read to its end.
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
    """Like `load_wav`, without blocking the event loop."""
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
    try:
        return soundfile.SoundFile(open_regular(path), closefd=True)
    except NotRegularError as error:
        raise WavError(f"{path}: {error.strerror}: give a WAV file, e.g. 16-bit PCM, mono, 8000 or 16000 Hz") from error
    except OSError as error:
        raise WavError(f"{path}: {error.strerror}: give the path of a file that the gateway may read") from error
    except soundfile.SoundFileError as error:
        why = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
        raise WavError(f"{path}: {why}: give a WAV file, e.g. 16-bit PCM, mono, 8000 or 16000 Hz") from error


def _check(path: Path, sound: soundfile.SoundFile) -> None:
    if sound.frames == 0:
        raise WavError(f"{path}: contains no sound (0 frames): record it again")
    if sound.channels > CHANNELS_MAX:
        raise WavError(f"{path}: has {sound.channels} channels: give one, or {CHANNELS_MAX} at most")
    if not 0 < sound.samplerate <= RATE_MAX_HZ:
        raise WavError(f"{path}: has {sound.samplerate} samples per second: give at most {RATE_MAX_HZ}")
    seconds = sound.frames / sound.samplerate
    if seconds > SECONDS_MAX:
        raise WavError(f"{path}: is {seconds:.0f} s long: give at most {SECONDS_MAX} s")


def _decode(path: Path, rate_hz: int) -> Pcm:
    """Decode block by block, so that decoding needs little more memory than its result."""
    with _open(path) as sound:
        _check(path, sound)
        resampler = None
        if sound.samplerate != rate_hz:
            resampler = soxr.ResampleStream(sound.samplerate, rate_hz, 1, dtype="float32")
        blocks: list[Pcm] = []
        left = sound.frames
        while left > 0:
            try:
                mixed = sound.read(min(left, BLOCK_FRAMES), dtype="float32", always_2d=True).mean(axis=1)
            except soundfile.SoundFileError as error:
                raise WavError(f"{path}: cannot be read to its end: {error}: copy it again") from error
            left = left - len(mixed) if len(mixed) else 0
            mixed = np.nan_to_num(mixed)
            blocks.append(_as_pcm(mixed if resampler is None else resampler.resample_chunk(mixed)))
        if resampler is not None:
            blocks.append(_as_pcm(resampler.resample_chunk(np.zeros(0, np.float32), last=True)))
    return np.concatenate(blocks)


def _as_pcm(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Pcm:
    scaled = np.nan_to_num(samples) * 32_768.0
    pcm: Pcm = np.clip(np.round(scaled), -32_768, 32_767).astype(np.int16)
    return pcm
