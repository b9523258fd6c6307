"""Agents that hang up on a key, with one defect each: their suite must refuse every one of them."""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201

import asyncio

import numpy as np

from tests.conformance.agent import LAST_WORD, LAST_WORDS_MS


def last_words(call, ms=LAST_WORDS_MS):
    return np.full(call.rate_hz * ms // 1_000, LAST_WORD, np.int16)


class HangsUpWithoutAWord:
    async def run(self, call):
        await call.next_key()
        call.hang_up()
        await call.until_over()


class CutsItsLastWords:
    async def run(self, call):
        await call.next_key()
        await call.say(last_words(call))
        await asyncio.sleep(0.2)
        call.stop()
        call.hang_up()
        await call.until_over()


class SwallowsTheEndOfItsLastWords:
    async def run(self, call):
        await call.next_key()
        await call.say(last_words(call, LAST_WORDS_MS - 20))
        call.hang_up()
        await call.until_over()


class NeverHangsUp:
    async def run(self, call):
        await call.next_key()
        await call.say(last_words(call))
        await call.until_over()


class LeavesInsteadOfHangingUp:
    async def run(self, call):
        await call.next_key()
        await call.say(last_words(call))
