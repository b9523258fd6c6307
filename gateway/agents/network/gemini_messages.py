"""The JSON of the Gemini Live API: the parts of the server's messages that are read, and declarations of tools."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

_DURATION = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,9})?)s")


class _Blob(msgspec.Struct, rename="camel"):
    data: bytes = b""  # msgspec decodes base64
    mime_type: str = ""


class _Part(msgspec.Struct, rename="camel"):
    inline_data: _Blob | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] = []


class _Transcription(msgspec.Struct):
    text: str = ""


class ServerContent(msgspec.Struct, rename="camel"):
    """A part of the conversation; one message may set several fields."""

    model_turn: _Content | None = None
    input_transcription: _Transcription | None = None
    output_transcription: _Transcription | None = None
    interrupted: bool = False
    generation_complete: bool = False
    turn_complete: bool = False
    turn_complete_reason: str = ""


class FunctionCall(msgspec.Struct):
    """A tool that the model calls."""

    name: str
    id: str = ""
    args: dict[str, Any] = {}


class _ToolCall(msgspec.Struct, rename="camel"):
    function_calls: list[FunctionCall] = []


class _Cancellation(msgspec.Struct):
    ids: list[str] = []


class _GoAway(msgspec.Struct, rename="camel"):
    time_left: str = ""


class _Resumption(msgspec.Struct, rename="camel"):
    new_handle: str = ""
    resumable: bool = False


class ServerMessage(msgspec.Struct, rename="camel"):
    """One message of the server; each field that is set reports something."""

    setup_complete: dict[str, Any] | None = None
    server_content: ServerContent | None = None
    tool_call: _ToolCall | None = None
    tool_call_cancellation: _Cancellation | None = None
    go_away: _GoAway | None = None
    session_resumption_update: _Resumption | None = None


server_message = msgspec.json.Decoder(ServerMessage)
"""Decodes one message of the server; fields that are not used here are skipped."""


def declaration(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a tool of `ToolSet.declared` to the API's form: types in capitals, and no object without properties.

    Tools are declared as blocking, so that the model has finished speaking when it calls one; otherwise newer models
    continue to speak.
    """
    declared = {"name": tool["name"], "description": tool["description"], "behavior": "BLOCKING"}
    if tool["parameters"]["properties"]:
        declared["parameters"] = _schema(tool["parameters"])
    return declared


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in schema.items() if value != []}
    found["type"] = schema["type"].upper()
    if "properties" in schema:
        found["properties"] = {name: _schema(one) for name, one in schema["properties"].items()}
    return found


def seconds(written: str) -> float:
    """Parse a duration in protobuf's JSON form, such as `50s` or `9.500s`; anything else counts as 0."""
    match = _DURATION.fullmatch(written)
    return float(match[1]) if match else 0.0
