"""Agents as a user writes them: plain classes, no import of ours. The gateway imports a copy of this file."""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN003, ANN201, ANN204, ANN205, ASYNC251, BLE001

import asyncio
import contextlib
import json
import time
import wave

import numpy as np


class Diary:
    """Writes down everything but audio, one JSON object on a line, and speaks if it is given a sound."""

    def __init__(self, directory=".", sound=None):
        self.directory = directory
        self.sound = sound

    async def run(self, call):
        with open(f"{self.directory}/diary-{call.info.call_id}", "w", buffering=1) as file:  # noqa: ASYNC230, PTH123
            self.note(file, "CallInfo", to=call.info.to, caller=call.info.from_, trunk=call.info.trunk,
                      codec=call.info.codec, rate_hz=call.rate_hz,
                      headers={name: list(values) for name, values in call.info.headers.items()})  # fmt: skip
            speaking = asyncio.create_task(self.speak(call, file))
            async for event in call.events():
                name = type(event).__name__
                if name != "Audio":
                    self.note(file, name, **{key: getattr(event, key) for key in event.__slots__})
            speaking.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await speaking

    async def speak(self, call, file):
        if self.sound is not None:
            spoken = await call.speak(read(self.sound))
            self.note(file, "Spoken", heard_ms=spoken.heard_ms, interrupted=spoken.interrupted)

    @staticmethod
    def note(file, event, **values):
        file.write(json.dumps({"event": event, **values}) + "\n")


class SpeaksInRealTime:
    """One frame of a tone every 20 ms, until it is interrupted; then it hangs up."""

    async def run(self, call):
        answer = call.utterance()
        frame = tone(400, 20, call.rate_hz)
        due_s = time.monotonic()
        while answer.play(frame):
            due_s += 0.02
            await asyncio.sleep(max(0, due_s - time.monotonic()))
        call.hang_up()


class Parrot:
    """Says back what it hears."""

    async def run(self, call):
        async for audio in call.hear():
            await call.say(audio)


class Raises:
    """Says a little, and fails."""

    async def run(self, call):
        await call.speak(tone(400, 300, call.rate_hz))
        raise RuntimeError("the agent's own fault")


class RaisesInInit:
    """Cannot even be made."""

    def __init__(self):
        raise RuntimeError("no constructor today")

    async def run(self, call):
        pass


class Hangs:
    """Never listens, never speaks."""

    async def run(self, call):
        await asyncio.sleep(3600)


class Blocks:
    """Does not let its own thread go."""

    async def run(self, call):
        time.sleep(15)


class Computes:
    """Lets nothing else have the thread, nor Python, for four seconds."""

    async def run(self, call):
        end_s = time.monotonic() + 4
        while time.monotonic() < end_s:
            sum(range(3_000_000))
        await call.until_over()


class Floods:
    """Speaks far more than anybody can hear, deaf to every refusal."""

    async def run(self, call):
        second = tone(400, 1000, call.rate_hz)
        while True:
            try:
                call.play(second, mark="again")
            except Exception as error:
                if type(error).__name__ == "CallEndedError":
                    return


class SlowStart:
    """Takes its time, as one that loads a model."""

    def __init__(self, seconds=0.5):
        time.sleep(seconds)

    async def run(self, call):
        await call.speak(tone(400, 500, call.rate_hz))


class HangsUp:
    """Speaks, and ends the call itself, as soon as it has said all that it has to say."""

    async def run(self, call):
        await call.say(tone(400, 300, call.rate_hz))
        call.hang_up()
        await call.until_over()


class Farewell:
    """Waits for a second, and says ten seconds of farewell before it hangs up."""

    async def run(self, call):
        await call.next_event("hangup", timeout_s=1)
        await call.say(tone(400, 10_000, call.rate_hz))
        call.hang_up()
        await call.until_over()


def tone(frequency_hz, length_ms, rate_hz):
    times = np.arange(rate_hz * length_ms // 1000) / rate_hz
    return (8000 * np.sin(2 * np.pi * frequency_hz * times)).astype(np.int16)


def read(path):
    with wave.open(path) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)
