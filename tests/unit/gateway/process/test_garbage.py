import gc
import os
import resource
from collections import deque
from collections.abc import Iterator

import pytest

from gateway.process.garbage import GarbagePolicy, own_memory_bytes


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
        self.voice = bytearray()
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


def test_a_gateway_that_is_never_empty_collects_when_memory_has_grown() -> None:
    memory_mb = 100
    policy = GarbagePolicy(lambda: memory_mb << 20)
    policy.start()
    bounds_mb = []
    for memory_mb in range(100, 1000):
        old = Cycle()
        gc.collect(0)
        gc.collect(1)
        del old
        policy.on_call_ended(live=1)
        if Cycle.alive == 0:
            bounds_mb.append(memory_mb)
    assert bounds_mb == [165, 230, 295, 369, 462, 578, 723, 904]


def test_memory_of_live_calls_is_no_garbage() -> None:
    memory_mb = 100
    policy = GarbagePolicy(lambda: memory_mb << 20)
    policy.start()
    cycle = Cycle()
    gc.collect(0)
    gc.collect(1)
    del cycle
    memory_mb = 250
    policy.on_call_ended(live=1_000)
    policy.on_call_ended(live=100)
    assert Cycle.alive == 1, "what they took is given back later"
    memory_mb = 320
    policy.on_call_ended(live=100)
    assert Cycle.alive == 0


def test_memory_is_known_without_a_descriptor_left() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.pipe()
        assert own_memory_bytes() > 1 << 20
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_memory_that_agents_leave_in_cycles_is_bounded() -> None:
    policy = GarbagePolicy()
    policy.start()
    before_bytes, most_bytes = own_memory_bytes(), 0
    live: deque[Cycle] = deque(maxlen=500)
    for _ in range(8000):
        cycle = Cycle()
        cycle.voice = bytearray(b"x") * 100_000
        live.append(cycle)
        policy.on_call_ended(live=len(live))
        most_bytes = max(most_bytes, own_memory_bytes())
    assert most_bytes - before_bytes < 160 << 20


def test_young_generations_are_collected_as_always() -> None:
    GarbagePolicy().start()
    assert gc.isenabled()
    assert gc.get_threshold()[0] < 10_000
