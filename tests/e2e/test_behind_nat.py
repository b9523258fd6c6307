"""`behind_nat: auto`: where requests and sound go, decided by the addresses alone."""

from __future__ import annotations

import pytest

from tests.e2e.own_network import run_in_own_network


@pytest.mark.parametrize("caller", ["behind", "half_known", "in_front"])
def test_each_caller_is_reached(caller: str) -> None:
    run_in_own_network("behind_nat", caller)
