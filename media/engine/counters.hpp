// What is counted of one slot, over all streams that it was attached to.
#pragma once

#include <cstdint>

namespace offhook {

struct Counters {
    std::uint64_t frames_in = 0;         // delivered to asyncio, concealed and filled ones included
    std::uint64_t frames_concealed = 0;  // stood in for packets that were lost or came too late
    std::uint64_t frames_filled = 0;     // stood in while the peer sent nothing
    std::uint64_t frames_overrun = 0;    // dropped: asyncio had not read for two seconds
    std::uint64_t frames_out = 0;        // encoded and handed to the socket, silence included
    std::uint64_t taps_missed = 0;       // of those out, as a tap should have had them: nobody had read for two seconds
    std::uint64_t send_errors = 0;
    std::uint64_t packets_received = 0;
    std::uint64_t packets_lost = 0;
    std::uint64_t packets_discarded = 0;  // duplicate, or out of any sequence
    std::uint64_t packets_reordered = 0;  // came after a later one, in time or too late
    std::uint64_t packets_late = 0;       // of these, when something stood in already, or once more
    std::uint64_t packets_foreign = 0;    // not the peer's: dropped, and in none of the above
    std::uint64_t packets_sent = 0;
    double jitter_ms = 0;      // of the last stream: mean interarrival jitter, RFC 3550 section 6.4.1
    double peer_loss_pct = 0;  // of the last stream: what the peer's receiver reports say it lost
    double round_trip_ms = 0;  // of the last stream: from RTCP, 0 when unknown
};

}  // namespace offhook
