"""The Silero VAD network: the input is windows of many calls, the output is the likelihood of voice in each."""

from __future__ import annotations

import functools
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

WINDOW_SAMPLES = 256
"""32 ms at 8 kHz: the only length that the network accepts."""
RATE_HZ = 8_000

_MODEL = Path(__file__).parent / "models" / "silero_vad.onnx"
_CONTEXT_SAMPLES = 32
_STATE = 128
_CHUNK = 64
"""Calls per run of the network: with more at once, the cost per call does not become lower."""
_FULL_SCALE = 32_768

Likelihoods = npt.NDArray[np.float32]


class SileroMissingError(Exception):
    """The runtime that Silero VAD needs is not installed."""


@functools.cache
def network() -> Any:
    """The network, ready to run with one thread; loaded once (80 ms and 47 MB, including its runtime).

    Raises:
        SileroMissingError: onnxruntime is not installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - 47 MB, only if it is used
    except ImportError as error:
        raise SileroMissingError(
            f"silero needs onnxruntime, which is not installed; {shlex.quote(sys.executable)} -m pip install "
            "onnxruntime (as a service: make install EXTRAS=silero), or choose webrtcvad"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # its warnings are about unused weights
    return onnxruntime.InferenceSession(str(_MODEL), options, providers=["CPUExecutionProvider"])


class SileroModel:
    """The network and its state for each call, in arrays by slot. For one thread at a time."""

    def __init__(self) -> None:
        """Load the network.

        Raises:
            SileroMissingError: onnxruntime is not installed.
        """
        self._run = network().run
        self._rate = np.array(RATE_HZ)
        self._context = np.zeros((0, _CONTEXT_SAMPLES), np.float32)
        self._state = np.zeros((2, 0, _STATE), np.float32)

    def judge(
        self, slots: npt.NDArray[np.intp], begins: npt.NDArray[np.bool_], windows: npt.NDArray[np.int16]
    ) -> Likelihoods:
        """The likelihood of voice in each window, 0 to 1, shape (n,).

        `slots`, shape (n,), gives the call of each window; no call may be there twice. `windows` has shape (n, 256).
        `begins`, shape (n,), is True where the slot belongs to a new call from now on.
        """
        self._make_room(int(slots.max()) + 1 if len(slots) else 0)
        new = slots[begins]
        self._context[new] = 0
        self._state[:, new] = 0
        chunks = range(0, len(slots), _CHUNK)
        found = [self._judge(slots[start : start + _CHUNK], windows[start : start + _CHUNK]) for start in chunks]
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def _judge(self, slots: npt.NDArray[np.intp], windows: npt.NDArray[np.int16]) -> Likelihoods:
        sound = np.concatenate((self._context[slots], windows.astype(np.float32) / _FULL_SCALE), axis=1)
        likely, state = self._run(None, {"input": sound, "state": self._state[:, slots], "sr": self._rate})
        self._context[slots] = sound[:, -_CONTEXT_SAMPLES:]
        self._state[:, slots] = state
        found: Likelihoods = likely[:, 0]
        return found

    def _make_room(self, slots: int) -> None:
        missing = slots - len(self._context)
        if missing > 0:
            missing = max(missing, len(self._context))
            self._context = np.pad(self._context, ((0, missing), (0, 0)))
            self._state = np.pad(self._state, ((0, 0), (0, missing), (0, 0)))
