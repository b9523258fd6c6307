"""The session of Google's Gemini Live API over a WebSocket. No I/O.

Source: Google's API reference, "Live API - WebSockets API reference" (BidiGenerateContent), and its Live API guides.
"""

from __future__ import annotations

import binascii
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from gateway.agents.network.coding import AudioFormat
from gateway.agents.network.errors import NOT_JSON
from gateway.agents.network.gemini_messages import (
    FunctionCall,
    ServerContent,
    ServerMessage,
    declaration,
    seconds,
    server_message,
)
from gateway.agents.network.model_session import (
    AnswerAudio,
    AnswerBegan,
    AnswerEnded,
    AnswerText,
    BadEventError,
    CallerBegan,
    CallerSaid,
    Messages,
    ModelEvent,
    ModelSession,
    ReplyWanted,
    SessionAccepted,
    SessionEnding,
    SessionFacts,
    ToolCalled,
    UnusableFormatError,
)
from media.conversation.history import Role

PCM_16K = AudioFormat("l16", 16_000)
PCM_24K = AudioFormat("l16", 24_000)
ATTEMPTS_TO_RESUME = 2
"""How many connections in a row try to resume. One refusal proves nothing: the old connection may seem open still."""
GO_ON = "(The line was interrupted for a moment. Go on where you were, and do not greet again.)"
WORDS_MAX = 2_000
"""How many pieces of a turn's text are kept until its end; the oldest are dropped."""
_FAILED = "MALFORMED_FUNCTION_CALL"


@dataclass(frozen=True, slots=True)
class GeminiOptions:
    """The options that all sessions of one agent share."""

    model: str
    voice: str | None
    language: str | None
    """A BCP 47 tag; with None, the model decides."""
    tools: Sequence[Mapping[str, Any]]
    """The result of `ToolSet.declared`."""


