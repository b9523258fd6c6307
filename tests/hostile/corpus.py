"""Good messages, to begin the damage with."""

from __future__ import annotations

SDP = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 9 RTP/AVP 0 8 9 96 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:9 G722/8000
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1;stereo=0;maxplaybackrate=16000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=sendrecv
"""
RICH_SDP = """v=0
o=caller 20518 0 IN IP4 127.0.0.1
s=call
c=IN IP4 127.0.0.1
b=AS:84
t=0 0
a=group:BUNDLE audio video
a=ice-ufrag:8hhY
a=ice-pwd:asd88fgpdd777uzjYhagZg
m=audio 9 RTP/SAVP 0 101
c=IN IP4 127.0.0.1
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:4
a=rtcp:9 IN IP4 127.0.0.1
a=rtcp-mux
a=candidate:1 1 UDP 2130706431 127.0.0.1 9 typ host
a=rtpmap:101 telephone-event/8000
m=audio 9 RTP/AVP 0 8
a=inactive
a=maxptime:40
m=video 9 RTP/AVP 97
a=rtpmap:97 H264/90000
a=fmtp:97 profile-level-id=42e01f;packetization-mode=1
m=image 9 udptl t38
a=T38FaxVersion:0
m=text 9 RTP/AVP 98 100
a=rtpmap:98 t140/1000
a=rtpmap:100 red/1000
a=fmtp:100 98/98/98
"""

_METHODS = (
    "INVITE", "OPTIONS", "REGISTER", "BYE", "CANCEL", "ACK", "INFO", "UPDATE", "PRACK", "SUBSCRIBE",
    "NOTIFY", "MESSAGE", "REFER", "PUBLISH", "HELLO",
)  # fmt: skip


def message(start: str, method: str, number: int, transport: str, body: str = "") -> bytes:
    """A message with the usual headers; `number` makes its call another one than the others."""
    content = body.replace("\n", "\r\n").encode()
    lines = [
        start,
        f"Via: SIP/2.0/{transport} 127.0.0.1:9;branch=z9hG4bK{number};rport",
        "Max-Forwards: 70",
        f'From: "A caller" <sip:hostile@127.0.0.1:9>;tag={number}',
        "To: <sip:refused@127.0.0.1>",
        f"Call-ID: hostile-{number}@127.0.0.1",
        f"CSeq: {number % 1000 + 1} {method}",
        "Contact: <sip:hostile@127.0.0.1:9>",
        "User-Agent: hostile",
        "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS",
        "Supported: timer, 100rel",
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(content)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


def requests(number: int, transport: str) -> bytes:
    """One of all kinds of requests, and of answers that nobody has asked for."""
    kind = number % (len(_METHODS) + 6)
    if kind < len(_METHODS):
        method = _METHODS[kind]
        body = (SDP, RICH_SDP)[number // 20 % 2] if method in {"INVITE", "UPDATE", "ACK"} else ""
        return message(f"{method} sip:refused@127.0.0.1 SIP/2.0", method, number, transport, body)
    if kind < len(_METHODS) + 3:
        return message("INVITE sip:refused@127.0.0.1 SIP/2.0", "INVITE", number, transport, SDP)
    code = (100, 180, 200, 302, 401, 407, 422, 491, 503, 700)[number // 20 % 10]
    method = ("INVITE", "REGISTER", "BYE")[number % 3]
    return message(f"SIP/2.0 {code} An answer", method, number, transport, SDP if code == 200 else "")
