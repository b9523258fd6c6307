// G.711 mu-law (ITU-T G.711), written for the generator alone: it shares no media code with what it measures.
#pragma once

#include <cstdint>

namespace loadgen {

constexpr std::uint8_t kUlawSilence = 0xFF;

constexpr std::int16_t ulaw_to_linear(std::uint8_t code) {
  const int bits = ~code & 0xFF;
  const int magnitude = ((((bits & 0x0F) << 3) + 0x84) << ((bits & 0x70) >> 4)) - 0x84;
  return static_cast<std::int16_t>((bits & 0x80) != 0 ? -magnitude : magnitude);
}

constexpr std::uint8_t linear_to_ulaw(std::int16_t sample) {
  constexpr int kClip = 32635;
  const int sign = sample < 0 ? 0x80 : 0;
  int magnitude = sample < 0 ? -static_cast<int>(sample) : sample;
  magnitude = (magnitude > kClip ? kClip : magnitude) + 0x84;
  int exponent = 7;
  for (int mask = 0x4000; exponent > 0 && (magnitude & mask) == 0; mask >>= 1) --exponent;
  const int mantissa = (magnitude >> (exponent + 3)) & 0x0F;
  return static_cast<std::uint8_t>(~(sign | (exponent << 4) | mantissa));
}

}  // namespace loadgen
