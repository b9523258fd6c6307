"""The native media engine: pjmedia streams read as packets arrive, written on a media clock. See media/engine/."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

FRAME: int
DTMF: int
MARK: int
DRAINED: int
SILENT: int
HEARD: int
SENT: int

class Tuning:
    """How the engine waits. Times in ms; `playout_limit_ms` is the most one slot may have queued.

    `own` has where this process receives, as IPv4 address, first and last port; 0.0.0.0 is all of this machine. Of
    more ports than one only those of attached streams count. A stream that leads there is not attached, and RTP from
    there is nobody's.
    """

    def __init__(
        self,
        *,
        reorder_ms: int = 40,
        fill_after_ms: int = 60,
        silent_after_ms: int = 5000,
        playout_limit_ms: int = 120_000,
        own: Sequence[tuple[str, int, int]] = (),
    ) -> None: ...

class Position:
    @property
    def played_samples(self) -> int: ...
    @property
    def queued_samples(self) -> int: ...
    @property
    def wait_ms(self) -> float: ...

class Flushed:
    @property
    def played_samples(self) -> int: ...
    @property
    def dropped_samples(self) -> int: ...
    @property
    def dropped_marks(self) -> list[int]: ...

class Counters:
    """Since the slot was opened. Frames are what the agent's side saw, packets what the wire saw."""

    @property
    def frames_in(self) -> int: ...
    @property
    def frames_concealed(self) -> int: ...
    @property
    def frames_filled(self) -> int: ...
    @property
    def frames_overrun(self) -> int: ...
    @property
    def frames_out(self) -> int: ...
    @property
    def taps_missed(self) -> int:
        """Frames sent that a tap did not get, since nobody had read for two seconds."""
    @property
    def send_errors(self) -> int: ...
    @property
    def packets_received(self) -> int: ...
    @property
    def packets_lost(self) -> int: ...
    @property
    def packets_discarded(self) -> int: ...
    @property
    def packets_reordered(self) -> int: ...
    @property
    def packets_late(self) -> int: ...
    @property
    def packets_foreign(self) -> int:
        """Not the peer's: dropped, and in none of the others."""
    @property
    def packets_sent(self) -> int: ...
    @property
    def jitter_ms(self) -> float: ...
    @property
    def peer_loss_pct(self) -> float: ...
    @property
    def round_trip_ms(self) -> float: ...

class Slot:
    """One call's media. Lives as long as Python or its stream needs it."""

    @property
    def id(self) -> int:
        """Never used twice in a process."""
    @property
    def rate_hz(self) -> int:
        """0 until the first stream is attached, then fixed."""
    @property
    def period_ms(self) -> int: ...
    def play(self, pcm: npt.NDArray[np.int16], mark: int | None = None) -> bool:
        """Queues a copy; False, and nothing queued, when the limit would be exceeded or no stream came yet."""
    def expect_from(self, host: str) -> None:
        """SIP thread, before a stream is attached: the address that the peer's SIP comes from, for where RTP may."""
    def trust(self) -> None:
        """The peer is believed: it is sent what it asks for, wherever that goes."""
    def confirm(self) -> None:
        """The host of `expect_from` has acknowledged; before, 50 packets go at most, and now 500 to another host."""
    def flush(self) -> Flushed:
        """After it returns no sample queued before reaches the wire."""
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def position(self) -> Position: ...
    def counters(self) -> Counters: ...
    def sent(self, samples: int) -> npt.NDArray[np.int16]:
        """The last samples that went to the wire, newest last; as many are kept as were ever asked for."""
    def tap_sent(self, tapped: bool) -> None:
        """Whether each frame that goes to the wire, silence too, is a SENT record as well."""
    def press(self, digit: str, duration_ms: int) -> None:
        """SIP thread. A key that the peer told by signalling; not told again if it comes by RTP as well, or has come.

        Raises:
            ValueError: not one sign.
        """
    def detach(self) -> None:
        """SIP thread. Returns when no media thread is inside the stream any more. Idempotent."""

class Engine:
    """All slots of the process, their clock threads, and one queue towards asyncio."""

    def __init__(self, tuning: Tuning, *, clock_threads: int = 1) -> None: ...
    def open(self) -> Slot: ...
    def attach(self, slot: Slot, stream: int) -> object:
        """SIP thread, in onStreamCreated: take over the pjmedia_stream at this address.

        Returns what to assign to `prm.pPort`, with `prm.destroyPort = True`.

        Raises:
            ValueError: the stream cannot be used: not mono, another rate than the slot's, an odd frame length.
        """
    def read(self) -> tuple[list[tuple[int, int, int, int, int]], npt.NDArray[np.int16]]:
        """Everything since the last read: records (slot id, kind, begin, end, time) and the samples of all frames.

        A FRAME's and a SENT's samples are pcm[begin:end]; DTMF: digit in ASCII and ms; MARK: the mark; SILENT: ms.
        HEARD is the first packet of a stream. The time is when it came or went, in ns of CLOCK_MONOTONIC.
        The array is read-only and lives as long as any view of it.
        """
    def fileno(self) -> int:
        """Readable when there is something to read."""
    @property
    def slots(self) -> int:
        """How many slots there are in the process, whoever holds them."""
    @property
    def late_ticks(self) -> int:
        """Times that a clock thread woke more than 5 ms late."""
    @property
    def realtime(self) -> bool:
        """Whether the kernel granted the clock threads real-time priority."""

