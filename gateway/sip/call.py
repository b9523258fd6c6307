"""One call in PJSIP. Everything here runs on the SIP thread."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol

import pjsua2 as pj

from gateway.sip.events import (
    CallRef,
    Confirmed,
    Disconnected,
    GivenUp,
    HoldChanged,
    Incoming,
    MediaFailed,
    MediaStarted,
    ReceivedInvite,
    Refused,
    Side,
    SipEvent,
)
from gateway.sip.headers import as_text, body, has_description, parse_headers, request_uri, requires
from gateway.sip.sdp import at_rate, obstacle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from media.plane import EngineLeg, MediaPlane

_P = ParamSpec("_P")

DECLINE = 603
_NOT_ACCEPTABLE = 488
_CANNOT_ANSWER = 170488
"""PJSIP's own error for a 488: the offer cannot be answered."""
_RUNNING = (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD)
_UNKNOWN_METHOD = (405, 501)
_UNANSWERED = (pj.PJSIP_INV_STATE_INCOMING, pj.PJSIP_INV_STATE_EARLY)
_BY_THE_CALLER = {200, 487}
"""After BYE, after CANCEL. PJSIP itself sets any other status, such as 408 if our 200 was never acknowledged."""


class SipThread(Protocol):
    """What a call needs from the SIP thread."""

    @property
    def plane(self) -> MediaPlane:
        """The media plane, which drives the streams."""

    def tell(self, event: SipEvent) -> None:
        """Hand an event to asyncio."""

    def report(self, where: str, error: Exception, sip_call_id: str = "") -> None:
        """Log what went wrong in a callback."""

    def bury(self, call: SipCall) -> None:
        """Delete a disconnected call, later."""

    def on_contact_refused(self, call: SipCall) -> None:
        """The peer cannot take the new Contact just now: `tell_contact` later."""


