#include "slot.hpp"

#include <pjmedia/stream_common.h>

#include <algorithm>
#include <ctime>
#include <stdexcept>
#include <string>
#include <utility>

namespace offhook {
namespace {

constexpr std::int64_t kMillisecond_ns = 1'000'000;
constexpr std::int64_t kDigitEnd_ns = 150 * kMillisecond_ns;  // all three end packets lost (RFC 4733 section 2.5.1.4)
// A segment of a press that goes on in another lasts 0xFFFF of RTP's clock, 1,365 ms at Opus' and 8,191 at G.711's. The
// next one begins up to a packet after what was said last, and some packets get lost.
constexpr unsigned kSegment_ms = 1200;
constexpr unsigned kSegmentSlack_ms = 60;
constexpr unsigned kMaxPeriod_ms = 120;
constexpr unsigned kOpusRecovers = 12;  // packets in a row, then pjmedia gives single frames of silence (MAX_PLC_MSEC)

// A pjmedia_stream begins with its common part; stream.h does not say so, stream.c relies on it throughout.
pjmedia_stream_common* common(pjmedia_stream* stream) { return reinterpret_cast<pjmedia_stream_common*>(stream); }
std::atomic<unsigned> slots_alive{0};

pjmedia_stream* whole(pjmedia_stream_common* stream) { return reinterpret_cast<pjmedia_stream*>(stream); }

class JitterBufferLock {
public:
    explicit JitterBufferLock(pjmedia_stream_common* stream) : mutex_(stream->jb_mutex) { pj_mutex_lock(mutex_); }
    ~JitterBufferLock() { pj_mutex_unlock(mutex_); }
    JitterBufferLock(const JitterBufferLock&) = delete;
    JitterBufferLock& operator=(const JitterBufferLock&) = delete;

private:
    pj_mutex_t* mutex_;
};

}  // namespace

std::int64_t monotonic_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

Slot::Slot(SlotId id, std::shared_ptr<Inbox> inbox, const Tuning& tuning)
    : id_(id), inbox_(std::move(inbox)), tuning_(tuning) {
    reached_.reserve(64);
    ++slots_alive;
}

Slot::~Slot() { --slots_alive; }

unsigned Slot::alive() { return slots_alive; }

void Slot::learn_format(pjmedia_stream* stream) {
    pjmedia_port* port = nullptr;
    pjmedia_stream_info info;
    if (pjmedia_stream_get_port(stream, &port) != PJ_SUCCESS || pjmedia_stream_get_info(stream, &info) != PJ_SUCCESS)
        throw std::invalid_argument("the stream tells no format");
    const unsigned rate_hz = PJMEDIA_PIA_SRATE(&port->info);
    if (PJMEDIA_PIA_CCNT(&port->info) != 1)
        throw std::invalid_argument("the stream has " + std::to_string(PJMEDIA_PIA_CCNT(&port->info)) +
                                    " channels; a call has one");
    if (rate_hz_ != 0 && rate_hz != rate_hz_)
        throw std::invalid_argument("the stream has " + std::to_string(rate_hz) + " Hz; the slot began with " +
                                    std::to_string(rate_hz_));
    frame_samples_ = PJMEDIA_PIA_SPF(&port->info);
    period_ms_ = frame_samples_ * 1000 / rate_hz;
    if (period_ms_ == 0 || period_ms_ > kMaxPeriod_ms || period_ms_ * rate_hz != frame_samples_ * 1000)
        throw std::invalid_argument("the stream has " + std::to_string(frame_samples_) + " samples a frame at " +
                                    std::to_string(rate_hz) + " Hz; that is no whole number of ms up to 120");
    const auto& codec = info.param->info;
    decoded_samples_ = codec.frm_ptime * rate_hz / 1000 / (codec.frm_ptime_denum ? codec.frm_ptime_denum : 1);
    opus_ = pj_stricmp2(&info.fmt.encoding_name, "opus") == 0;
    if (rate_hz_ == 0) {
        rate_hz_ = rate_hz;
        playout_.set_limit_samples(std::size_t{tuning_.playout_limit_ms} * rate_hz / 1000);
    }
}

void Slot::attach(pjmedia_stream* stream) {
    std::scoped_lock lock(transmit_, receive_);
    if (stream_ != nullptr) throw std::invalid_argument("the slot has a stream already");
    learn_format(stream);
    tx_frame_.resize(frame_samples_);
    rx_frame_.assign(frame_samples_, 0);
    last_frame_.assign(frame_samples_, 0);

    // Two holds on the stream: it cannot be destroyed while it is attached, and the slot outlives any
    // callback that the stream has already begun.
    stream_ = common(stream);
    pj_grp_lock_add_ref(stream_->grp_lock);
    pj_grp_lock_add_handler(stream_->grp_lock, nullptr, new std::shared_ptr<Slot>(shared_from_this()),
                            &Slot::on_stream_destroyed);

    // A stream's first reads only reset its jitter buffer (PJMEDIA_STREAM_SOFT_START): have them over with.
    for (int i = 0; i < PJMEDIA_STREAM_SOFT_START; ++i) {
        pjmedia_frame frame{};
        frame.buf = rx_frame_.data();
        frame.size = rx_frame_.size() * sizeof(std::int16_t);
        pjmedia_port_get_frame(&stream_->port, &frame);
    }
    pjmedia_stream_set_dtmf_event_callback(stream, &Slot::on_dtmf, this);

    ++attachment_;
    heard_ = told_silent_ = false;
    last_packet_ns_ = monotonic_ns();
    gap_since_ns_ = decoded_ahead_samples_ = filled_samples_ = 0;
    stand_ins_ = 0;
    silence_ = jumped_ = false;
    JitterBufferLock jitter_buffer(stream_);
    pjmedia_jbuf_set_fixed(stream_->jb, 0);
    pjmedia_jbuf_set_keep_origin(stream_->jb, PJ_TRUE);
    pjmedia_jbuf_reset(stream_->jb);
    stream_->on_rx_packet = &Slot::on_packet;
    stream_->on_rx_packet_data = this;
}

void Slot::detach() {
    pjmedia_stream_common* stream = nullptr;
    {
        std::scoped_lock lock(transmit_, receive_);
        if (stream_ == nullptr) return;
        end_digit();
        add_stream_counters(counters_);
        stream = stream_;
        stream_ = nullptr;
    }
    // The digits' callback stays: the stream reads it unlocked, and twice. on_dtmf() knows that it is late.
    {
        JitterBufferLock jitter_buffer(stream);
        stream->on_rx_packet = nullptr;
        stream->on_rx_packet_data = nullptr;
    }
    pj_grp_lock_dec_ref(stream->grp_lock);
}

void Slot::on_stream_destroyed(void* keep_alive) { delete static_cast<std::shared_ptr<Slot>*>(keep_alive); }

// ---- what the agent asks for ---------------------------------------------------------------------------

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
                  static_cast<double>(queued_samples / frame_samples_ * period_ms_);
    }
    return {playout_.played_samples(), queued_samples, wait_ms};
}

