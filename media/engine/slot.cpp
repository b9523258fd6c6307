#include "slot.hpp"

#include "monotonic.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace offhook {
namespace {

std::atomic<unsigned> slots_alive{0};

}  // namespace

Slot::Slot(SlotId id, std::shared_ptr<Inbox> inbox, const Tuning& tuning)
    : id_(id), inbox_(std::move(inbox)), tuning_(tuning), receiver_(id, *inbox_, tuning_, counters_) {
    reached_.reserve(64);
    ++slots_alive;
}

Slot::~Slot() { --slots_alive; }

unsigned Slot::alive() { return slots_alive; }

void Slot::attach(pjmedia_stream* stream) {
    std::scoped_lock lock(transmit_, receive_);
    if (stream_ != nullptr) throw std::invalid_argument("the slot has a stream already");
    const StreamFormat format = format_of(stream);
    if (rate_hz_ != 0 && format.rate_hz != rate_hz_)
        throw std::invalid_argument("the stream has " + std::to_string(format.rate_hz) + " Hz; the slot began with " +
                                    std::to_string(rate_hz_));
    const Address signalled = signalled_address(stream);
    open_port(stream, signalled);
    if (rate_hz_ == 0) playout_.set_limit_samples(std::size_t{tuning_.playout_limit_ms} * format.rate_hz / 1000);
    rate_hz_ = format.rate_hz;
    period_ms_ = format.period_ms;
    tx_frame_.resize(format.frame_samples);

    // The reference keeps the stream alive while it is attached. The handler keeps the slot alive until the stream is
    // destroyed, so for all callbacks of the stream.
    stream_ = common(stream);
    pj_grp_lock_add_ref(stream_->grp_lock);
    pj_grp_lock_add_handler(stream_->grp_lock, nullptr, new std::shared_ptr<Slot>(shared_from_this()),
                            &Slot::on_stream_destroyed);

    ++attachment_;
    watch_source(signalled);
    pjmedia_stream_set_dtmf_event_callback(stream, &Slot::on_dtmf, this);
    {  // before begin() empties the jitter buffer, so that all later packets are reported
        JitterBufferLock jitter_buffer(stream_);
        stream_->on_rx_packet = &Slot::on_packet;
        stream_->on_rx_packet_data = this;
    }
    receiver_.begin(stream_, format);
}

void Slot::open_port(pjmedia_stream* stream, const Address& signalled) {
    if (!tuning_.own) return;
    rtp_port_ = local_port(common(stream));
    tuning_.own->open(rtp_port_);
    if (!tuning_.own->contain(signalled)) return;
    tuning_.own->close(rtp_port_);
    throw std::invalid_argument("the stream leads to an address of this gateway");
}

void Slot::expect_from(const std::string& host) {
    in_addr address{};
    if (::inet_pton(AF_INET, host.c_str(), &address) == 1) signalling_host_ = ntohl(address.s_addr);
}

// If a new SDP has the same address, the learned address of a peer behind a NAT is kept.
void Slot::watch_source(const Address& signalled) {
    if (source_ && source_->signalled() == signalled) {
        source_->resume();
    } else {
        if (source_) counters_.packets_foreign += source_->foreign();
        source_ = std::make_shared<Source>(signalled, signalling_host_, tuning_.own);
    }
    pj_grp_lock_add_handler(stream_->grp_lock, nullptr, new std::shared_ptr<Source>(source_), &Slot::let_source_go);
    judge_ = source_.get();
    stream_->judge_source_data = this;
    __atomic_store_n(&stream_->judge_source, &Slot::judge_source, __ATOMIC_RELEASE);
}

void Slot::detach() {
    pjmedia_stream_common* stream = nullptr;
    {
        std::scoped_lock lock(transmit_, receive_);
        if (stream_ == nullptr) return;
        receiver_.end();
        if (tuning_.own) tuning_.own->close(rtp_port_);
        add_stream_counters(counters_);
        stream = stream_;
        stream_ = nullptr;
    }
    // The DTMF callback is not removed: the stream reads it twice, without a lock. on_dtmf() ignores late calls.
    {
        JitterBufferLock jitter_buffer(stream);
        stream->on_rx_packet = nullptr;
        stream->on_rx_packet_data = nullptr;
    }
    pj_grp_lock_dec_ref(stream->grp_lock);
}

void Slot::press(char digit, unsigned ms) {
    std::lock_guard lock(receive_);
    receiver_.on_key(digit, ms);
}

void Slot::on_stream_destroyed(void* keep_alive) { delete static_cast<std::shared_ptr<Slot>*>(keep_alive); }
void Slot::let_source_go(void* keep_alive) { delete static_cast<std::shared_ptr<Source>*>(keep_alive); }