class RealTime:
    """Keeps threads at real-time priority (SCHED_RR) as long as they leave the processor some time."""

    def __init__(self) -> None: ...
    def add(self, thread: int, priority: int) -> bool:
        """A thread by its kernel id (`threading.get_native_id`), priority 1 to 8; False: the system forbids it."""
    def is_demoted(self, thread: int) -> bool:
        """Whether a thread that was added is an ordinary one now."""
    @property
    def demotions(self) -> int:
        """How often a thread that computed for a second without a pause was made an ordinary one."""
    @property
    def demoted(self) -> int:
        """How many of the threads are ordinary ones now; each is real-time again once it waits."""

class Wakeup:
    """Ends `Endpoint.libHandleEvents` at once. Create and close on the SIP thread, after libInit."""

    def __init__(self) -> None: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...

def max_calls() -> int:
    """How many calls PJSUA really takes: it clips what it is asked for to what was compiled in."""

def transport_of(message: int) -> int:
    """SIP thread, in a callback: the transport on which the pjsip_rx_data at this address came; both are addresses."""

def refuse_other_requests() -> None:
    """SIP thread, after libInit: refuse requests that are no call, and do not offer what they are for."""

def limit_connections(*, all: int, per_source: int) -> None:  # noqa: A002 - of all sources
    """SIP thread, after all transports were made: bound what is accepted over TCP."""

def next_hop(message: int) -> str:
    """The host of an INVITE's Record-Route or else Contact, "" if it has none; `message` is `pjRxData`."""

def route_dialog(call: int, message: int, *, to_source: bool) -> None:
    """SIP thread, in onIncomingCall: requests of the call leave where its INVITE came to, or go to its source, too."""

def look_names_up(servers: list[tuple[str, int]], own: list[str]) -> None:
    """SIP thread, after libInit: ask these name servers (IPv4 address, port) without waiting for them.

    `own` are names of trunks. Of others a bounded number are looked up at once; without servers none is.
    """

def note_call(call: int, *, is_trunks: bool) -> None:
    """SIP thread, in onIncomingCall: whether this call of PJSUA is a trunk's."""

def trust_name(name: str) -> None:
    """SIP thread: this name, too, is a trunk's: a call of the trunk has it in its Contact or Record-Route."""

def trust_hosts(networks: list[tuple[str, int]]) -> None:
    """SIP thread: the hosts of trunks, as IPv4 address and length of the prefix; places are kept for them."""

def install_door(retry_after_s: int, *, kept_for_trunks: int) -> None:
    """SIP thread, after libInit: refuse INVITEs with 503 and Retry-After while the door is closed or PJSUA is full.

    If there are trunks, so many of PJSUA's calls are only for their hosts.
    """

def close_door(closed: bool) -> None:
    """SIP thread: whether calls that come now are turned away."""

def take_turned_away() -> list[tuple[str, int, list[tuple[bytes, str]]]]:
    """SIP thread: what the door has refused since the last time.

    For each reason ("full", "strangers", "rate") that there was: how many, and Call-ID and "address:port" of the first.
    """

def judge_challenges(may_answer: Callable[[int, str, str, str, str, bool, bool], bool]) -> None:
    """SIP thread, after libInit: answer a 401 or 407 (RFC 3261 section 22) only where `may_answer` says so.

    It is called on the SIP thread with PJSUA's id of the account, the challenged request's method, the realm, the
    address that the challenge came from, the one that the request went to, whether the request held an answer for that
    realm already, and whether that is said to be stale. A challenge that may not be answered is as if not made.
    """

def screen_requests() -> None:
    """SIP thread, after libInit: answer what PJSIP would let through, see screen.hpp."""

def excessive_requests() -> int:
    """How many requests within a dialog were refused: strangers may send 20 a second in each."""

def malformed_messages() -> int:
    """How many messages were no SIP, or too malformed to be served."""

def capture_pjlog() -> None:
    """From now on pjlib's log lines are kept for `take_pjlog`."""

def pjlog_fileno() -> int: ...
def take_pjlog() -> tuple[list[tuple[int, bytes]], int]:
    """(level, text) lines, oldest first, and how many were dropped: a sender may say 50 at once, and 10 a second.

    A text begins with its sender, and holds at most 2,000 bytes of whatever strangers sent, UTF-8 or not.
    """