Counters Slot::counters() {
    std::scoped_lock lock(transmit_, receive_);
    Counters counters = counters_;
    if (stream_ != nullptr) add_stream_counters(counters);
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
    counters.peer_loss_pct = stat.tx.pkt > 0 ? 100.0 * stat.tx.loss / stat.tx.pkt : 0;
    counters.round_trip_ms = stat.rtt.n > 0 ? stat.rtt.mean / 1000.0 : 0;
}

// ---- the media clock -----------------------------------------------------------------------------------

unsigned Slot::on_clock(std::int64_t now_ns, unsigned attachment) {
    unsigned again_ms = 0;
    {
        std::lock_guard lock(transmit_);
        if (stream_ == nullptr || attachment != attachment_) return 0;
        again_ms = wait_for_agent(now_ns) ? 1 : transmit();
        due_ns_ = now_ns + again_ms * kMillisecond_ns;
    }
    std::lock_guard lock(receive_);
    if (stream_ != nullptr) keep_time(now_ns);
    return again_ms;
}

// An agent that speaks in real time is sometimes a few ms late. To wait for it costs the listener nothing; silence in
// its place would be a glitch, and would leave its voice one frame behind for the rest of the call. The frame's phase
// follows the agent's: it is kept when the wait was worth it.
bool Slot::wait_for_agent(std::int64_t now_ns) {
    if (paused_ || !speaking_ || playout_.queued_samples() >= frame_samples_) return false;
    if (waited_ms_ == 0) waiting_since_ns_ = now_ns;
    const std::int64_t waited_ns = now_ns - waiting_since_ns_;
    // When the machine stood still, the clock makes up for its ticks at once, and the agent needs time for its frames.
    const bool catching_up = waited_ms_ * kMillisecond_ns > waited_ns + 2 * kMillisecond_ns;
    const std::int64_t patience_ms = catching_up ? 2 * period_ms_ : period_ms_ / 2;
    if (waited_ns >= patience_ms * kMillisecond_ns) return false;
    ++waited_ms_;
    return true;
}

