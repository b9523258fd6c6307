// How the engine behaves, the same for all slots.
#pragma once

#include "source.hpp"

#include <cstdint>
#include <memory>

namespace offhook {

struct Tuning {
    std::int64_t reorder_ns = 40'000'000;     // how long a missing packet is waited for
    std::int64_t fill_after_ns = 60'000'000;  // after the last sound, silence stands in for a peer that sends nothing
    std::int64_t silent_after_ns = 5'000'000'000;  // then asyncio is told, once for each silence
    unsigned playout_limit_ms = 120'000;           // the most an agent may queue ahead
    unsigned unproved_packets = 50;                // go to an address that has not shown that it wants them,
    unsigned elsewhere_packets = 500;              // or to another host than acknowledged that it does
    std::shared_ptr<OwnAddresses> own;             // nothing goes there
};

}  // namespace offhook
