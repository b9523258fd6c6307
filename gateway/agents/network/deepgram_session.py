"""The messages of Deepgram's Voice Agent API over a WebSocket. No I/O.

Source: Deepgram's documentation, "Voice Agent": Settings, client messages, server events, errors and warnings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from gateway.agents.network.coding import AudioFormat
from gateway.agents.network.counted_answers import CountedAnswers
from gateway.agents.network.errors import NOT_JSON
from gateway.agents.network.model_session import (
    AnswerEnded,
    BadEventError,
    CallerBegan,
    CallerEnded,
    CallerSaid,
    Messages,
    ModelEvent,
    ModelSession,
    SessionAccepted,
    SessionFacts,
    SessionFault,
    ToolCalled,
)
from gateway.agents.network.tools import GO_TO, HANG_UP
from media.conversation.history import Role, split_unanswered

_ENCODINGS = {"mulaw": "mulaw", "alaw": "alaw", "l16": "linear16"}
"""The API's names of the codings."""
_ENDING_TOOLS = (HANG_UP, GO_TO)


@dataclass(frozen=True, slots=True)
class DeepgramOptions:
    """The options that all sessions of one agent share."""

    language: str | None
    """The caller's language; with None, the server decides."""
    listen_model: str
    think_provider: str
    think_model: str
    speak_model: str
    tools: Sequence[Mapping[str, Any]]


class _DeepgramMessage(msgspec.Struct):
    type: str


_kind = msgspec.json.Decoder(_DeepgramMessage)


class DeepgramSession(ModelSession):
    """The `ModelSession` of Deepgram's Voice Agent API. A new connection gets the conversation in its settings.

    Audio messages have no answer id, and an interrupted answer may have no end message. So answers are counted.
    """

    binary_audio: ClassVar[bool] = True

    def __init__(self, options: DeepgramOptions, facts: SessionFacts) -> None:
        self._options = options
        self._facts = facts
        self.heard: AudioFormat = facts.line
        self.said: AudioFormat = facts.line
        self._answers = CountedAnswers()
        self._held: list[ToolCalled] = []
        """Calls of tools that end the model's part; they wait until the server has sent the model's last words."""
        self._unanswered = ""
        """What the caller said last, if the lost connection had not answered it."""

    # -- messages to the server ---------------------------------------------------------------------------------------

    def opening(self, history: Iterable[tuple[Role, str]]) -> Messages:
        """See `ModelSession.opening`; the caller's last words are kept for `respond`."""
        self._answers.end()
        self._held.clear()
        said, self._unanswered = split_unanswered(history)
        began = not said and not self._unanswered
        wire = {"encoding": _ENCODINGS[self._facts.line.coding], "sample_rate": self._facts.line.rate_hz}
        agent = self._agent()
        if began and self._facts.greeting is not None:
            agent["greeting"] = self._facts.greeting
        if said:
            agent["context"] = {"messages": [{"type": "History", "role": role, "content": text} for role, text in said]}
        return [_message("Settings", audio={"input": wire, "output": {**wire, "container": "none"}}, agent=agent)]

    def _agent(self) -> dict[str, Any]:
        options = self._options
        listen = _provider(options.listen_model)
        if options.language is not None:
            listen |= {"language_hints": [options.language]} if "version" in listen else {"language": options.language}
        think: dict[str, Any] = {
            "provider": {"type": options.think_provider, "model": options.think_model},
            "prompt": self._facts.instructions,
        }
        if options.tools:
            think["functions"] = [_function(tool) for tool in options.tools]
        speak = _provider(options.speak_model)
        return {"listen": {"provider": listen}, "think": think, "speak": {"provider": speak}}

    def respond(self) -> Messages:
        """See `ModelSession.respond`. The server answers by itself, except words from before this connection."""
        unanswered, self._unanswered = self._unanswered, ""
        return self.text(unanswered) if unanswered else ()

    def audio(self, data: bytes) -> bytes:
        """See `ModelSession.audio`."""
        return data

    def tool_output(self, call: ToolCalled, output: str) -> Messages:
        """See `ModelSession.tool_output`."""
        return [_message("FunctionCallResponse", id=call.call, name=call.name, content=output)]

    def text(self, text: str) -> Messages:
        """See `ModelSession.text`; the server answers it by itself."""
        return [_message("InjectUserMessage", content=text)]

    # -- messages from the server -------------------------------------------------------------------------------------

    def events(self, text: bytes) -> Sequence[ModelEvent]:
        """See `ModelSession.events`."""
        try:
            read = _READERS.get(_kind.decode(text).type)
            return read(self, msgspec.json.decode(text)) if read is not None else ()
        except (*NOT_JSON, KeyError, TypeError, AttributeError) as error:
            raise BadEventError(f"{type(error).__name__}: {error}") from error

    def binary(self, data: bytes) -> Sequence[ModelEvent]:
        """See `ModelSession.binary`: a piece of an answer's audio."""
        if self.said.coding == "l16" and len(data) % 2:
            raise BadEventError(f"{len(data)} bytes are not a whole number of 16-bit samples")
        return self._answers.audio(data)

    def _conversation_text(self, event: Any) -> Sequence[ModelEvent]:
        text = str(event["content"])
        if event["role"] != "user":
            return self._answers.text(text)
        self._answers.asked_again()
        return (CallerSaid(text), CallerEnded())

    def _caller_began(self) -> Sequence[ModelEvent]:
        ended: tuple[ModelEvent, ...] = ()
        if self._answers.under_way:
            ended = (AnswerEnded("cut", by_caller=True),)
        if self._held:
            ended = (*self._held, AnswerEnded())
        self._held = []
        return (*self._answers.end(interrupted=True), CallerBegan(), *ended)

    def _audio_done(self) -> Sequence[ModelEvent]:
        over = self._held or self._answers.under_way
        ended: tuple[ModelEvent, ...] = (*self._held, AnswerEnded()) if over else ()
        self._held = []
        return (*self._answers.end(), *ended)

    def _function_call(self, event: Any) -> Sequence[ModelEvent]:
        """Run tools at once, as the server waits for them, but not a tool that would cut off the model's last words."""
        called = [
            ToolCalled(str(one["id"]), str(one["name"]), str(one.get("arguments") or "{}"))
            for one in event["functions"]
            if one.get("client_side", True)
        ]
        if self._answers.has_text:
            self._held += [one for one in called if one.name in _ENDING_TOOLS]
            called = [one for one in called if one.name not in _ENDING_TOOLS]
        if not called:
            return ()
        self._answers.under_way = False
        return (*called, AnswerEnded())