// In how many ms the next frame is due. A frame that was a little late for the agent's sake sets a new phase; what the
// clock owes beyond that, frames or silence, goes out as fast as it can.
unsigned Slot::next_due_ms(bool spoken) {
    owed_ms_ += waited_ms_;
    waited_ms_ = 0;
    if (spoken && owed_ms_ <= period_ms_ / 2) owed_ms_ = 0;
    const unsigned again_ms = owed_ms_ < period_ms_ ? period_ms_ - owed_ms_ : 1;
    owed_ms_ -= period_ms_ - again_ms;
    return again_ms;
}

// The frame is sent under the lock: that is what makes flush() final. On hold, pjmedia sends no frame that it is given,
// and keeps the timestamp and RTCP going: the agent's voice waits.
unsigned Slot::transmit() {
    const bool on_hold = (stream_->dir & PJMEDIA_DIR_ENCODING) == 0;
    reached_.clear();
    std::size_t spoken_samples = 0;
    if (paused_ || on_hold)
        std::fill(tx_frame_.begin(), tx_frame_.end(), std::int16_t{0});
    else
        spoken_samples = playout_.pop(tx_frame_.data(), tx_frame_.size(), reached_);
    speaking_ = spoken_samples == frame_samples_;
    const unsigned again_ms = next_due_ms(speaking_);

    pjmedia_frame frame{};
    frame.type = PJMEDIA_FRAME_TYPE_AUDIO;
    frame.buf = tx_frame_.data();
    frame.size = tx_frame_.size() * sizeof(std::int16_t);
    frame.timestamp.u64 = tx_timestamp_;
    tx_timestamp_ += frame_samples_;
    if (!on_hold) ++counters_.frames_out;
    const auto socket_errors = stream_->rtp_tx_err_cnt;  // what put_frame() counts, and does not return
    if (pjmedia_port_put_frame(&stream_->port, &frame) != PJ_SUCCESS || stream_->rtp_tx_err_cnt != socket_errors)
        ++counters_.send_errors;
    for (const Mark mark : reached_) inbox_->put_event(id_, Kind::Mark, mark);
    // Not with the last sample but one period later, if nothing has followed: an agent that speaks in real time empties
    // the queue with every frame, and to be told so each time would cost it more than the frame.
    if (spoken_samples > 0) {
        drain_untold_ = true;
    } else if (drain_untold_ && playout_.empty()) {
        drain_untold_ = false;
        inbox_->put_event(id_, Kind::Drained);
    }
    return again_ms;
}

void Slot::keep_time(std::int64_t now_ns) {
    if (digit_.pressed && now_ns - digit_.heard_ns > kDigitEnd_ns) end_digit();
    if (!told_silent_ && (stream_->dir & PJMEDIA_DIR_DECODING) != 0 &&
        now_ns - last_packet_ns_ > tuning_.silent_after_ns) {
        told_silent_ = true;
        inbox_->put_event(id_, Kind::Silent, (now_ns - last_packet_ns_) / kMillisecond_ns);
    }
    if (gap_since_ns_ != 0) return receive(now_ns);
    if (!heard_ || now_ns - heard_until_ns_ <= tuning_.fill_after_ns) return;
    // Whoever listens needs a steady flow of time: a recogniser finds the end of speech in silence.
    std::int64_t ahead_samples = 0;
    const Head head = look(ahead_samples);
    if (head != Head::Empty && decoded_ahead_samples_ < frame_samples_) return receive(now_ns);  // it comes just now
    silence_ = true;
    filled_samples_ += stand_in(counters_.frames_filled, ahead_samples);
    heard_until_ns_ += period_ns();
}

// ---- the receiving thread ------------------------------------------------------------------------------

void Slot::on_packet(void* slot, pj_bool_t late) {
    auto* self = static_cast<Slot*>(slot);
    const std::int64_t now_ns = monotonic_ns();
    std::lock_guard lock(self->receive_);
    if (self->stream_ == nullptr) return;
    if (!std::exchange(self->heard_, true)) self->heard_until_ns_ = now_ns;
    self->told_silent_ = false;
    self->last_packet_ns_ = now_ns;
    if (late) ++self->counters_.packets_late;
    self->receive(now_ns);
}

