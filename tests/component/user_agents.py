"""Agents as a user writes them: plain classes, no types, no import of ours."""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN204, PLC0415, RUF012

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


class HangsUpOnKey:
    """Says its last words and hangs up when a key is pressed; its ear is open all the while."""

    def __init__(self, ear):
        self.ear = ear

    async def run(self, call):
        import numpy as np

        if self.ear == "on_audio":
            call.on_audio(call.play)
        while type(await call.next_event()).__name__ != "Dtmf":
            pass
        call.stop()
        await call.say(np.full(call.rate_hz // 2, 7_000, np.int16))
        call.hang_up()
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


class TakesNotes:
    """Keeps its notes in a list that it was given."""

    def __init__(self, notes):
        self.notes = notes

    async def run(self, call):
        pass


class Logs:
    async def run(self, call):
        import structlog

        structlog.get_logger("mine").info("thought.came", depth=3)
        await asyncio.to_thread(structlog.get_logger("mine").info, "thought.went")


class Raises:
    async def run(self, call):
        raise ValueError("a fault of its own")


class RaisesAMegabyte:
    async def run(self, call):
        raise ValueError("x" * 1_000_000)


class UnspeakableError(Exception):
    def __str__(self):
        raise RuntimeError


class RaisesTheUnspeakable:
    async def run(self, call):
        raise UnspeakableError


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


class SpeaksAndTakesNoEvents:
    async def run(self, call):
        import numpy as np

        async for _ in call.events():
            break
        while True:
            await call.say(np.full(call.rate_hz // 50, 7_000, np.int16))


class BlocksWhileItListens:
    released = threading.Event()

    async def run(self, call):
        listening = asyncio.create_task(self.listen(call))
        await asyncio.sleep(0.05)
        self.released.wait(30)
        await listening

    async def listen(self, call):
        async for _ in call.events():
            pass


class BlocksWhileItWaits(BlocksWhileItListens):
    """As the one above; another of its tasks waits for the end of the call."""

    async def run(self, call):
        waiting = asyncio.create_task(call.until_over())
        await super().run(call)
        await waiting


class SpeaksAndWaits:
    """Says what it has to say, and leaves the end to the caller."""

    def __init__(self, words=1):
        self.words = words

    async def run(self, call):
        import numpy as np

        for _ in range(self.words):
            await call.speak(np.full(call.rate_hz // 10, 7_000, np.int16))
        await call.until_over()


class BlocksInConsumer:
    async def run(self, call):
        call.on_audio(lambda pcm: BlocksWhileItListens.released.wait(30))
        await call.until_over()


class Exits:
    """Ends in one way or another, as no agent should."""

    def __init__(self, where, how):
        self.where = where
        self.how = how
        self.end("constructor")

    async def run(self, call):
        self.end("run")
        call.on_audio(lambda pcm: self.end("consumer"))
        await call.until_over()

    def end(self, where):
        if where == self.where:
            raise self.how


class SpeaksOnAfterOneFrame:
    async def run(self, call):
        import numpy as np

        async for _ in call.events():
            break
        await call.say(np.full(call.rate_hz * 4, 7_000, np.int16))


class Thinks:
    """Speaks a synthesis that falls silent for long."""

    spoken = []

    async def run(self, call):
        self.spoken.append(await call.speak(self.synthesis(call.rate_hz)))

    async def synthesis(self, rate_hz):
        import numpy as np

        yield np.full(rate_hz, 7_000, np.int16)
        await asyncio.sleep(30)


class Blocks:
    released = threading.Event()

    async def run(self, call):
        self.released.wait(60)  # what a user must not do, and does


class LeavesWorkBehind:
    """A function that it has begun, and does not wait for, goes on when it has returned."""

    def __init__(self, stays=False):
        self.stays = stays

    async def run(self, call):
        self.left = asyncio.create_task(asyncio.to_thread(Blocks.released.wait, 30))
        await asyncio.sleep(3_600 if self.stays else 0.01)


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


class SaysGoodbyeAndHangsUp:
    notes = []

    def __init__(self, after="return"):
        self.after = after

    async def run(self, call):
        import numpy as np

        await call.say(np.full(call.rate_hz * 2, 7_000, np.int16))
        call.hang_up()
        match self.after:
            case "speak":
                await call.say(np.full(call.rate_hz, 7_000, np.int16))
            case "raise":
                raise ValueError("a fault of its own")
            case "listen":
                self.notes += [type(event).__name__ async for event in call.events()]


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


class SaysInAGroup:
    """Several tasks, each of which finds the call over."""

    async def run(self, call):
        import numpy as np

        async with asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(call.say(np.full(call.rate_hz * 60, 7_000, np.int16)))


class UsesEverything:
    finished = []

    async def run(self, call):
        import numpy as np

        tenth = np.full(call.rate_hz // 10, 7_000, np.int16)
        assert (call.heard_ms, call.queued_ms, call.info.call_id) == (0, 0, "c7")
        assert (call.over, call.speaking, call.held, call.epoch) == (False, False, False, 0)
        utterance = call.utterance()
        assert await utterance.say(tenth)
        assert utterance.play(tenth, mark="second")
        assert await utterance.said() == utterance.heard_ms == 200
        assert not utterance.interrupted
        spoken = await call.speak([tenth, tenth])
        assert (spoken.heard_ms, spoken.interrupted) == (200, False)
        assert (await call.speak(tenth, keys=True)).heard_ms == 100
        assert await call.utterance(call.epoch).say(tenth)
        assert not await call.utterance(call.epoch - 1).say(tenth)
        assert await call.say(np.tile(tenth, 100), mark="long")
        assert call.play(tenth)
        assert call.queued_ms > 9_000
        assert call.speaking
        assert call.stop() == call.heard_ms
        assert (call.speaking, call.epoch) == (False, 1)
        assert not utterance.play(tenth)
        assert not await utterance.say(tenth)
        assert utterance.interrupted
        assert await call.said() < 10_000  # it was stopped long before its end, however slow this machine is
        assert call.confirm_interruption() is call.reject_interruption() is False
        call.hang_up()
        events = [event async for event in call.events() if type(event).__name__ != "Audio"]
        assert [type(event).__name__ for event in events][-2:] == ["Dtmf", "Hangup"], events
        assert [event.name for event in events if type(event).__name__ == "MarkReached"] == ["second"], events
        assert type(await call.next_event(timeout_s=1)).__name__ == "Hangup"
        assert await call.next_key() is None
        assert call.over
        self.finished.append("to the end")
        await call.say(tenth)  # raises CallEndedError: no failure after a hangup


class Menu:
    """Speaks its menu until a key is pressed, and answers that."""

    async def run(self, call):
        import numpy as np

        key = None
        while key is None and not call.over:
            await call.speak(np.full(call.rate_hz * 9, 3_000, np.int16), keys=True)
            key = await call.next_key(timeout_s=5)
        await call.speak(np.full(call.rate_hz // 70 * int(key), int(key) * 1_000, np.int16))
