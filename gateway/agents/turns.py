"""Waiting for one's turn, for agents that gave way to the caller."""

from __future__ import annotations

from gateway.agents.agent import Call
from media.conversation.events import Interrupted, SpeechEnded


async def interruption_over(call: Call) -> bool:
    """After an interrupted `speak`: wait until the caller has finished; False if they hung up instead.

    The call's events must have been left alone since. What happened while the agent spoke comes first, such as the end
    of a cough that was no interruption.
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
