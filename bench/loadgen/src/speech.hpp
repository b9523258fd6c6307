// Voices: a caller who speaks, and one who is quiet on a real line.
#pragma once

#include <cstdint>
#include <vector>

#include "stamp.hpp"

namespace loadgen {

// A sung vowel (harmonics of 120 Hz under the formants of "a", with breath noise), at full level from its first sample,
// so that a voice activity detector has no reason to hesitate. Repeats every 10 seconds.
class Speech {
 public:
  Speech();
  const std::uint8_t* frame(std::size_t index) const { return &samples_[index * kPayloadBytes % samples_.size()]; }

 private:
  std::vector<std::uint8_t> samples_;
};

// The hiss of an idle line, some -75 dBm0.
class LineNoise {
 public:
  LineNoise();
  const std::uint8_t* frame(std::size_t index) const { return &samples_[index * kPayloadBytes % samples_.size()]; }

 private:
  std::vector<std::uint8_t> samples_;
};

// The greatest magnitude of a linear sample in a mu-law frame.
int peak(const std::uint8_t* payload, std::size_t size);

}  // namespace loadgen
