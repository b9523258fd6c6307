// The counters of one slot, over all streams that it was attached to.
#pragma once

#include <cstdint>

namespace offhook {

struct Counters {
    std::uint64_t frames_in = 0;         // delivered to asyncio, including concealed and filled frames
    std::uint64_t frames_concealed = 0;  // substitutes for packets that were lost or came too late
    std::uint64_t frames_filled = 0;     // silence, while the peer sent nothing
    std::uint64_t frames_overrun = 0;    // dropped: asyncio had not read for two seconds
    std::uint64_t frames_out = 0;        // encoded and handed to the socket, including silence
    std::uint64_t taps_missed = 0;       // sent frames that a tap did not get: asyncio had not read for two seconds
    std::uint64_t send_errors = 0;
    std::uint64_t packets_received = 0;
    std::uint64_t packets_lost = 0;
    std::uint64_t packets_discarded = 0;  // duplicate, or out of sequence
    std::uint64_t packets_reordered = 0;  // came after a packet with a later sequence number
    std::uint64_t packets_late = 0;       // of these, those that came after their substitute, or twice
    std::uint64_t packets_foreign = 0;    // not from the peer: dropped, and not in the counters above
    std::uint64_t packets_sent = 0;
    double jitter_ms = 0;      // of the last stream: mean interarrival jitter, RFC 3550 section 6.4.1
    double peer_loss_pct = 0;  // of the last stream: loss in the peer's receiver reports
    double round_trip_ms = 0;  // of the last stream: from RTCP, 0 when unknown
};

}  // namespace offhook
