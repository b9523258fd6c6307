"""Plays WAV files and gives way to the caller."""

from __future__ import annotations

from gateway.agents.agent import Call
from gateway.agents.errors import AgentSetupError
from gateway.agents.settings import OnInterrupt, SpeakerSettings
from gateway.agents.turns import interruption_over
from media.wav import WavError, check_wav, decoded


def check_files(agent: str, settings: SpeakerSettings) -> None:
    """Look at every file's header.

    Raises:
        AgentSetupError: the first file that cannot be played.
    """
    for path in settings.files:
        try:
            check_wav(path)
        except WavError as error:
            raise AgentSetupError(agent, "files", str(error)) from error


class SpeakerAgent:
    """Plays its files in order, as often as it shall, and ends."""

    __slots__ = ("_settings",)

    def __init__(self, settings: SpeakerSettings) -> None:
        self._settings = settings

    async def run(self, call: Call) -> None:
        """Play until the end, or until the caller interrupts."""
        rounds = 0
        while self._settings.repeat == 0 or rounds < self._settings.repeat:
            rounds += 1
            for path in self._settings.files:
                pcm = await decoded(path, call.rate_hz)
                spoken = await call.speak(pcm)
                if spoken.interrupted and not await self._goes_on(call):
                    return

    async def _goes_on(self, call: Call) -> bool:
        if self._settings.on_interrupt is OnInterrupt.STOP:
            return False
        return await interruption_over(call)
