// Finds out when RTP and SIP INFO report the same press of a key.
#pragma once

#include <array>
#include <cstdint>

namespace offhook {

// A telephone may send each key both as RTP (RFC 4733) and by SIP INFO. Either may come first. A press is reported by
// RTP when it is over, and by INFO at its beginning or its end.
class Keys {
public:
    enum class Way { None, Rtp, Info };

    // Whether a press that began at `begin_ns` is new, that is, the other way has not reported a press that may be the
    // same. Each reported press can match only one press of the other way.
    bool is_new(Way way, char digit, std::int64_t begin_ns, std::int64_t now_ns);

private:
    struct Press {
        Way way = Way::None;  // the only way that has reported it so far
        char digit = 0;
        std::int64_t told_ns = 0;
    };

    std::array<Press, 16> presses_;  // in order; the oldest one is overwritten
    unsigned next_ = 0;
};

}  // namespace offhook
