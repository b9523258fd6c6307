// Delivers the peer's voice and keys from the jitter buffer to the inbox.
#pragma once

#include "counters.hpp"
#include "inbox.hpp"
#include "keys.hpp"
#include "stream.hpp"
#include "tuning.hpp"

#include <cstdint>
#include <vector>

namespace offhook {

// The listener gets a steady stream of frames: each frame as it comes, and a substitute for a frame that does not come.
// All functions need the slot's receive lock.
class Receiver {
public:
    Receiver(SlotId id, Inbox& inbox, const Tuning& tuning, Counters& counters);

    void begin(pjmedia_stream_common* stream, const StreamFormat& format);
    void end();

    // A key that the peer sent by signalling (SIP INFO). May be called at any time.
    void on_key(char digit, unsigned ms);

    // Only between begin() and end(). `late`: the packet came after its turn.
    void on_packet(std::int64_t now_ns, bool late);
    void on_digit(const pjmedia_stream_dtmf_event& event);
    void keep_time(std::int64_t now_ns);

private:
    enum class Head { Ready, Gap, Empty };

    // The last key that the peer pressed.
    struct Digit {
        char code = 0;
        bool pressed = false;
        unsigned timestamp_ms = 0;  // of this segment
        unsigned ms = 0;
        unsigned earlier_ms = 0;  // in the segments before this one
        std::int64_t began_ns = 0;
        std::int64_t heard_ns = 0;
    };

    void receive(std::int64_t now_ns);
    Head look(std::int64_t& ahead_samples);
    char type_at(unsigned offset, pj_uint32_t& bit_info) const;
    void fill_until(std::int64_t now_ns);
    std::int64_t stand_in(std::uint64_t& counter, std::int64_t ahead_samples);
    void deliver(bool made_up = false);
    void read_frame();
    void put_frame();
    void conceal(unsigned first_sample, unsigned samples);
    std::uint32_t missing_entries();
    void end_digit();
    void put_digit(char digit, unsigned ms);

    const SlotId id_;
    Inbox& inbox_;
    const Tuning& tuning_;
    Counters& counters_;

    pjmedia_stream_common* stream_ = nullptr;
    StreamFormat format_;
    std::int64_t period_ns_ = 0;
    std::vector<std::int16_t> frame_;
    std::vector<std::int16_t> last_frame_;  // the last frame that the peer sent
    Backlog backlog_;

    bool heard_ = false;  // a packet has come since begin()
    bool told_silent_ = false;
    bool silence_ = false;    // silence is delivered while the peer sends nothing
    bool jumped_ = false;     // the jitter buffer has restarted at another position
    unsigned stand_ins_ = 0;  // frames in a row that the peer did not send
    std::int64_t last_packet_ns_ = 0;
    std::int64_t heard_until_ns_ = 0;         // when a listener who plays frames at once has played all delivered ones
    std::int64_t gap_since_ns_ = 0;           // 0: the next packet is not missing
    std::int64_t decoded_ahead_samples_ = 0;  // in the decoder, if packets are longer than a frame
    std::int64_t filled_samples_ = 0;         // delivered as substitutes for packets that did not come
    Digit digit_;
    Keys keys_;
};

}  // namespace offhook
