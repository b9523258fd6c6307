import gc
from collections.abc import Iterator

import pytest

from gateway.garbage import GarbagePolicy


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


class Cycle:
    """Only a full collection frees it."""

    alive = 0

    def __init__(self) -> None:
        self.me = self
        Cycle.alive += 1

    def __del__(self) -> None:
        Cycle.alive -= 1


def test_full_collections_wait_for_a_quiet_moment() -> None:
    policy = GarbagePolicy()
    policy.start()
    cycle = Cycle()
    gc.collect(0)
    gc.collect(1)
    del cycle
    for _ in range(1000):
        policy.on_call_ended(live=5)
    assert Cycle.alive == 1
    policy.on_call_ended(live=0)
    assert Cycle.alive == 0


def test_young_generations_are_collected_as_always() -> None:
    GarbagePolicy().start()
    assert gc.isenabled()
    assert gc.get_threshold()[0] < 10_000
