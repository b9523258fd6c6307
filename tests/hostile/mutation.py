"""Damages messages: what a broken peer sends by accident, and an attacker on purpose."""

from __future__ import annotations

import random
from collections.abc import Callable

NUMBERS = (
    b"-1", b"0", b"1", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648", b"4294967295", b"4294967296",
    b"18446744073709551616", b"99999999999999999999999999", b"1e9", b"0x10", b"", b" ",
)  # fmt: skip
WORDS = (
    b"", b" ", b"\t", b"*", b"%", b"%s%n%x", b"%00", b"\x00", b"\xff\xfe", b"\xc3\x28", "\u2028".encode(),
    b"<", b">", b'"', b"\\", b";", b",", b":", b"@", b"[::1]", b"sip:", b"sips:a@b", b"tel:+1", b"sip:a@[::1]",
    b"sip:%41@127.0.0.1;maddr=127.0.0.1;lr", b"A" * 300, b";a" * 200, b"<" * 100, b"(" * 100, b"z9hG4bK",
)  # fmt: skip
HEADERS = (
    b"Contact: *", b"Contact: <sip:a@127.0.0.1>;expires=4294967296;q=9", b"Expires: 4294967295", b"Expires: -1",
    b"Min-Expires: 4294967295", b"Retry-After: 99999999999", b"Session-Expires: 0", b"Min-SE: 4294967295",
    b"Session-Expires: 90;refresher=nobody", b"Require: timer,100rel,nothing", b"Supported: 100rel,timer",
    b"RAck: 1 1 INVITE", b"RSeq: 4294967295", b"Replaces: a;to-tag=b;from-tag=c", b"Refer-To: <sip:a@127.0.0.1>",
    b"Route: <sip:127.0.0.1;lr>", b"Record-Route: <sip:127.0.0.1:1;lr>", b"Max-Forwards: 0", b"Max-Forwards: 256",
    b"Content-Type: multipart/mixed", b"Content-Type: multipart/mixed;boundary=x", b"Content-Type: application/sdp",
    b"Content-Encoding: gzip", b"Content-Length: 5", b"Content-Length: 99999", b"Content-Length: -1", b"l: 0",
    b"Authorization: Digest", b"Authorization: Bearer x", b"Proxy-Authorization: Digest username=,realm=,nonce=",
    b"WWW-Authenticate: Digest realm=x,nonce=y,qop=auth-int", b"Proxy-Authenticate: Basic", b"To: x", b"From: x",
    b"Via: SIP/2.0/UDP 127.0.0.1:1;maddr=127.0.0.1;branch=z9hG4bKx", b"Via: SIP/2.0/TCP a;rport=0", b"CSeq: 0 ACK",
    b"P-Asserted-Identity: x", b"Identity: " + b"a" * 900, b"Subject: " + b"\xff" * 200, b"Event: x", b"Join: a",
    b"Service-Route: <sip:127.0.0.1;lr>" + b",<sip:127.0.0.1;lr>" * 20, b"Path: <sip:a>", b"Reason: Q.850;cause=x",
)  # fmt: skip


class Mutator:
    """Damages bytes in ways that random choices pick."""

    def __init__(self, choices: random.Random) -> None:
        self._choices = choices
        self._ways: tuple[Callable[[bytes], bytes], ...] = (
            self._flip, self._flip, self._cut, self._repeat, self._drop_line, self._repeat_line, self._swap_lines,
            self._number, self._number, self._word, self._word, self._header, self._header, self._value, self._case,
            self._line_ends, self._long_value,
        )  # fmt: skip

    def mutate(self, message: bytes) -> bytes:
        """One to four damages."""
        for _ in range(self._choices.choice((1, 1, 1, 2, 2, 3, 4))):
            message = self._choices.choice(self._ways)(message)
        return message[:60_000]

    def _place(self, message: bytes) -> int:
        return self._choices.randrange(len(message) + 1)

    def _flip(self, message: bytes) -> bytes:
        damaged = bytearray(message)
        for _ in range(self._choices.randint(1, 4)):
            if damaged:
                damaged[self._choices.randrange(len(damaged))] = self._choices.randrange(256)
        return bytes(damaged)

    def _cut(self, message: bytes) -> bytes:
        return message[: self._place(message)]

    def _repeat(self, message: bytes) -> bytes:
        begin, end = sorted((self._place(message), self._place(message)))
        return message[:end] + message[begin : begin + 400] * self._choices.randint(1, 30) + message[end:]

    def _drop_line(self, message: bytes) -> bytes:
        lines = message.split(b"\r\n")
        del lines[self._choices.randrange(len(lines))]
        return b"\r\n".join(lines)

    def _repeat_line(self, message: bytes) -> bytes:
        lines = message.split(b"\r\n")
        index = self._choices.randrange(len(lines))
        lines[index:index] = [lines[index]] * self._choices.choice((1, 2, 10, 100))
        return b"\r\n".join(lines)

    def _swap_lines(self, message: bytes) -> bytes:
        lines = message.split(b"\r\n")
        one, other = self._choices.randrange(len(lines)), self._choices.randrange(len(lines))
        lines[one], lines[other] = lines[other], lines[one]
        return b"\r\n".join(lines)

    def _number(self, message: bytes) -> bytes:
        digits = [i for i, byte in enumerate(message) if 48 <= byte <= 57]
        if not digits:
            return message
        begin = end = self._choices.choice(digits)
        while end < len(message) and 48 <= message[end] <= 57:
            end += 1
        while begin > 0 and 48 <= message[begin - 1] <= 57:
            begin -= 1
        return message[:begin] + self._choices.choice(NUMBERS) + message[end:]

    def _word(self, message: bytes) -> bytes:
        place = self._place(message)
        return message[:place] + self._choices.choice(WORDS) + message[place:]

    def _header(self, message: bytes) -> bytes:
        head, empty, body = message.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        lines.insert(self._choices.randint(1, len(lines)), self._choices.choice(HEADERS))
        return b"\r\n".join(lines) + empty + body

    def _value(self, message: bytes) -> bytes:
        lines = message.split(b"\r\n")
        index = self._choices.randrange(len(lines))
        name, mark, _ = lines[index].partition(b":" if b":" in lines[index] else b"=")
        lines[index] = name + mark + b" " + self._choices.choice(WORDS + NUMBERS)
        return b"\r\n".join(lines)

    def _case(self, message: bytes) -> bytes:
        begin, end = sorted((self._place(message), self._place(message)))
        return message[:begin] + message[begin:end].swapcase() + message[end:]

    def _line_ends(self, message: bytes) -> bytes:
        return message.replace(b"\r\n", self._choices.choice((b"\n", b"\r", b"\r\n ", b"\r\n\t", b"\n\n")))

    def _long_value(self, message: bytes) -> bytes:
        place = self._place(message)
        return message[:place] + self._choices.choice(WORDS) * self._choices.choice((10, 100, 1_000)) + message[place:]