def guarded(
    callback: Callable[Concatenate[SipCall, _P], None],
) -> Callable[Concatenate[SipCall, _P], None]:
    """Make a PJSIP callback report its exceptions: an exception that reaches C++ would end the process."""

    @functools.wraps(callback)
    def run(self: SipCall, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            callback(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the edge of the SIP thread; see the docstring
            self.thread.report(callback.__name__, error, self.sip_call_id)

    return run


class SipCall(pj.Call):  # type: ignore[misc]  # pjsua2 has no type stubs
    """A dialog and its media. The endpoint keeps a reference to it until it is disconnected."""

    def __init__(self, thread: SipThread, account: pj.Account, call_id: int, event: Incoming) -> None:
        super().__init__(account, call_id)
        self.thread = thread
        self.account = account
        self.ref = event.ref
        self.leg = event.leg
        self.sip_call_id = event.invite.sip_call_id
        self._obstacle = event.invite.obstacle
        self._must_offer = not event.invite.has_offer and requires(event.invite.headers, "100rel")
        self._ended_by_us = False
        self._held = False
        self._codec = ""
        self._stream = 0
        """The memory address of the stream that the slot drives; 0 when there is none."""
        self._telling = ""
        """The method of the request that tells the peer a new Contact, until it is answered."""
        self._knows_update = True
        self._line = 0
        """The index of the stream's media line in the session description (RFC 3264 section 6)."""

    # ---- commands ------------------------------------------------------------------------------------------

    def respond(self, code: int) -> None:
        """Send 180, 183 or 200.

        No 180 to an INVITE without an offer that requires reliable responses: it would have to make the offer
        (RFC 3262 section 5), which PJSIP does in 183 and 200.
        """
        if self._is_lost() or (code == pj.PJSIP_SC_RINGING and self._must_offer):
            return
        operation = pj.CallOpParam(True)  # noqa: FBT003 - pjsua2's signature: with default call settings
        operation.statusCode = code
        operation.opt.audioCount = 1
        operation.opt.videoCount = operation.opt.textCount = 0
        try:
            self.answer(operation)
        except pj.Error as error:
            if error.status != _CANNOT_ANSWER:
                raise
            self.thread.tell(MediaFailed(self.ref, error.reason))

    def end(self, code: int, reason: str | None, headers: Mapping[str, str]) -> None:
        """End an answered call with BYE, or refuse an unanswered one with `code`. `Disconnected` follows both."""
        if self._is_lost():
            return
        if code // 100 == 2 and self.getInfo().state in _UNANSWERED:
            code = pj.PJSIP_SC_SERVER_TIMEOUT  # our 200 waits for a PRACK that never came (RFC 3262 section 3)
        self._ended_by_us = True
        self._detach()  # when a call hangs up, PJSUA may free its stream without a callback
        operation = pj.CallOpParam()
        operation.statusCode = code
        if reason is not None:
            operation.reason = reason
        for name, value in headers.items():
            header = pj.SipHeader()
            header.hName, header.hValue = name, value
            operation.txOption.headers.append(header)
        self.hangup(operation)

    def probe(self) -> None:
        """Send OPTIONS in the dialog. PJSIP ends it after 408, 481 or no response (RFC 3261 section 12.2.1.2)."""
        if not self._is_lost():
            request = pj.CallSendRequestParam()
            request.method = "OPTIONS"
            self.sendRequest(request)

    def tell_contact(self) -> bool:
        """Tell the peer the account's new Contact (RFC 3261 section 12.2.2): the old one cannot be reached any more.

        By UPDATE if the peer allows it, else by re-INVITE. Returns whether that was possible: not before the ACK.
        """
        if self._is_lost() or self.getInfo().state != pj.PJSIP_INV_STATE_CONFIRMED:
            return False
        operation = pj.CallOpParam(True)  # noqa: FBT003 - as above
        operation.opt.audioCount = 1
        operation.opt.videoCount = operation.opt.textCount = 0
        operation.opt.flag |= pj.PJSUA_CALL_UPDATE_CONTACT
        allows_update = self.remoteHasCap(pj.PJSIP_H_ALLOW, "", "UPDATE") == pj.PJSIP_DIALOG_CAP_SUPPORTED
        if self._knows_update and allows_update:
            operation.opt.flag |= pj.PJSUA_CALL_NO_SDP_OFFER
            self.update(operation)
            self._telling = "UPDATE"
        else:
            self.reinvite(operation)
            self._telling = "INVITE"
        return True

    def let_go(self) -> None:
        """Free everything the call holds. If PJSIP's call still exists, it ends when this object is deleted."""
        self._detach()
        self.thread.bury(self)

    def _is_lost(self) -> bool:
        """Whether PJSIP has dropped the call without a callback; then report `Disconnected`."""
        if self.isActive():
            return False
        self._tell_end(pj.PJSIP_SC_CALL_TSX_DOES_NOT_EXIST, "lost")
        return True

    # ---- callbacks -----------------------------------------------------------------------------------------

    @guarded
    def onCallSdpCreated(self, prm: pj.OnCallSdpCreatedParam) -> None:
        """PJSIP: our offer or answer was created. A running call keeps its sampling rate."""
        rate_hz = self.leg.rate_hz
        if rate_hz:
            prm.sdp.wholeSdp = at_rate(as_text(prm.sdp.wholeSdp), rate_hz)

    @guarded
    def onCallTransferRequest(self, prm: pj.OnCallTransferRequestParam) -> None:
        """PJSIP: a REFER (RFC 3515). By default PJSIP would call any target of the caller's choice over the trunk."""
        prm.statusCode = DECLINE

    @guarded
    def onCallReplaceRequest(self, prm: pj.OnCallReplaceRequestParam) -> None:
        """PJSIP: an INVITE with Replaces (RFC 3891). By default PJSIP would let any stranger take over a call."""
        prm.statusCode = DECLINE

    @guarded
    def onStreamCreated(self, prm: pj.OnStreamCreatedParam) -> None:
        """PJSIP: a stream was negotiated and runs. The bridge gets a port that does nothing instead of the stream's."""
        self._detach()  # if the audio has moved to an earlier media line, the stream of the later one still runs
        try:
            prm.pPort = self.thread.plane.engine.attach(self.leg.slot, prm.stream)
        except ValueError as error:
            self.thread.tell(MediaFailed(self.ref, str(error)))
            return
        prm.destroyPort = True
        self._stream, self._line = int(prm.stream), prm.streamIdx

    @guarded
    def onStreamDestroyed(self, prm: pj.OnStreamDestroyedParam) -> None:
        """PJSIP: the stream will be freed when this method returns."""
        if int(prm.stream) == self._stream:
            self._detach()

    def _detach(self) -> None:
        self.leg.slot.detach()
        self._stream = 0

    @guarded
    def onCallMediaState(self, _prm: pj.OnCallMediaStateParam) -> None:
        """PJSIP: an offer was answered, ours or the peer's."""
        info = self.getInfo()  # its list of media exists only as long as it does
        running = [media for media in info.media if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status in _RUNNING]
        held = any(media.status == pj.PJSUA_CALL_MEDIA_REMOTE_HOLD for media in running)
        if running and held != self._held:
            self._held = held
            sends = any(media.dir & pj.PJMEDIA_DIR_DECODING for media in running)
            self.thread.tell(HoldChanged(self.ref, held, sends))
        if self._stream and any(media.index == self._line for media in running):
            self._tell_stream(self._line)

    def _tell_stream(self, index: int) -> None:
        stream = self.getStreamInfo(index)
        self._codec = f"{stream.codecName}/{stream.codecClockRate}"
        self.thread.tell(MediaStarted(self.ref, self._codec, stream.remoteRtpAddress))

    @guarded
    def onDtmfEvent(self, prm: pj.OnDtmfEventParam) -> None:
        """PJSIP: a key press in INFO. The engine gets those in RTP itself, and detects one that arrives both ways."""
        if prm.method == pj.PJSUA_DTMF_METHOD_SIP_INFO:
            self.leg.slot.press(prm.digit, prm.duration)

    @guarded
    def onCallState(self, _prm: pj.OnCallStateParam) -> None:
        """PJSIP: the state of the INVITE session has changed (RFC 3261 section 13)."""
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            self.leg.slot.confirm()
            self.thread.tell(Confirmed(self.ref))
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            reason = as_text(info.lastReason)
            if info.lastStatusCode == _NOT_ACCEPTABLE and not self._ended_by_us:
                self.thread.tell(MediaFailed(self.ref, self._obstacle or reason))  # PJSIP could not answer the offer
            self._tell_end(info.lastStatusCode, reason)

    @guarded
    def onCallTsxState(self, prm: pj.OnCallTsxStateParam) -> None:
        """PJSIP: the state of a transaction has changed. A BYE that we did not request comes from PJSIP itself."""
        transaction = prm.e.body.tsxState.tsx
        if transaction.role != pj.PJSIP_ROLE_UAC:
            return
        begins = transaction.state == pj.PJSIP_TSX_STATE_CALLING
        if begins and transaction.method == "BYE" and not self._ended_by_us:
            self.thread.tell(GivenUp(self.ref))
        if transaction.method == self._telling and transaction.statusCode >= 200:
            self._on_contact_answered(transaction.statusCode)

    def _on_contact_answered(self, code: int) -> None:
        """491: requests of both sides have crossed (RFC 3261 section 14.1); 5xx: the peer cannot do it just now."""
        if self._telling == "UPDATE" and code in _UNKNOWN_METHOD:
            self._knows_update = False
        self._telling = ""
        if code in _UNKNOWN_METHOD or code == pj.PJSIP_SC_REQUEST_PENDING or code // 100 == 5:
            self.thread.on_contact_refused(self)

    def _tell_end(self, code: int, reason: str) -> None:
        self.thread.tell(Disconnected(self.ref, self._ender(code), code, reason))
        self.let_go()

    def _ender(self, code: int) -> Side:
        if self._ended_by_us:
            return Side.GATEWAY
        return Side.CALLER if code in _BY_THE_CALLER else Side.NETWORK


def incoming(ref: CallRef, leg: EngineLeg, rx: pj.SipRxData, trunk: str | None, *, behind_nat: bool) -> Incoming:
    """The event for a received INVITE."""
    headers = parse_headers(rx.wholeMsg)
    described = has_description(rx.wholeMsg, headers)
    known = obstacle(body(rx.wholeMsg)) if described else ""
    invite = ReceivedInvite(
        call_id_of(headers),
        request_uri(rx.wholeMsg),
        rx.srcAddress,
        headers,
        has_offer=described,
        obstacle=known,
        behind_nat=behind_nat,
    )
    return Incoming(ref, leg, invite, trunk)


def refused(prm: pj.OnRejectedIncomingCallParam) -> Refused:
    """The event for an INVITE that PJSIP itself refused."""
    message = prm.rdata.wholeMsg
    reason = prm.reason
    known = obstacle(body(message)) if prm.statusCode == _NOT_ACCEPTABLE else ""
    if known:
        reason = f"{reason}: {known}"
    return Refused(call_id_of(parse_headers(message)), prm.rdata.srcAddress, prm.statusCode, reason)


def call_id_of(headers: Mapping[str, tuple[str, ...]]) -> str:
    """The Call-ID among a message's headers."""
    return headers.get("call-id", ("",))[0]
