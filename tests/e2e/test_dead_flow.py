"""A TCP connection on which nothing comes back any more is noticed, though nobody closes it."""

from __future__ import annotations

import pytest

from tests.e2e.own_network import run_in_own_network


@pytest.mark.slow
def test_a_trunk_registers_anew_when_its_connection_has_died_silently() -> None:
    run_in_own_network("dead_flow", limit_s=140)
