"""Damaged SIP messages from strangers, over UDP and TCP."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from tests.hostile.budget import dice, rounds
from tests.hostile.corpus import message, requests
from tests.hostile.mutation import Mutator

if TYPE_CHECKING:
    from tests.e2e.gateway_process import GatewayProcess
    from tests.hostile.canary import Canary

MESSAGES_PER_S = 500
CONNECTIONS_PER_S = 40
MESSAGES_OF_A_CONNECTION = 12


def test_datagrams(gateway: GatewayProcess, canary: Canary) -> None:
    mutator = Mutator(dice("datagrams"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in rounds(MESSAGES_PER_S):
            stranger.sendto(mutator.mutate(requests(number, "UDP")), gateway.address)


def test_streams(gateway: GatewayProcess, canary: Canary) -> None:
    """Messages in a row, cut anywhere, on connections that end in the middle of one."""
    choices = dice("streams")
    mutator = Mutator(choices)
    for number in rounds(CONNECTIONS_PER_S):
        first = number * MESSAGES_OF_A_CONNECTION
        messages = [requests(first + i, "TCP") for i in range(choices.randint(1, MESSAGES_OF_A_CONNECTION))]
        stream = b"".join(mutator.mutate(message) if choices.random() < 0.5 else message for message in messages)
        with contextlib.suppress(OSError), socket.create_connection(gateway.address, 1.0) as stranger:
            stranger.settimeout(0.2)  # it may not be read on when it is nothing but damage
            while stream:
                size = choices.choice((1, 50, 500, 5_000))
                stranger.sendall(stream[:size])
                stream = stream[size:]


def test_headers_of_spaces(gateway: GatewayProcess, canary: Canary) -> None:
    """Each is read on the loop that carries all callers' voices: what a reader does twice per character adds up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in rounds(25):
            invite = message("INVITE sip:refused@127.0.0.1 SIP/2.0", "INVITE", number, "UDP")
            spaces = b"sip:hostile@127.0.0.1:9;tag=%d%s;x=y" % (number, b" " * 6_900)
            stranger.sendto(
                invite.replace(b'"A caller" <sip:hostile@127.0.0.1:9>;tag=%d' % number, spaces), gateway.address
            )
    assert not gateway.events("gateway.overloaded")
