"""linphone, whose telephones many people have, calls by each codec and transport that both know."""

from __future__ import annotations

import pytest

from tests.e2e.own_network import run_in_own_network


@pytest.mark.parametrize(("codec", "transport"), [("PCMU", "udp"), ("PCMA", "tcp"), ("G722", "udp"), ("opus", "tcp")])
def test_linphone_hears_its_echo(codec: str, transport: str) -> None:
    run_in_own_network("linphone_calls", codec, transport)