class GeminiSession(ModelSession):
    """The `ModelSession` of the Gemini Live API.

    A new connection resumes the session by its handle if the handle covers all that was said; otherwise it gets the
    conversation as text. An answer ends when the model calls a tool, as the model then waits for the result.
    """

    hears_phantoms: ClassVar[bool] = True

    def __init__(self, options: GeminiOptions, facts: SessionFacts) -> None:
        self._options = options
        self._facts = facts
        self.heard, self.said = PCM_16K, PCM_24K
        self._handle = ""
        self._covered = False
        """Whether the handle covers all that was said."""
        self._attempts = 0
        """How many connections in a row tried to resume the session and were not accepted."""
        self._telling = False  # whether this connection gets the conversation as text
        self._asked = False
        """Whether this connection has requested or received an answer."""
        self._numbers = itertools.count(1)
        self._item = ""
        """The id of the answer that is being made."""
        self._answering = False
        self._texts_held: list[str] = []
        """Texts for the model that came during an answer; sent at once, they would cut the answer off."""
        self._caller_words: deque[str] = deque(maxlen=WORDS_MAX)
        self._model_words: deque[str] = deque(maxlen=WORDS_MAX)
        self._tools_open: set[str] = set()
        self._outputs: list[dict[str, Any]] = []

    # -- messages to the server ---------------------------------------------------------------------------------------

    def opening(self, history: Iterable[tuple[Role, str]]) -> Messages:
        """See `ModelSession.opening`."""
        self._attempts = self._attempts + 1 if self._handle else 0
        if not self._covered or self._attempts > ATTEMPTS_TO_RESUME:
            self._handle, self._covered, self._attempts = "", False, 0
        self._telling = not self._handle and any(True for _ in history)
        self._asked = self._answering = False
        self._item = ""
        self._texts_held.clear()
        self._model_words.clear()
        self._tools_open.clear()
        self._outputs.clear()
        return [_encoded({"setup": self._setup()})]

    def _setup(self) -> dict[str, Any]:
        options = self._options
        speech: dict[str, Any] = {}
        if options.voice is not None:
            speech["voiceConfig"] = {"prebuiltVoiceConfig": {"voiceName": options.voice}}
        if options.language is not None:
            speech["languageCode"] = options.language
        generation: dict[str, Any] = {"responseModalities": ["AUDIO"]}
        if speech:
            generation["speechConfig"] = speech
        setup: dict[str, Any] = {
            "model": options.model if "/" in options.model else f"models/{options.model}",
            "generationConfig": generation,
            "systemInstruction": {"parts": [{"text": self._facts.instructions}]},
            "inputAudioTranscription": {},
            "outputAudioTranscription": {},
            "contextWindowCompression": {"slidingWindow": {}},
            "sessionResumption": {"handle": self._handle} if self._handle else {},
        }
        if self._telling:
            setup["historyConfig"] = {"initialHistoryInClientContent": True}
        if options.tools:
            setup["tools"] = [{"functionDeclarations": [declaration(tool) for tool in options.tools]}]
        return setup

    def accepted(self, history: Iterable[tuple[Role, str]]) -> Messages:
        """See `ModelSession.accepted`; the caller's last words, if not answered, are sent again as text."""
        messages: list[bytes] = []
        if self._telling:
            turns = [_turn(role, text) for role, text in history]
            messages.append(_encoded({"clientContent": {"turns": turns, "turnComplete": True}}))
        said = "".join(self._caller_words).strip()
        if said:
            return [*messages, *self._ask(said)]
        return messages

    def greet(self) -> Messages:
        """See `ModelSession.greet`."""
        greeting = self._facts.greeting
        return () if greeting is None else self._ask(greeting)

    def respond(self) -> Messages:
        """See `ModelSession.respond`. The server answers texts and tools by itself, but not the history."""
        return () if self._asked else self._ask(GO_ON)

    def audio(self, data: bytes) -> bytes:
        """See `ModelSession.audio`; formatted directly instead of by msgspec, as it is needed every 20 ms."""
        encoded = binascii.b2a_base64(data, newline=False)
        return b'{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=16000","data":"%s"}}}' % encoded

    def tool_output(self, call: ToolCalled, output: str) -> Messages:
        """See `ModelSession.tool_output`; results of tools that were called together are sent together."""
        if call.call not in self._tools_open:
            return ()
        self._tools_open.discard(call.call)
        self._outputs.append({"id": call.call, "name": call.name, "response": {"output": output}})
        if self._tools_open:
            return ()
        outputs, self._outputs = self._outputs, []
        self._asked = True
        return [_encoded({"toolResponse": {"functionResponses": outputs}})]

    def text(self, text: str) -> Messages:
        """See `ModelSession.text`; during an answer it is kept until the answer has ended."""
        if self._answering:
            self._texts_held.append(text)
            return ()
        return self._ask(text)

    def _ask(self, text: str) -> list[bytes]:
        """Send a text as if the caller had said it; newer models accept no other text during a conversation."""
        self._asked, self._covered = True, False
        return [_encoded({"realtimeInput": {"text": text}})]

    @property
    def covered(self) -> bool:
        """See `ModelSession.covered`."""
        return not self._answering and (self._covered or not self._handle)

    # -- messages from the server -------------------------------------------------------------------------------------

    def binary(self, data: bytes) -> Sequence[ModelEvent]:
        """See `ModelSession.binary`; this server sends its JSON in binary messages."""
        return self.events(data)

    def events(self, text: bytes) -> Sequence[ModelEvent]:
        """See `ModelSession.events`."""
        try:
            message = server_message.decode(text)
        except NOT_JSON as error:
            raise BadEventError(f"{type(error).__name__}: {error}") from error
        return list(self._read(message))

    def _read(self, message: ServerMessage) -> Iterator[ModelEvent]:
        if message.setup_complete is not None:
            self._attempts = 0
            yield SessionAccepted()
        if message.server_content is not None:
            yield from self._content(message.server_content)
        if message.tool_call is not None and message.tool_call.function_calls:
            yield from self._tools(message.tool_call.function_calls)
        if message.tool_call_cancellation is not None:
            self._tools_open.difference_update(message.tool_call_cancellation.ids)
        update = message.session_resumption_update
        if update is not None:
            self._covered = update.resumable and bool(update.new_handle)
            self._handle = update.new_handle if self._covered else self._handle
        if message.go_away is not None:
            yield SessionEnding(seconds(message.go_away.time_left))

    def _content(self, content: ServerContent) -> Iterator[ModelEvent]:
        if content.input_transcription is not None:
            self._caller_words.append(content.input_transcription.text)
        for part in content.model_turn.parts if content.model_turn is not None else ():
            blob = part.inline_data
            if blob is not None and blob.mime_type.startswith("audio/"):
                if blob.mime_type.replace(" ", "") not in ("audio/pcm;rate=24000", "audio/pcm"):
                    raise UnusableFormatError(f"the server's audio is {blob.mime_type[:80]}: it must be PCM at 24 kHz")
                yield from self._begun()
                yield AnswerAudio(self._item, blob.data)
        if content.output_transcription is not None:
            self._model_words.append(content.output_transcription.text)
        if content.interrupted:
            yield CallerBegan()
            yield from self._said()
            yield from self._ended(AnswerEnded("cut", by_caller=True))
        if content.generation_complete:
            yield from self._ended(AnswerEnded())
        if content.turn_complete:
            yield from self._said()
            if content.turn_complete_reason == _FAILED:
                self._answering, self._asked = True, False
                yield from self._ended(AnswerEnded("failed", error=_FAILED))
            else:
                yield from self._ended(AnswerEnded())
            self._item = ""

    def _begun(self) -> Iterator[ModelEvent]:
        self._asked, self._covered = True, False
        if not self._answering or not self._item:
            self._answering = True
            self._item = f"answer-{next(self._numbers)}"
            yield AnswerBegan()

    def _said(self) -> Iterator[ModelEvent]:
        """Yield the texts of a turn that has ended, the caller's before the model's."""
        heard, said = "".join(self._caller_words).strip(), "".join(self._model_words).strip()
        self._caller_words.clear()
        self._model_words.clear()
        if heard:
            yield CallerSaid(heard)
        if said:
            yield AnswerText(self._item, said)

    def _ended(self, event: AnswerEnded) -> Iterator[ModelEvent]:
        if not self._answering:
            return
        self._answering = False
        yield event
        for text in self._texts_held:
            yield from map(ReplyWanted, self._ask(text))
        self._texts_held.clear()

    def _tools(self, calls: Sequence[FunctionCall]) -> Iterator[ModelEvent]:
        yield from self._begun()
        yield from self._said()
        for call in calls:
            name = call.id or call.name
            self._tools_open.add(name)
            yield ToolCalled(name, call.name, msgspec.json.encode(call.args).decode())
        yield AnswerEnded()
        self._item = ""  # what the model says after the tools have run is another answer


def _encoded(message: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(message)


def _turn(role: Role, text: str) -> dict[str, Any]:
    return {"role": "user" if role == "user" else "model", "parts": [{"text": text}]}
