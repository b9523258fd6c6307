"""Agents with one defect each: the suite that every agent must pass must refuse every one of them."""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201

import asyncio
import threading

import numpy as np


class Mute:
    async def run(self, call):
        await call.until_over()


class SpeaksUnasked:
    async def run(self, call):
        await call.say(np.full(call.rate_hz, 5_000, np.int16))
        async for audio in call.hear():
            await call.say(audio)


class LeavesAtOnce:
    async def run(self, call):
        pass


class LeavesOnAKey:
    async def run(self, call):
        async for event in call.events():
            match type(event).__name__:
                case "Audio":
                    await call.say(event.pcm)
                case "Dtmf":
                    return


class RaisesOnAKey:
    async def run(self, call):
        async for event in call.events():
            match type(event).__name__:
                case "Audio":
                    await call.say(event.pcm)
                case "Dtmf":
                    raise RuntimeError("a key")


class HangsUpOnAKey:
    async def run(self, call):
        async for event in call.events():
            match type(event).__name__:
                case "Audio":
                    await call.say(event.pcm)
                case "Dtmf":
                    call.hang_up()
                    return


class RaisesWhenItsVoiceHasEnded:
    async def run(self, call):
        async for event in call.events():
            match type(event).__name__:
                case "Audio":
                    await call.say(event.pcm)
                case "Drained":
                    raise RuntimeError("drained")


class LeavesOnHold:
    async def run(self, call):
        async for event in call.events():
            match type(event).__name__:
                case "Audio":
                    await call.say(event.pcm)
                case "OnHold":
                    return


class MuteAfterAHold:
    async def run(self, call):
        silent = False
        async for event in call.events():
            match type(event).__name__:
                case "Audio":
                    if not silent:
                        await call.say(event.pcm)
                case "OffHold":
                    silent = True


class LeavesAfterATurn:
    async def run(self, call):
        async for event in call.events():
            match type(event).__name__:
                case "Audio":
                    await call.say(event.pcm)
                case "SpeechEnded":
                    return


class DeafAfterABurst:
    async def run(self, call):
        heard = 0
        async for audio in call.hear():
            heard += 1
            if heard < 55:
                await call.say(audio)


class OutlivesTheCall:
    async def run(self, call):
        async for audio in call.hear():
            await call.say(audio)
        await asyncio.sleep(3_600)


class RefusesToBeCancelled:
    async def run(self, call):
        while not call.over:
            try:
                async for audio in call.hear():
                    await call.say(audio)
            except asyncio.CancelledError:
                await asyncio.sleep(3_600)


class LeavesATask:
    async def run(self, call):
        self.kept = asyncio.create_task(asyncio.sleep(3_600))
        async for audio in call.hear():
            await call.say(audio)


class LeavesAThread:
    async def run(self, call):
        threading.Thread(target=threading.Event().wait, args=(30,), name="left", daemon=True).start()
        async for audio in call.hear():
            await call.say(audio)
