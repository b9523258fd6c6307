// The identification that a 20 ms PCMU payload carries through decoding and encoding.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace loadgen {

constexpr std::size_t kPayloadBytes = 160;
using Payload = std::array<std::uint8_t, kPayloadBytes>;

struct Stamp {
  std::uint16_t flow;
  std::uint16_t sequence;
  std::uint32_t sent_us;  // CLOCK_MONOTONIC, wrapping

  bool operator==(const Stamp& other) const {
    return flow == other.flow && sequence == other.sequence && sent_us == other.sent_us;
  }
};

// Layout, big endian: flow 16, sequence 16, sent_us 32, CRC-16/CCITT (init 0xFFFF) of these 16; as 20 nibbles, high
// nibble first, 8 equal samples each. A nibble's bit 3 is the sign and bits 0-2 the segment of a mu-law code with
// mantissa 8: 16 levels, a factor of two apart, none of them one of mu-law's two zeros.
void write_stamp(const Stamp& stamp, std::uint8_t* payload);

// Nothing, if the payload is not a whole stamped frame.
std::optional<Stamp> read_stamp(const std::uint8_t* payload);

}  // namespace loadgen
