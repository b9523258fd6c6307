"""One call as PJSIP knows it. Everything here runs on the SIP thread."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol

import pjsua2 as pj

from gateway.sip.events import (
    CallRef,
    Confirmed,
    Disconnected,
    HoldChanged,
    Incoming,
    Invite,
    MediaFailed,
    MediaStarted,
    Side,
    SipEvent,
)
from gateway.sip.headers import parse_headers, request_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from media.plane import EngineLeg, MediaPlane

_P = ParamSpec("_P")

REQUEST_TIMEOUT = 408
"""What PJSIP reports when our 200 was never acknowledged, or a request within the call not answered."""
REQUEST_TERMINATED = 487


class SipThread(Protocol):
    """What a call needs of the thread that it lives on."""

    @property
    def plane(self) -> MediaPlane:
        """Where streams are driven."""

    def tell(self, event: SipEvent) -> None:
        """Hand an event to asyncio."""

    def report(self, where: str, error: Exception) -> None:
        """Log what went wrong in a callback."""

    def bury(self, call: SipCall) -> None:
        """Delete a disconnected call, later."""


def guarded(
    callback: Callable[Concatenate[SipCall, _P], None],
) -> Callable[Concatenate[SipCall, _P], None]:
    """A PJSIP callback that reports its exception: one that left it would end the process inside C++."""

    @functools.wraps(callback)
    def run(self: SipCall, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            callback(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the edge of the SIP thread; see the docstring
            self.thread.report(callback.__name__, error)

    return run


class SipCall(pj.Call):  # type: ignore[misc]  # pjsua2 has no type stubs
    """A dialog and its media. Strongly referenced by the endpoint until it has been disconnected."""

    def __init__(self, thread: SipThread, account: pj.Account, call_id: int, ref: CallRef, leg: EngineLeg) -> None:
        super().__init__(account, call_id)
        self.thread = thread
        self.ref = ref
        self.leg = leg
        self._ended_by_us = False
        self._held = False
        self._codec = ""

    # ---- commands ------------------------------------------------------------------------------------------

    def respond(self, code: int) -> None:
        """Send 180, 183 or 200; no effect once the call is over."""
        if not self.isActive():
            return
        operation = pj.CallOpParam(True)  # noqa: FBT003 - pjsua2's signature: with default call settings
        operation.statusCode = code
        operation.opt.audioCount = 1
        operation.opt.videoCount = operation.opt.textCount = 0
        self.answer(operation)

    def end(self, code: int, reason: str | None, headers: Mapping[str, str]) -> None:
        """BYE an answered call, or refuse one that was not with `code`; no effect once the call is over."""
        if not self.isActive():
            return
        self._ended_by_us = True
        self.leg.slot.detach()  # PJSUA may free the stream of a call that hangs up without telling us
        operation = pj.CallOpParam()
        operation.statusCode = code
        if reason is not None:
            operation.reason = reason
        for name, value in headers.items():
            header = pj.SipHeader()
            header.hName, header.hValue = name, value
            operation.txOption.headers.append(header)
        self.hangup(operation)

    # ---- callbacks -----------------------------------------------------------------------------------------

    @guarded
    def onStreamCreated(self, prm: pj.OnStreamCreatedParam) -> None:
        """PJSIP: a stream was negotiated and runs. The bridge gets a port that does nothing in its place."""
        try:
            prm.pPort = self.thread.plane.engine.attach(self.leg.slot, prm.stream)
        except ValueError as error:
            self.thread.tell(MediaFailed(self.ref, str(error)))
            return
        prm.destroyPort = True

    @guarded
    def onStreamDestroyed(self, _prm: pj.OnStreamDestroyedParam) -> None:
        """PJSIP: the stream will be freed when this returns."""
        self.leg.slot.detach()

    @guarded
    def onCallMediaState(self, _prm: pj.OnCallMediaStateParam) -> None:
        """PJSIP: an offer was answered, ours or the peer's."""
        info = self.getInfo()
        for index, media in enumerate(info.media):
            if media.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            held = media.status in (pj.PJSUA_CALL_MEDIA_REMOTE_HOLD, pj.PJSUA_CALL_MEDIA_NONE)
            if held != self._held:
                self._held = held
                self.thread.tell(HoldChanged(self.ref, held))
            if media.status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD):
                self._tell_stream(index)
            return

    def _tell_stream(self, index: int) -> None:
        stream = self.getStreamInfo(index)
        self._codec = f"{stream.codecName}/{stream.codecClockRate}"
        self.thread.tell(MediaStarted(self.ref, self._codec, stream.remoteRtpAddress))

    @guarded
    def onCallState(self, _prm: pj.OnCallStateParam) -> None:
        """PJSIP: the INVITE session went on (RFC 3261 section 13)."""
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            self.thread.tell(Confirmed(self.ref))
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.leg.slot.detach()
            self.thread.tell(
                Disconnected(self.ref, self._ender(info.lastStatusCode), info.lastStatusCode, info.lastReason)
            )
            self.thread.bury(self)

    def _ender(self, code: int) -> Side:
        if self._ended_by_us:
            return Side.GATEWAY
        return Side.NETWORK if code == REQUEST_TIMEOUT else Side.CALLER


def incoming(ref: CallRef, leg: EngineLeg, rx: pj.SipRxData) -> Incoming:
    """The event for an INVITE as it was received."""
    headers = parse_headers(rx.wholeMsg)
    sip_call_id = (headers.get("call-id") or headers.get("i") or ("",))[0]
    return Incoming(ref, leg, Invite(sip_call_id, request_uri(rx.wholeMsg), rx.srcAddress, headers))
