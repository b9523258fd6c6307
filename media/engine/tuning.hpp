// Settings of the engine, the same for all slots.
#pragma once

#include "source.hpp"

#include <cstdint>
#include <memory>

namespace offhook {

struct Tuning {
    std::int64_t reorder_ns = 40'000'000;          // how long to wait for a missing packet
    std::int64_t fill_after_ns = 60'000'000;       // if the peer sends nothing for so long, fill with silence
    std::int64_t silent_after_ns = 5'000'000'000;  // then report it to asyncio, once for each silence
    unsigned playout_limit_ms = 120'000;           // the most an agent may queue ahead
    unsigned unproved_packets = 50;                // at most so many are sent to an address that is not proved,
    unsigned elsewhere_packets = 500;              // or to a host other than the one that acknowledged
    std::shared_ptr<OwnAddresses> own;             // nothing is sent to these
};

}  // namespace offhook
