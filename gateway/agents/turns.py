"""Waiting for the end of the caller's turn, for agents that were interrupted."""

from __future__ import annotations

from gateway.agents.agent import Call
from media.conversation.events import Interrupted, SpeechEnded


async def interruption_over(call: Call) -> bool:
    """After an interrupted `speak`: wait until the caller has finished; False if they hung up instead.

    The agent must not have taken events since the `speak` began. So events from during the `speak` come first, such as
    the end of a cough that was no interruption; they are skipped.
    """
    interrupted = False
    async for event in call.events():
        match event:
            case Interrupted(by="key"):
                return True
            case Interrupted():
                interrupted = True
            case SpeechEnded() if interrupted:
                return True
            case _:
                pass
    return False
