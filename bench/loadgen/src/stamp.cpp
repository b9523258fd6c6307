#include "stamp.hpp"

#include <cstring>

namespace loadgen {
namespace {

constexpr std::size_t kNibbles = 20;
constexpr std::size_t kSamplesPerNibble = kPayloadBytes / kNibbles;
constexpr std::size_t kBodyBytes = 8;
constexpr std::uint8_t kNoNibble = 0xFF;

constexpr std::uint8_t symbol(unsigned nibble) {
  return static_cast<std::uint8_t>(~(((nibble >> 3) << 7) | ((nibble & 7U) << 4) | 8U));
}

constexpr std::array<std::uint8_t, 256> nibble_table() {
  std::array<std::uint8_t, 256> table{};
  for (auto& entry : table) entry = kNoNibble;
  for (unsigned nibble = 0; nibble < 16; ++nibble) table[symbol(nibble)] = static_cast<std::uint8_t>(nibble);
  return table;
}

constexpr std::array<std::uint16_t, 256> crc_table() {
  std::array<std::uint16_t, 256> table{};
  for (unsigned index = 0; index < 256; ++index) {
    unsigned crc = index << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000U) != 0 ? (crc << 1) ^ 0x1021U : crc << 1;
    table[index] = static_cast<std::uint16_t>(crc);
  }
  return table;
}

constexpr auto kNibbleOf = nibble_table();
constexpr auto kCrc = crc_table();

std::uint16_t crc16(const std::uint8_t* bytes, std::size_t count) {
  unsigned crc = 0xFFFF;
  for (std::size_t i = 0; i < count; ++i) crc = ((crc << 8) & 0xFFFFU) ^ kCrc[(crc >> 8) ^ bytes[i]];
  return static_cast<std::uint16_t>(crc);
}

void put16(std::uint8_t* bytes, unsigned value) {
  bytes[0] = static_cast<std::uint8_t>(value >> 8);
  bytes[1] = static_cast<std::uint8_t>(value);
}

std::uint16_t get16(const std::uint8_t* bytes) { return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]); }

}  // namespace

void write_stamp(const Stamp& stamp, std::uint8_t* payload) {
  std::array<std::uint8_t, kBodyBytes + 2> bytes{};
  put16(&bytes[0], stamp.flow);
  put16(&bytes[2], stamp.sequence);
  put16(&bytes[4], stamp.sent_us >> 16);
  put16(&bytes[6], stamp.sent_us & 0xFFFFU);
  put16(&bytes[8], crc16(bytes.data(), kBodyBytes));
  for (const std::uint8_t byte : bytes) {
    std::memset(payload, symbol(byte >> 4), kSamplesPerNibble);
    std::memset(payload + kSamplesPerNibble, symbol(byte & 0x0FU), kSamplesPerNibble);
    payload += 2 * kSamplesPerNibble;
  }
}

std::optional<Stamp> read_stamp(const std::uint8_t* payload) {
  std::array<std::uint8_t, kBodyBytes + 2> bytes{};
  const std::uint8_t* sample = payload + kSamplesPerNibble / 2;
  for (std::uint8_t& byte : bytes) {
    const std::uint8_t high = kNibbleOf[sample[0]];
    const std::uint8_t low = kNibbleOf[sample[kSamplesPerNibble]];
    if (high == kNoNibble || low == kNoNibble) return std::nullopt;
    byte = static_cast<std::uint8_t>(high << 4 | low);
    sample += 2 * kSamplesPerNibble;
  }
  if (crc16(bytes.data(), kBodyBytes) != get16(&bytes[8])) return std::nullopt;
  return Stamp{get16(&bytes[0]), get16(&bytes[2]),
               static_cast<std::uint32_t>(get16(&bytes[4])) << 16 | get16(&bytes[6])};
}

}  // namespace loadgen