// Delivers all frames that are in order, and what stands in for a packet that was waited for long enough.
void Slot::receive(std::int64_t now_ns) {
    for (std::int64_t heard_ns = period_ns();; heard_ns += period_ns()) {
        std::int64_t ahead_samples = 0;
        const Head head = look(ahead_samples);
        if (head == Head::Empty) break;
        if (head == Head::Gap) {
            if (gap_since_ns_ == 0) gap_since_ns_ = now_ns;
            // After a silence that was filled, what is missing was never sent: nobody waits for it.
            if (!silence_ && now_ns - gap_since_ns_ < tuning_.reorder_ns) return;
            stand_in(silence_ ? counters_.frames_filled : counters_.frames_concealed, ahead_samples);
        } else if (stand_ins_ > 0 && decoded_ahead_samples_ >= frame_samples_) {  // the rest of a packet made up
            stand_in(silence_ ? counters_.frames_filled : counters_.frames_concealed, ahead_samples);
        } else {
            if (std::exchange(jumped_, false) && silence_) fill_until(now_ns);
            deliver();
            decoded_ahead_samples_ = ahead_samples - frame_samples_;
            filled_samples_ = gap_since_ns_ = 0;
            stand_ins_ = 0;
            silence_ = false;
        }
        // A packet may hold several frames. More at once are what the network held up.
        heard_until_ns_ = now_ns + std::min(heard_ns, kMaxPeriod_ms * kMillisecond_ns);
    }
    gap_since_ns_ = 0;
}

// An empty jitter buffer remembers for as long as it is deep what comes next. After a longer silence it takes the first
// packet as it comes, and the clock alone knows how much of the silence was not filled yet.
void Slot::fill_until(std::int64_t now_ns) {
    std::fill(rx_frame_.begin(), rx_frame_.end(), std::int16_t{0});
    for (; 2 * (now_ns - heard_until_ns_) >= period_ns(); heard_until_ns_ += period_ns()) {
        put_frame();
        ++counters_.frames_filled;
    }
}

// Is there a whole frame at the head of the jitter buffer? `ahead_samples`: what is there, in order.
Slot::Head Slot::look(std::int64_t& ahead_samples) {
    JitterBufferLock jitter_buffer(stream_);
    if (pjmedia_jbuf_take_jump(stream_->jb)) jumped_ = true;
    pj_uint32_t bit_info = 0;
    // In place of these, silence was delivered when it was due.
    while (filled_samples_ >= decoded_samples_ && type_at(0, bit_info) == PJMEDIA_JB_MISSING_FRAME) {
        pjmedia_jbuf_remove_frame(stream_->jb, 1);
        filled_samples_ -= decoded_samples_;
    }
    ahead_samples = decoded_ahead_samples_;
    for (unsigned i = 0; ahead_samples < frame_samples_; ++i) {
        const char type = type_at(i, bit_info);
        if (type == PJMEDIA_JB_MISSING_FRAME) return Head::Gap;
        if (type != PJMEDIA_JB_NORMAL_FRAME) return Head::Empty;
        if (opus_ && bit_info != 0) decoded_samples_ = bit_info;
        ahead_samples += decoded_samples_;
    }
    return Head::Ready;
}

char Slot::type_at(unsigned offset, pj_uint32_t& bit_info) const {
    char type = 0;
    pjmedia_jbuf_peek_frame(stream_->jb, offset, nullptr, nullptr, &type, &bit_info, nullptr, nullptr);
    return type;
}

// Delivers a frame of which the peer sent no more than `ahead_samples`. Returns how many samples were made up: Opus
// makes up as much as a packet holds, and keeps for the next frames what exceeds this one.
std::int64_t Slot::stand_in(std::uint64_t& counter, std::int64_t ahead_samples) {
    const std::int64_t needed_samples = std::max<std::int64_t>(frame_samples_ - ahead_samples, 0);
    const bool by_packets = opus_ && stand_ins_ * frame_samples_ < kOpusRecovers * decoded_samples_;
    const std::int64_t unit = by_packets ? decoded_samples_ : 1;
    const std::int64_t made_up_samples = (needed_samples + unit - 1) / unit * unit;
    decoded_ahead_samples_ = ahead_samples + made_up_samples - frame_samples_;
    deliver(true);
    ++stand_ins_;
    ++counter;
    return made_up_samples;
}

