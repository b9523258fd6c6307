#include "receiver.hpp"

#include "monotonic.hpp"

#include <algorithm>
#include <utility>

namespace offhook {
namespace {

constexpr std::int64_t kDigitEnd_ns =
    150 * kMillisecond_ns;  // if all three end packets are lost (RFC 4733 section 2.5.1.4)
// If a press continues in another segment, the segment lasts 0xFFFF ticks of the RTP clock: 1,365 ms with Opus and
// 8,191 with G.711. The next segment begins up to one packet after the last reported duration, and packets may be lost.
constexpr unsigned kSegment_ms = 1200;
constexpr unsigned kSegmentSlack_ms = 60;
constexpr char kFlash = 'R';            // pjmedia's code for event 16, which is not a key (RFC 4733 section 3.2)
constexpr unsigned kOpusRecovers = 12;  // packets in a row; then pjmedia returns single silent frames (MAX_PLC_MSEC)

}  // namespace

Receiver::Receiver(SlotId id, Inbox& inbox, const Tuning& tuning, Counters& counters)
    : id_(id), inbox_(inbox), tuning_(tuning), counters_(counters) {}

void Receiver::begin(pjmedia_stream_common* stream, const StreamFormat& format) {
    stream_ = stream;
    format_ = format;
    period_ns_ = format.period_ms * kMillisecond_ns;
    frame_.assign(format.frame_samples, 0);
    last_frame_.assign(format.frame_samples, 0);
    heard_ = told_silent_ = silence_ = jumped_ = false;
    last_packet_ns_ = monotonic_ns();
    gap_since_ns_ = decoded_ahead_samples_ = filled_samples_ = 0;
    stand_ins_ = 0;

    // The first reads of a stream only reset its jitter buffer (PJMEDIA_STREAM_SOFT_START), so do them now.
    for (int i = 0; i < PJMEDIA_STREAM_SOFT_START; ++i) read_frame();
    JitterBufferLock jitter_buffer(stream_);
    pjmedia_jbuf_set_fixed(stream_->jb, 0);
    pjmedia_jbuf_set_keep_origin(stream_->jb, PJ_TRUE);
    pjmedia_jbuf_reset(stream_->jb);
}

void Receiver::end() {
    end_digit();
    stream_ = nullptr;
}

void Receiver::keep_time(std::int64_t now_ns) {
    if (digit_.pressed && now_ns - digit_.heard_ns > kDigitEnd_ns) end_digit();
    if (!told_silent_ && (stream_->dir & PJMEDIA_DIR_DECODING) != 0 &&
        now_ns - last_packet_ns_ > tuning_.silent_after_ns) {
        told_silent_ = true;
        inbox_.put_event(id_, Kind::Silent, (now_ns - last_packet_ns_) / kMillisecond_ns);
    }
    if (gap_since_ns_ != 0) return receive(now_ns);
    if (!heard_ || now_ns - heard_until_ns_ <= tuning_.fill_after_ns) return;
    // The listener needs a steady stream of frames: a recogniser detects the end of speech by silence.
    std::int64_t ahead_samples = 0;
    const Head head = look(ahead_samples);
    if (head != Head::Empty && decoded_ahead_samples_ < format_.frame_samples)
        return receive(now_ns);  // a packet has just come
    silence_ = true;
    filled_samples_ += stand_in(counters_.frames_filled, ahead_samples);
    heard_until_ns_ += period_ns_;
}

void Receiver::on_packet(std::int64_t now_ns, bool late) {
    if (!std::exchange(heard_, true)) {
        heard_until_ns_ = now_ns;
        inbox_.put_event(id_, Kind::Heard);
    }
    told_silent_ = false;
    last_packet_ns_ = now_ns;
    if (late) ++counters_.packets_late;
    receive(now_ns);
}

// Delivers all frames that are in order, and substitutes for packets that did not come within the reorder time.
void Receiver::receive(std::int64_t now_ns) {
    for (std::int64_t heard_ns = period_ns_;; heard_ns += period_ns_) {
        std::int64_t ahead_samples = 0;
        const Head head = look(ahead_samples);
        if (head == Head::Empty) break;
        if (head == Head::Gap) {
            if (gap_since_ns_ == 0) gap_since_ns_ = now_ns;
            // After a filled silence, missing packets were never sent, so do not wait for them.
            if (!silence_ && now_ns - gap_since_ns_ < tuning_.reorder_ns) return;
            stand_in(silence_ ? counters_.frames_filled : counters_.frames_concealed, ahead_samples);
        } else if (stand_ins_ > 0 && decoded_ahead_samples_ >= format_.frame_samples) {
            // The rest of a substitute for a packet.
            stand_in(silence_ ? counters_.frames_filled : counters_.frames_concealed, ahead_samples);
        } else {
            if (std::exchange(jumped_, false) && silence_) fill_until(now_ns);
            deliver();
            decoded_ahead_samples_ = ahead_samples - format_.frame_samples;
            filled_samples_ = gap_since_ns_ = 0;
            stand_ins_ = 0;
            silence_ = false;
        }
        // A packet may contain several frames. Even more at once were delayed by the network.
        heard_until_ns_ = now_ns + std::min(heard_ns, kMaxPeriod_ms * kMillisecond_ns);
    }
    gap_since_ns_ = 0;
}

// An empty jitter buffer knows the next sequence number only for a gap up to its depth. After a longer silence it
// accepts any packet as the first, and only the clock shows how much of the silence is not filled yet.
void Receiver::fill_until(std::int64_t now_ns) {
    std::fill(frame_.begin(), frame_.end(), std::int16_t{0});
    for (; 2 * (now_ns - heard_until_ns_) >= period_ns_; heard_until_ns_ += period_ns_) {
        put_frame();
        ++counters_.frames_filled;
    }
}

// Whether there is a complete frame at the head of the jitter buffer. `ahead_samples`: the samples there, in order.
Receiver::Head Receiver::look(std::int64_t& ahead_samples) {
    JitterBufferLock jitter_buffer(stream_);
    if (pjmedia_jbuf_take_jump(stream_->jb)) jumped_ = true;
    pj_uint32_t bit_info = 0;
    // For these, silence was already delivered in time.
    while (filled_samples_ >= format_.decoded_samples && type_at(0, bit_info) == PJMEDIA_JB_MISSING_FRAME) {
        pjmedia_jbuf_remove_frame(stream_->jb, 1);
        filled_samples_ -= format_.decoded_samples;
    }
    ahead_samples = decoded_ahead_samples_;
    for (unsigned i = 0; ahead_samples < format_.frame_samples; ++i) {
        const char type = type_at(i, bit_info);
        if (type == PJMEDIA_JB_MISSING_FRAME) return Head::Gap;
        if (type != PJMEDIA_JB_NORMAL_FRAME) return Head::Empty;
        if (format_.opus && bit_info != 0) format_.decoded_samples = bit_info;
        ahead_samples += format_.decoded_samples;
    }
    return Head::Ready;
}

char Receiver::type_at(unsigned offset, pj_uint32_t& bit_info) const {
    char type = 0;
    pjmedia_jbuf_peek_frame(stream_->jb, offset, nullptr, nullptr, &type, &bit_info, nullptr, nullptr);
    return type;
}

// Delivers a frame of which the peer sent only `ahead_samples`. Returns how many samples were concealed: Opus conceals
// a whole packet, and keeps the samples beyond this frame for the next frames.
std::int64_t Receiver::stand_in(std::uint64_t& counter, std::int64_t ahead_samples) {
    const std::int64_t needed_samples = std::max<std::int64_t>(format_.frame_samples - ahead_samples, 0);
    const bool by_packets =
        format_.opus && stand_ins_ * format_.frame_samples < kOpusRecovers * format_.decoded_samples;
    const std::int64_t unit = by_packets ? format_.decoded_samples : 1;
    const std::int64_t made_up_samples = (needed_samples + unit - 1) / unit * unit;
    decoded_ahead_samples_ = ahead_samples + made_up_samples - format_.frame_samples;
    deliver(true);
    ++stand_ins_;
    ++counter;
    return made_up_samples;
}

void Receiver::deliver(bool made_up) {
    if (stand_ins_ == 0) frame_.swap(last_frame_);
    const std::uint32_t missing = made_up && !format_.opus ? missing_entries() : 0;
    read_frame();
    for (unsigned entry = 0; entry * format_.decoded_samples < format_.frame_samples; ++entry)
        if ((missing >> entry & 1) != 0) conceal(entry * format_.decoded_samples, format_.decoded_samples);
    put_frame();
}

void Receiver::read_frame() {
    pjmedia_frame frame{};
    frame.buf = frame_.data();
    frame.size = frame_.size() * sizeof(std::int16_t);
    if (pjmedia_port_get_frame(&stream_->port, &frame) != PJ_SUCCESS || frame.type != PJMEDIA_FRAME_TYPE_AUDIO)
        std::fill(frame_.begin(), frame_.end(), std::int16_t{0});
}

void Receiver::put_frame() {
    ++(inbox_.put_frame(id_, backlog_, frame_.data(), frame_.size()) ? counters_.frames_in : counters_.frames_overrun);
}

// Packet loss concealment: repeats the last frame that the peer sent, faded to silence over three frames. PJMEDIA's own
// concealment sounds better, but delays every frame of every call by 5 ms (PJMEDIA_WSOLA_DELAY_MSEC), so the codecs'
// `plc` is switched off.
void Receiver::conceal(unsigned first_sample, unsigned samples) {
    constexpr unsigned kFade_frames = 3;
    const auto fade_samples = static_cast<float>(kFade_frames * format_.frame_samples);
    for (unsigned i = first_sample; i < std::min(first_sample + samples, format_.frame_samples); ++i) {
        const auto faded_samples = static_cast<float>(stand_ins_ * format_.frame_samples + i);
        const float gain = std::max(1 - faded_samples / fade_samples, 0.0F);
        frame_[i] = static_cast<std::int16_t>(static_cast<float>(last_frame_[i]) * gain);
    }
}

// The missing entries of the jitter buffer for the next frame, as bits. With G.711 an entry is 10 ms.
std::uint32_t Receiver::missing_entries() {
    JitterBufferLock jitter_buffer(stream_);
    std::uint32_t missing = 0;
    pj_uint32_t bit_info = 0;
    for (unsigned entry = 0; entry * format_.decoded_samples < format_.frame_samples; ++entry)
        if (type_at(entry, bit_info) != PJMEDIA_JB_NORMAL_FRAME) missing |= 1U << entry;
    return missing;
}

// A press has the same timestamp in all its packets (RFC 4733 section 2.2.2), also in packets that are delayed, or come
// after a re-INVITE. If a press is longer than the duration field allows, it continues in another segment (section
// 2.5.1.3).
void Receiver::on_digit(const pjmedia_stream_dtmf_event& event) {
    if (event.digit == kFlash) return end_digit();
    const bool update = (event.flags & PJMEDIA_STREAM_DTMF_IS_UPDATE) != 0;
    const unsigned segment_ms = digit_.ms - digit_.earlier_ms;
    const bool segment =
        segment_ms >= kSegment_ms && event.timestamp - digit_.timestamp_ms - segment_ms <= kSegmentSlack_ms;
    const bool same = digit_.code == static_cast<char>(event.digit) &&
                      (event.timestamp == digit_.timestamp_ms || (digit_.pressed && (update || segment)));
    if (same && !digit_.pressed) return;
    if (!same) {
        end_digit();
        digit_ = {static_cast<char>(event.digit), true, event.timestamp, 0, 0, monotonic_ns(), 0};
    } else if (!update && event.timestamp != digit_.timestamp_ms) {
        digit_.earlier_ms = digit_.ms;
    }
    digit_.timestamp_ms = event.timestamp;
    digit_.ms = digit_.earlier_ms + event.duration;
    digit_.heard_ns = monotonic_ns();
    if ((event.flags & PJMEDIA_STREAM_DTMF_IS_END) != 0) end_digit();
}

void Receiver::end_digit() {
    if (!std::exchange(digit_.pressed, false)) return;
    if (keys_.is_new(Keys::Way::Rtp, digit_.code, digit_.began_ns, monotonic_ns())) put_digit(digit_.code, digit_.ms);
}

void Receiver::on_key(char digit, unsigned ms) {
    const std::int64_t now_ns = monotonic_ns();
    if (keys_.is_new(Keys::Way::Info, digit, now_ns, now_ns)) put_digit(digit, ms);
}

void Receiver::put_digit(char digit, unsigned ms) {
    if (!inbox_.put_dtmf(id_, backlog_, digit, ms)) ++counters_.frames_overrun;
}

}  // namespace offhook
