"""linphone hears its echo: run in a network of its own by test_linphone.py, as CODEC and TRANSPORT."""

from __future__ import annotations

import sys
import time

import numpy as np

from tests.e2e.gateway_process import GatewayProcess, Setup
from tests.e2e.listening import assert_heard
from tests.e2e.own_network import loopback
from tests.e2e.peers.linphone import Linphone
from tests.e2e.peers.sound import silence, tone

SPOKEN = np.concatenate((silence(500), tone(440, 600), silence(300), tone(1_000, 600), silence(10_000)))
CALL_S = 3.5


def main(codec: str, transport: str) -> None:
    """Both tones come back, and nothing else."""
    loopback("up")
    setup = Setup(sip={"codecs": ["G722", "PCMU", "PCMA", "opus"]})
    with GatewayProcess(setup) as gateway, Linphone(SPOKEN, codec) as phone:
        phone.dial(f"sip:600@{gateway.target};transport={transport}")
        time.sleep(CALL_S)
        phone.hang_up()
        gateway.wait_idle()
        (record,) = gateway.events("call.ended")
        assert str(record["codec"]).startswith(codec), record
        assert (record["cause"], record["loss_pct"]) == ("caller-hung-up", 0), record
        pcm, rate_hz = phone.heard()
        low, high = assert_heard(pcm, [440, 1_000], rate_hz)
        for run in (low, high):
            assert 500 < run.length_ms < 700, run


if __name__ == "__main__":
    main(*sys.argv[1:])