// ---- functions for the agent ---------------------------------------------------------------------------

bool Slot::play(std::vector<std::int16_t> pcm, std::optional<Mark> mark) {
    std::lock_guard lock(transmit_);
    return playout_.push(std::move(pcm), mark);
}

Flushed Slot::flush() {
    std::lock_guard lock(transmit_);
    drain_untold_ = false;
    return playout_.flush();
}

void Slot::pause(bool paused) {
    std::lock_guard lock(transmit_);
    paused_ = paused;
}

Position Slot::position() {
    std::lock_guard lock(transmit_);
    const std::size_t queued_samples = playout_.queued_samples();
    double wait_ms = 0;
    if (stream_ != nullptr) {
        const auto due_ns = std::max<std::int64_t>(due_ns_ - monotonic_ns(), 0);
        wait_ms = static_cast<double>(due_ns) / kMillisecond_ns +
                  static_cast<double>(queued_samples / tx_frame_.size() * period_ms_);
    }
    return {playout_.played_samples(), queued_samples, wait_ms};
}

void Slot::tap_sent(bool tapped) {
    std::lock_guard lock(transmit_);
    sent_tapped_ = tapped;
}

std::vector<std::int16_t> Slot::sent(std::size_t samples) {
    std::lock_guard lock(transmit_);
    return sent_.last(samples);
}

Counters Slot::counters() {
    std::scoped_lock lock(transmit_, receive_);
    Counters counters = counters_;
    if (stream_ != nullptr) add_stream_counters(counters);
    if (source_) counters.packets_foreign += source_->foreign();
    return counters;
}

void Slot::add_stream_counters(Counters& counters) const {
    pjmedia_rtcp_stat stat;
    if (pjmedia_stream_get_stat(whole(stream_), &stat) != PJ_SUCCESS) return;
    counters.packets_received += stat.rx.pkt;
    counters.packets_lost += stat.rx.loss;
    counters.packets_discarded += stat.rx.discard + stat.rx.dup;
    counters.packets_reordered += stat.rx.reorder;
    counters.packets_sent += stat.tx.pkt;
    counters.jitter_ms = stat.rx.jitter.n > 0 ? stat.rx.jitter.mean / 1000.0 : 0;
    // The peer's count has a sign, which PJMEDIA does not see (RFC 3550 section 6.4.1): below 0 there were duplicates.
    const unsigned peer_loss = stat.tx.loss < 0x800000 ? stat.tx.loss : 0;
    counters.peer_loss_pct = stat.tx.pkt > 0 ? std::min(100.0, 100.0 * peer_loss / stat.tx.pkt) : 0;
    counters.round_trip_ms = stat.rtt.n > 0 ? stat.rtt.mean / 1000.0 : 0;
}

// ---- the media clock -----------------------------------------------------------------------------------

unsigned Slot::on_clock(std::int64_t now_ns, unsigned attachment) {
    unsigned again_ms = 0;
    {
        std::lock_guard lock(transmit_);
        if (stream_ == nullptr || attachment != attachment_) return 0;
        again_ms = wait_for_agent(now_ns);
        if (again_ms == 0) again_ms = transmit(now_ns);
        due_ns_ = now_ns + again_ms * kMillisecond_ns;
    }
    std::lock_guard lock(receive_);
    if (stream_ != nullptr) receiver_.keep_time(now_ns);
    return again_ms;
}

// An agent that speaks in real time is sometimes a few ms late. Waiting for it has no disadvantage for the listener.
// Silence instead would be a glitch, and the agent's voice would be one frame behind for the rest of the call. If the
// wait succeeds, the frames keep the new phase, so that they follow the agent. Returns how many ms to wait, more each
// time: if all agents are late, the machine is overloaded, and checking a thousand of them every ms would add load.
unsigned Slot::wait_for_agent(std::int64_t now_ns) {
    if (paused_ || !speaking_ || playout_.queued_samples() >= tx_frame_.size()) return 0;
    if (waited_ms_ == 0) waiting_since_ns_ = now_ns;
    const std::int64_t waited_ns = now_ns - waiting_since_ns_;
    // After the machine stood still, the clock catches up its ticks at once, but the agent needs time for its frames.
    const bool catching_up = waited_ms_ * kMillisecond_ns > waited_ns + 2 * kMillisecond_ns;
    const std::int64_t patience_ms = catching_up ? 2 * period_ms_ : period_ms_ / 2;
    const std::int64_t left_ns = patience_ms * kMillisecond_ns - waited_ns;
    if (left_ns <= 0) return 0;
    const auto left_ms = static_cast<unsigned>((left_ns + kMillisecond_ns - 1) / kMillisecond_ns);
    const unsigned wait_ms = std::min({std::max(2 * waited_ms_, 1U), 4U, left_ms});
    waited_ms_ += wait_ms;
    return wait_ms;
}