void Slot::deliver(bool made_up) {
    if (stand_ins_ == 0) rx_frame_.swap(last_frame_);
    const std::uint32_t missing = made_up && !opus_ ? missing_entries() : 0;
    pjmedia_frame frame{};
    frame.buf = rx_frame_.data();
    frame.size = rx_frame_.size() * sizeof(std::int16_t);
    if (pjmedia_port_get_frame(&stream_->port, &frame) != PJ_SUCCESS || frame.type != PJMEDIA_FRAME_TYPE_AUDIO)
        std::fill(rx_frame_.begin(), rx_frame_.end(), std::int16_t{0});
    for (unsigned entry = 0; entry * decoded_samples_ < frame_samples_; ++entry)
        if ((missing >> entry & 1) != 0) conceal(entry * decoded_samples_, decoded_samples_);
    put_frame();
}

void Slot::put_frame() {
    ++(inbox_->put_frame(id_, backlog_, rx_frame_.data(), rx_frame_.size()) ? counters_.frames_in
                                                                            : counters_.frames_overrun);
}

// The last frame that the peer sent, again and again, faded to silence over three. PJMEDIA's own concealment sounds
// better and costs 5 ms of delay on every frame of every call (PJMEDIA_WSOLA_DELAY_MSEC), so the codecs' `plc` is
// switched off.
void Slot::conceal(unsigned first_sample, unsigned samples) {
    constexpr unsigned kFade_frames = 3;
    const auto fade_samples = static_cast<float>(kFade_frames * frame_samples_);
    for (unsigned i = first_sample; i < std::min(first_sample + samples, frame_samples_); ++i) {
        const auto faded_samples = static_cast<float>(stand_ins_ * frame_samples_ + i);
        const float gain = std::max(1 - faded_samples / fade_samples, 0.0F);
        rx_frame_[i] = static_cast<std::int16_t>(static_cast<float>(last_frame_[i]) * gain);
    }
}

// Of the jitter buffer's entries that make the next frame, those that are not there. An entry of G.711 is 10 ms.
std::uint32_t Slot::missing_entries() {
    JitterBufferLock jitter_buffer(stream_);
    std::uint32_t missing = 0;
    pj_uint32_t bit_info = 0;
    for (unsigned entry = 0; entry * decoded_samples_ < frame_samples_; ++entry)
        if (type_at(entry, bit_info) != PJMEDIA_JB_NORMAL_FRAME) missing |= 1U << entry;
    return missing;
}

// One press has one timestamp in all its packets (RFC 4733 section 2.2.2), in those too that the network held up, or
// that follow a re-INVITE. One that lasts longer than a packet can say goes on in a next segment (section 2.5.1.3).
void Slot::on_dtmf(pjmedia_stream* stream, void* slot, const pjmedia_stream_dtmf_event* event) {
    auto* self = static_cast<Slot*>(slot);
    std::lock_guard lock(self->receive_);
    if (self->stream_ != common(stream)) return;
    Digit& digit = self->digit_;
    const bool update = (event->flags & PJMEDIA_STREAM_DTMF_IS_UPDATE) != 0;
    const unsigned segment_ms = digit.ms - digit.earlier_ms;
    const bool segment =
        segment_ms >= kSegment_ms && event->timestamp - digit.timestamp_ms - segment_ms <= kSegmentSlack_ms;
    const bool same = digit.code == static_cast<char>(event->digit) &&
                      (event->timestamp == digit.timestamp_ms || (digit.pressed && (update || segment)));
    if (same && !digit.pressed) return;
    if (!same) {
        self->end_digit();
        digit = {static_cast<char>(event->digit), true, event->timestamp, 0, 0, 0};
    } else if (!update && event->timestamp != digit.timestamp_ms) {
        digit.earlier_ms = digit.ms;
    }
    digit.timestamp_ms = event->timestamp;
    digit.ms = digit.earlier_ms + event->duration;
    digit.heard_ns = monotonic_ns();
    if ((event->flags & PJMEDIA_STREAM_DTMF_IS_END) != 0) self->end_digit();
}

void Slot::end_digit() {
    if (!std::exchange(digit_.pressed, false)) return;
    if (!inbox_->put_dtmf(id_, backlog_, digit_.code, digit_.ms)) ++counters_.frames_overrun;
}

}  // namespace offhook
