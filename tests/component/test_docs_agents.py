"""The examples of docs/agents.md that are whole do what the text around them says."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from media.conversation.conversation import Conversation
from media.conversation.floor import BargeIn, BargeInSettings
from tests.fake_leg import FakeLeg, caller_sends, silence, voice
from tests.virtual_time import virtual

if TYPE_CHECKING:
    from media.leg import Pcm

DOCUMENT = (Path(__file__).parents[2] / "docs/agents.md").read_text()
RATE_HZ = 8_000


@virtual
async def test_a_sentence_of_the_caller_is_one_array_from_its_beginning() -> None:
    example = re.search(r"^## Hear the caller\n.*?```python\n(.*?)```", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert example is not None
    sentences: list[Pcm] = []

    def recognised(sentence: Pcm) -> str:
        sentences.append(sentence)
        return "words"

    def answered(_text: str, rate_hz: int) -> Pcm:
        return np.full(rate_hz // 10, 1_000, np.int16)

    names: dict[str, Any] = {"np": np, "my_recogniser": recognised, "my_answer": answered}
    exec(example[1], names)
    leg = FakeLeg(RATE_HZ)
    call = Conversation(leg, barge_in=BargeInSettings(mode=BargeIn.OFF))
    talking = asyncio.create_task(names["run"](None, call))
    await caller_sends(leg, silence(RATE_HZ, 3_000))
    await caller_sends(leg, voice(RATE_HZ, 2_000))
    await caller_sends(leg, silence(RATE_HZ, 2_000))
    call.on_call_over()
    await talking
    (sentence,) = sentences
    loud = np.flatnonzero(np.abs(sentence.astype(int)) > 500)
    assert len(loud)
    assert 0.6 * 16_000 < loud[0] < 1.1 * 16_000, "a second of silence at most before it"
    assert loud[-1] - loud[0] > 1.9 * 16_000, "all of it"
    assert len(sentence) < 5 * 16_000
    assert leg.heard().any(), "it was answered"
    leg.stop_clock()
