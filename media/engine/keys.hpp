// One press of a key may be told in two ways.
#pragma once

#include <array>
#include <cstdint>

namespace offhook {

// A telephone may send each key as RTP (RFC 4733) and by SIP INFO. Which comes first is left to the network, and RTP
// tells a press when it is over, INFO at its beginning or its end.
class Keys {
public:
    enum class Way { None, Rtp, Info };

    // Whether a press that began at `begin_ns` is new: the other way has told of none that may be the same one. Each
    // that it did tell of stands for one press.
    bool is_new(Way way, char digit, std::int64_t begin_ns, std::int64_t now_ns);

private:
    struct Press {
        Way way = Way::None;  // by which alone it was told so far
        char digit = 0;
        std::int64_t told_ns = 0;
    };

    std::array<Press, 16> presses_;  // in order; the oldest gives way
    unsigned next_ = 0;
};

}  // namespace offhook
