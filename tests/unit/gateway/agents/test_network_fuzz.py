"""Whatever a backend sends, it is a message, no concern of ours, or bad: no other error comes out."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.agents.network.audiosocket import FrameReader
from gateway.agents.network.coding import MULAW_8K, AudioFormat
from gateway.agents.network.deepgram_session import DeepgramOptions, DeepgramSession
from gateway.agents.network.dialects import DIALECTS
from gateway.agents.network.elevenlabs_session import ElevenLabsOptions, ElevenLabsSession
from gateway.agents.network.gemini_session import GeminiOptions, GeminiSession
from gateway.agents.network.model_session import BadEventError, SessionEnding, SessionFacts, UnusableFormatError
from gateway.agents.network.openai_session import OpenAIOptions, OpenAISession
from gateway.agents.network.tools import ToolSet, ToolUse
from gateway.agents.network.twilio import BadMessageError, StreamFacts

FACTS = StreamFacts("0123abcd", "ac1", "+4930", "600")
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
KEYS = st.sampled_from([
    "event", "media", "mark", "payload", "name", "type", "session", "audio", "format", "input", "output", "response",
    "delta", "item", "item_id", "call_id", "arguments", "transcript", "error", "status_details", "contentType",
    "sampleRate", "role", "content", "functions", "id", "client_side", "code", "description",
    "conversation_initiation_metadata_event", "agent_output_audio_format", "audio_event", "audio_base_64", "event_id",
    "interruption_event", "agent_response_event", "agent_response", "client_tool_call", "tool_call_id", "tool_name",
    "parameters", "ping_event", "user_transcription_event", "user_transcript",
    "serverContent", "modelTurn", "parts", "inlineData", "mimeType", "data", "toolCall", "functionCalls",
    "args", "inputTranscription", "text", "interrupted", "turnComplete", "goAway", "timeLeft", "setupComplete",
    "sessionResumptionUpdate", "newHandle", "resumable", "toolCallCancellation", "ids",
])  # fmt: skip
WORDS = st.sampled_from([
    "media", "mark", "clear", "playAudio", "checkpoint", "clearAudio", "error", "session.updated", "response.done",
    "response.created", "response.output_audio.delta", "response.output_item.done", "function_call",
    "SettingsApplied", "ConversationText", "FunctionCallRequest", "AgentThinking", "AgentAudioDone", "Error", "user",
    "conversation_initiation_metadata", "audio", "interruption", "agent_response", "client_tool_call", "ping",
    "user_transcript", "pcm_16000",
    "response.output_audio_transcript.done", "conversation.item.input_audio_transcription.completed",
])  # fmt: skip
VALUES = st.recursive(
    SCALARS | WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)
MESSAGES = st.dictionaries(KEYS, VALUES, max_size=6) | VALUES


def written(message: Any, word: str) -> bytes:
    """As JSON; an object gets a kind that may be known."""
    if isinstance(message, dict):
        message = {"event": word, "type": word, **message}
    return json.dumps(message).encode()


@pytest.mark.parametrize("name", sorted(DIALECTS))
@settings(max_examples=50)
@given(message=MESSAGES, word=WORDS, junk=st.binary(max_size=40))
def test_dialects(name: str, message: Any, word: str, junk: bytes) -> None:
    stream = DIALECTS[name](FACTS)
    for text in (written(message, word), junk):
        with contextlib.suppress(BadMessageError):
            stream.command(text)


@settings(max_examples=200)
@given(message=MESSAGES, word=WORDS, junk=st.binary(max_size=40))
def test_openai_events(message: Any, word: str, junk: bytes) -> None:
    session = OpenAISession(OpenAIOptions(None, None, None, None, []), SessionFacts("", None, MULAW_8K))
    for text in (written(message, word), junk):
        with contextlib.suppress(BadEventError, UnusableFormatError):
            session.events(text)


GEMINI = st.fixed_dictionaries(
    {},
    optional={
        "setupComplete": VALUES | st.just({}),
        "serverContent": VALUES
        | st.fixed_dictionaries(
            {},
            optional={
                "modelTurn": VALUES
                | st.builds(
                    lambda data, kind: {"parts": [{"inlineData": {"data": data, "mimeType": kind}}]},
                    st.text(max_size=8),
                    st.sampled_from(["audio/pcm", "audio/pcm;rate=24000", "audio/opus", "image/png"]),
                ),
                "inputTranscription": st.fixed_dictionaries({"text": st.text(max_size=5)}),
                "interrupted": st.booleans(),
                "turnComplete": st.booleans() | SCALARS,
            },
        ),
        "toolCall": VALUES
        | st.builds(lambda name, args: {"functionCalls": [{"name": name, "args": args}]}, SCALARS, VALUES),
        "goAway": VALUES | st.fixed_dictionaries({"timeLeft": SCALARS | st.sampled_from(["50s", "nans", "-infs"])}),
        "sessionResumptionUpdate": VALUES,
    },
)


@settings(max_examples=200)
@given(messages=st.lists(GEMINI | MESSAGES, max_size=4), junk=st.binary(max_size=40))
def test_gemini_events(messages: list[Any], junk: bytes) -> None:
    session = GeminiSession(GeminiOptions("m", None, None, []), SessionFacts("", None, MULAW_8K))
    for text in (*(json.dumps(one).encode() for one in messages), junk):
        with contextlib.suppress(BadEventError, UnusableFormatError):
            for event in session.events(text):
                if isinstance(event, SessionEnding):
                    assert 0 <= event.left_s < 1e6
    session.opening([("user", "Hello")])


@settings(max_examples=200)
@given(messages=st.lists(st.tuples(MESSAGES, WORDS), max_size=5), junk=st.binary(max_size=40))
def test_deepgram_events(messages: list[tuple[Any, str]], junk: bytes) -> None:
    options = DeepgramOptions(None, "nova-3", "open_ai", "gpt-4o-mini", "aura-2-thalia-en", [])
    session = DeepgramSession(options, SessionFacts("", None, AudioFormat("l16", 16_000)))
    for text in (*(written(message, word) for message, word in messages), junk):
        with contextlib.suppress(BadEventError):
            session.events(text)
        with contextlib.suppress(BadEventError):
            session.binary(junk)


@settings(max_examples=200)
@given(messages=st.lists(st.tuples(MESSAGES, WORDS), max_size=5), junk=st.binary(max_size=40))
def test_elevenlabs_events(messages: list[tuple[Any, str]], junk: bytes) -> None:
    session = ElevenLabsSession(
        ElevenLabsOptions(instructs=False, language=None, voice=None), SessionFacts("", None, MULAW_8K)
    )
    for text in (*(written(message, word) for message, word in messages), junk):
        with contextlib.suppress(BadEventError, UnusableFormatError):
            session.events(text)


@settings(max_examples=200)
@given(name=st.sampled_from(["hang_up", "go_to", "note", "dance"]), message=MESSAGES, junk=st.text(max_size=20))
def test_tools(name: str, message: Any, junk: str) -> None:
    use = ToolUse(ToolSet(go_to={"sales": "buys"}, notes={"name": "their name"}))
    for arguments in (json.dumps(message), junk):
        assert use.use(name, arguments)


@settings(max_examples=300)
@given(data=st.binary(max_size=200), cut=st.integers(0, 200))
def test_audiosocket_frames_do_not_depend_on_how_tcp_cuts_them(data: bytes, cut: int) -> None:
    whole, parts = FrameReader(), FrameReader()
    assert list(whole.feed(data)) == [*parts.feed(data[:cut]), *parts.feed(data[cut:])]