// After how many ms the next frame is due. A frame that was a little late, because it waited for the agent, sets a new
// phase. If more time is owed, frames or silence are sent as fast as possible until the clock has caught up.
unsigned Slot::next_due_ms(bool spoken) {
    owed_ms_ += waited_ms_;
    waited_ms_ = 0;
    if (spoken && owed_ms_ <= period_ms_ / 2) owed_ms_ = 0;
    const unsigned again_ms = owed_ms_ < period_ms_ ? period_ms_ - owed_ms_ : 1;
    owed_ms_ -= period_ms_ - again_ms;
    return again_ms;
}

// An SDP may contain the address of a third party (an attack by our RTP). Until the peer has acknowledged our answer,
// or RTP has come from the address that we send to, we send no more than SIP itself sends to the source of an INVITE.
// To a host other than the one that acknowledged, we send a few seconds in the whole call, even if the address changes.
// Frames that are not sent are dropped.
bool Slot::may_send() {
    if (trusted_ || source_->proved()) return true;
    if (confirmed_ && source_->signalled().host == signalling_host_) return true;
    if (unproved_packets_ >= (confirmed_ ? tuning_.elsewhere_packets : tuning_.unproved_packets)) return false;
    ++unproved_packets_;
    return true;
}

// The frame is sent with the lock held, so that nothing is sent after flush(). On hold, pjmedia does not send the
// frames, but continues the timestamp and RTCP; the agent's voice waits in the queue.
unsigned Slot::transmit(std::int64_t now_ns) {
    const bool on_hold = (stream_->dir & PJMEDIA_DIR_ENCODING) == 0;
    reached_.clear();
    std::size_t spoken_samples = 0;
    if (paused_ || on_hold)
        std::fill(tx_frame_.begin(), tx_frame_.end(), std::int16_t{0});
    else
        spoken_samples = playout_.pop(tx_frame_.data(), tx_frame_.size(), reached_);
    sent_.put(tx_frame_.data(), tx_frame_.size());
    if (sent_tapped_ && !inbox_->put_sent(id_, sent_backlog_, tx_frame_.data(), tx_frame_.size(), now_ns))
        ++counters_.taps_missed;
    speaking_ = spoken_samples == tx_frame_.size();
    const unsigned again_ms = next_due_ms(speaking_);
    const bool mute = on_hold || !may_send();
    stream_->enc->paused = mute ? PJ_TRUE : PJ_FALSE;

    pjmedia_frame frame{};
    frame.type = PJMEDIA_FRAME_TYPE_AUDIO;
    frame.buf = tx_frame_.data();
    frame.size = tx_frame_.size() * sizeof(std::int16_t);
    frame.timestamp.u64 = tx_timestamp_;
    tx_timestamp_ += tx_frame_.size();
    if (!mute) ++counters_.frames_out;
    const auto socket_errors = stream_->rtp_tx_err_cnt;  // put_frame() counts these errors, but does not return them
    if (pjmedia_port_put_frame(&stream_->port, &frame) != PJ_SUCCESS || stream_->rtp_tx_err_cnt != socket_errors)
        ++counters_.send_errors;
    for (const Mark mark : reached_) inbox_->put_event(id_, Kind::Mark, mark);
    // Drained is reported one period after the last sample, if nothing has followed. With an agent that speaks in real
    // time the queue is empty after every frame, and a report each time would cost more than the frame.
    if (spoken_samples > 0) {
        drain_untold_ = true;
    } else if (drain_untold_ && playout_.empty()) {
        drain_untold_ = false;
        inbox_->put_event(id_, Kind::Drained);
    }
    return again_ms;
}

// ---- the receiving thread ------------------------------------------------------------------------------

// Without a lock: a source lives as long as the streams that use it.
int Slot::judge_source(void* slot, const pj_sockaddr* from, pj_uint32_t ssrc) {
    Source* source = static_cast<Slot*>(slot)->judge_.load(std::memory_order_acquire);
    return static_cast<int>(source->judge(address_of(*from), ssrc, monotonic_ns()));
}

void Slot::on_packet(void* slot, pj_bool_t late) {
    auto* self = static_cast<Slot*>(slot);
    const std::int64_t now_ns = monotonic_ns();
    std::lock_guard lock(self->receive_);
    if (self->stream_ != nullptr) self->receiver_.on_packet(now_ns, late);
}

void Slot::on_dtmf(pjmedia_stream* stream, void* slot, const pjmedia_stream_dtmf_event* event) {
    auto* self = static_cast<Slot*>(slot);
    std::lock_guard lock(self->receive_);
    if (self->stream_ == common(stream)) self->receiver_.on_digit(*event);
}

}  // namespace offhook
