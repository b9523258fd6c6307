"""Agents of every shape that are interrupted, written without care: none but the marked ones looks at what it is told.

Each begins with `OLD` speech, and says `NEW` when the caller has finished. Plain classes, as a user writes them.
"""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, PERF401

import asyncio

import numpy as np

OLD, NEW = 3_000, 9_000
"""The value of every sample of it."""

OLD_MS, NEW_MS = 6_000, 300


def pieces(call, value, duration_ms, piece_ms=100):
    return [np.full(call.rate_hz * piece_ms // 1_000, value, np.int16) for _ in range(duration_ms // piece_ms)]


def old(call):
    return pieces(call, OLD, OLD_MS)


def new(call):
    return pieces(call, NEW, NEW_MS)


async def as_synthesized(speech):
    """Slower than it is said at first, as a synthesis over the network."""
    for piece in speech:
        await asyncio.sleep(0.07)
        yield piece


class OneTask:
    """Says all of it piece by piece, then listens."""

    async def run(self, call):
        async for piece in as_synthesized(old(call)):
            await call.say(piece)
        async for event in call.events():
            if event.kind == "speech_ended":
                for piece in new(call):
                    await call.say(piece)


class OneTaskInSentences:
    """Each sentence is spoken for itself, as a language model brings them; it listened before."""

    async def run(self, call):
        await call.next_event("speech_ended")
        for sentence in old(call):
            await call.speak(sentence)
        while (await call.next_event("speech_ended")).kind != "hangup":
            for sentence in new(call):
                await call.speak(sentence)


class WaitsInAnotherTask:
    """One task, whose waits `asyncio` does in tasks of their own."""

    async def run(self, call):
        events = call.events()
        await anext(events)
        for piece in old(call):
            await asyncio.gather(call.say(piece), asyncio.sleep(0.07))
        while True:
            event = await asyncio.create_task(anext(events))
            match event.kind:
                case "speech_ended":
                    answering = asyncio.create_task(self.answer(call))
                case "hangup":
                    return await answering

    async def answer(self, call):
        for piece in new(call):
            await call.speak(piece)


class TwoTasks:
    """One says, one hears; what is to be said anew is said by the one that hears."""

    async def run(self, call):
        saying = asyncio.create_task(self.say(call))
        async for event in call.events():
            if event.kind == "speech_ended":
                for piece in new(call):
                    await call.say(piece)
        saying.cancel()

    async def say(self, call):
        async for piece in as_synthesized(old(call)):
            await call.say(piece)


class TwoTasksHearing(TwoTasks):
    """As `TwoTasks`; the one that hears wants no events but frames, and finds the end of the turn by itself."""

    async def run(self, call):
        saying = asyncio.create_task(self.say(call))
        spoken = quiet = 0
        async for frame in call.hear():
            loud = np.abs(frame).max() > 1_000
            spoken, quiet = spoken + loud, 0 if loud else quiet + 1
            if spoken and quiet == 30:
                spoken = 0
                for piece in new(call):
                    await call.say(piece)
        saying.cancel()


class HandsItsStreamOn:
    """The task that says has made the stream that another one reads."""

    async def run(self, call):
        hearing = asyncio.create_task(self.hear(call, call.events()))
        async for piece in as_synthesized(old(call)):
            await call.say(piece)
        await hearing

    async def hear(self, call, events):
        async for event in events:
            if event.kind == "speech_ended":
                for piece in new(call):
                    await call.say(piece)


class WaitsInTime(HandsItsStreamOn):
    """One task, whose every wait is limited by `asyncio`."""

    async def run(self, call):
        await call.next_event("speech_started", timeout_s=0.1)
        for piece in old(call):
            await asyncio.wait_for(call.say(piece), 5)
        while True:
            event = await asyncio.wait_for(call.next_event("speech_ended"), 30)
            if event.kind == "hangup":
                return
            for piece in new(call):
                await asyncio.wait_for(call.say(piece), 5)


class SpeaksFromAQueue:
    """The task that says knows of nothing but its queue of answers."""

    async def run(self, call):
        answers = asyncio.Queue()
        saying = asyncio.create_task(self.say(call, answers))
        answers.put_nowait(old(call))
        async for event in call.events():
            if event.kind == "speech_ended":
                answers.put_nowait(new(call))
        saying.cancel()

    async def say(self, call, answers):
        while True:
            await call.speak(as_synthesized(await answers.get()))


class GreetsAndSpeaksFromAQueue(SpeaksFromAQueue):
    """The greeting is interrupted, before the task that says has said anything."""

    async def run(self, call):
        await call.say(np.concatenate(old(call)))
        answers = asyncio.Queue()
        saying = asyncio.create_task(self.say(call, answers))
        async for event in call.events():
            if event.kind == "speech_ended":
                answers.put_nowait(new(call))
        saying.cancel()


class SentencesInAQueue:
    """What waits in the queue knows to which answer it belongs."""

    async def run(self, call):
        sentences = asyncio.Queue()
        saying = asyncio.create_task(self.say(sentences))
        self.answer(call.utterance(), old(call), sentences)
        async for event in call.events():
            if event.kind == "speech_ended":
                self.answer(call.utterance(), new(call), sentences)
        saying.cancel()

    def answer(self, answer, speech, sentences):
        for sentence in speech:
            sentences.put_nowait((answer, sentence))

    async def say(self, sentences):
        while True:
            answer, sentence = await sentences.get()
            await answer.say(sentence)
            await asyncio.sleep(0.08)


class TaskForEachAnswer:
    """An answer takes long to think of; meanwhile something else is said, and interrupted."""

    async def run(self, call):
        await call.next_event("speech_ended")
        thinking = [asyncio.create_task(self.think(call))]
        await call.say(np.concatenate(old(call)))
        async for event in call.events():
            if event.kind == "speech_ended":
                thinking.append(asyncio.create_task(self.answer(call, new(call))))
        await asyncio.gather(*thinking)

    async def think(self, call):
        await asyncio.sleep(2)
        await self.answer(call, old(call))

    async def answer(self, call, sentences):
        for sentence in sentences:
            await call.speak(sentence)


class PlaysFromAStore:
    """Each frame heard is the moment to play the next one of a store that nobody empties."""

    async def run(self, call):
        store = iter(pieces(call, OLD, OLD_MS, 20))
        call.on_audio(lambda _: call.play(next(store)))
        async for event in call.events():
            if event.kind == "speech_ended":
                for piece in new(call):
                    await call.say(piece)


class PlaysByTheClock:
    """No task plays: the loop's timer does."""

    async def run(self, call):
        self.store = iter(pieces(call, OLD, OLD_MS, 20))
        self.play(call)
        async for event in call.events():
            if event.kind == "speech_ended":
                for piece in new(call):
                    await call.say(piece)

    def play(self, call):
        if not call.over:
            call.play(next(self.store))
            asyncio.get_running_loop().call_later(0.02, self.play, call)


class AnswersByTheClock(PlaysByTheClock):
    """Nor does a task answer: another timer does, once the caller has finished."""

    async def run(self, call):
        self.finished = False
        self.store = iter(pieces(call, OLD, OLD_MS, 20))
        self.play(call)
        self.watch(call)
        async for event in call.events():
            self.finished = self.finished or event.kind == "speech_ended"

    def watch(self, call):
        if self.finished:
            answer = call.utterance()
            for piece in new(call):
                answer.play(piece)
        elif not call.over:
            asyncio.get_running_loop().call_later(0.02, self.watch, call)


class SynthesizesInAThread:
    """A library that blocks says what it makes from where it runs."""

    async def run(self, call):
        saying = asyncio.create_task(asyncio.to_thread(self.synthesize, call))
        async for event in call.events():
            if event.kind == "speech_ended":
                for piece in new(call):
                    await call.say(piece)
        await saying

    def synthesize(self, call):
        import time  # noqa: PLC0415

        for piece in pieces(call, OLD, OLD_MS):
            if call.over:
                return
            call.play(piece)
            time.sleep(0.07)


class ThreadForEachAnswer:
    """The threads are the agent's own, and know nothing of its tasks; the first one still says what is old."""

    async def run(self, call):
        import threading  # noqa: PLC0415

        threading.Thread(target=self.synthesize, args=(call,)).start()
        async for event in call.events():
            if event.kind == "speech_ended":
                threading.Thread(target=self.answer, args=(call,)).start()

    def synthesize(self, call):
        import time  # noqa: PLC0415

        for piece in pieces(call, OLD, OLD_MS):
            if call.over:
                return
            call.play(piece)
            time.sleep(0.07)

    def answer(self, call):
        answer = call.utterance()
        for piece in new(call):
            answer.play(piece)


class StopsItself:
    """Its own ear finds that it is spoken over: `stop` does what an interruption does."""

    async def run(self, call):
        saying = asyncio.create_task(self.say(call))
        async for event in call.events():
            match event.kind:
                case "speech_started":
                    call.stop()
                case "speech_ended":
                    for piece in new(call):
                        await call.say(piece)
        saying.cancel()

    async def say(self, call):
        async for piece in as_synthesized(old(call)):
            await call.say(piece)