def _message(kind: str, **fields: Any) -> bytes:
    return msgspec.json.encode({"type": kind, **fields})


def _provider(model: str) -> dict[str, Any]:
    """The provider of a listening or speaking model; models of the Flux family need version v2."""
    version = {"version": "v2"} if model.startswith("flux") else {}
    return {"type": "deepgram", **version, "model": model}


def _function(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as the API declares it; called only when the caller has really finished, as it cannot be undone."""
    return {**{key: tool[key] for key in ("name", "description", "parameters")}, "defer_until_eot": True}


def _error(event: Any) -> Sequence[ModelEvent]:
    permanent = event.get("code") in ("INVALID_SETTINGS", "UNPARSABLE_CLIENT_MESSAGE")
    return (SessionFault(_said(event), permanent=permanent, ends_session=True),)


def _said(event: Any) -> str:
    said = event.get("description") or event.get("message") or ""
    return f"{event.get('code') or event['type']}: {said}"[:300]


# ruff: noqa: SLF001 - the table belongs to the class
_READERS: Mapping[str, Callable[[DeepgramSession, Any], Sequence[ModelEvent]]] = {
    "SettingsApplied": lambda _, __: (SessionAccepted(),),
    "UserStartedSpeaking": lambda session, _: session._caller_began(),
    "ConversationText": DeepgramSession._conversation_text,
    "AgentThinking": lambda session, _: session._answers.sign(),
    "AgentStartedSpeaking": lambda session, _: session._answers.sign(),
    "AgentAudioDone": lambda session, _: session._audio_done(),
    "FunctionCallRequest": DeepgramSession._function_call,
    "Error": lambda _, event: _error(event),
    "Warning": lambda _, event: (SessionFault(_said(event)),),
    "InjectionRefused": lambda _, event: (SessionFault(_said(event)),),
}
