"""Agents as a user writes them: plain classes, no types, no import of ours."""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN204, ARG002, ARG005, PLC0415, RUF012

import asyncio
import threading
import time


class Parrot:
    async def run(self, call):
        async for audio in call.hear():
            await call.say(audio)


class InlineParrot:
    async def run(self, call):
        call.on_audio(call.play)
        await call.until_over()


class TurnTaker:
    """Says back what was said when the caller has finished."""

    def __init__(self, greeting_ms=0):
        self.greeting_ms = greeting_ms

    async def run(self, call):
        said = []
        async for event in call.events():
            match type(event).__name__:
                case "Audio":
                    said.append(event.pcm)
                case "SpeechEnded":
                    await call.speak(said[-60:])
                    said.clear()


class Raises:
    async def run(self, call):
        raise ValueError("a fault of its own")


class RaisesInConstructor:
    def __init__(self):
        raise RuntimeError("no model")

    async def run(self, call):
        pass


class RaisesInConsumer:
    async def run(self, call):
        call.on_audio(self.hear)
        await call.until_over()

    def hear(self, pcm):
        raise ZeroDivisionError


class NeverBegins:
    async def run(self, call):
        await asyncio.Event().wait()


class Stalls:
    async def run(self, call):
        async for _ in call.hear():
            break
        await asyncio.Event().wait()


class TakesNoEvents:
    async def run(self, call):
        async for _ in call.events():
            await asyncio.Event().wait()


class Blocks:
    released = threading.Event()

    async def run(self, call):
        self.released.wait(60)  # what a user must not do, and does


class Burns:
    def __init__(self, seconds):
        self.seconds = seconds

    async def run(self, call):
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            pass


class SwallowsCancellation:
    def __init__(self, seconds=60.0):
        self.seconds = seconds

    async def run(self, call):
        call.on_audio(lambda pcm: None)
        left = self.seconds
        while left > 0:
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                continue
            finally:
                left -= 0.1


class Floods:
    async def run(self, call):
        import numpy as np

        second = np.full(call.rate_hz, 7_000, np.int16)
        while True:
            call.play(second)


class SaysGoodbye:
    async def run(self, call):
        import numpy as np

        await call.say(np.full(call.rate_hz, 7_000, np.int16))


class FinishesItsNotes:
    notes = []

    async def run(self, call):
        async for _ in call.hear():
            pass
        await asyncio.sleep(0.3)
        self.notes.append("written")


class NotAnAgent:
    def run(self, call):
        pass


class TwoArguments:
    async def run(self, call, more):
        pass
