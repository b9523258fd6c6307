#include "speech.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "g711.hpp"

namespace loadgen {
namespace {

constexpr double kRate = 8000;
constexpr double kPi = 3.14159265358979323846;
constexpr std::size_t kSpeechFrames = 500;
constexpr std::size_t kNoiseFrames = 50;

struct Formant {
  double centre_hz;
  double width_hz;
  double level;
};
constexpr std::array<Formant, 3> kVowelA{{{730, 90, 1.0}, {1090, 110, 0.5}, {2440, 170, 0.18}}};

double formant_level(double hz) {
  double level = 0.02;
  for (const Formant& formant : kVowelA) {
    const double distance = (hz - formant.centre_hz) / formant.width_hz;
    level += formant.level / (1 + distance * distance);
  }
  return level;
}

}  // namespace

Speech::Speech() {
  constexpr double kPitchHz = 120;
  constexpr double kPeak = 12000;
  std::mt19937 random(7);
  std::normal_distribution<double> breath(0, 0.02);
  std::vector<double> wave(kSpeechFrames * kPayloadBytes);
  double phase = kPi / 2;
  for (std::size_t i = 0; i < wave.size(); ++i) {
    const double pitch = kPitchHz * (1 + 0.03 * std::sin(2 * kPi * 5 * static_cast<double>(i) / kRate));
    phase += 2 * kPi * pitch / kRate;
    for (int harmonic = 1; harmonic * kPitchHz < 3400; ++harmonic) {
      wave[i] += formant_level(harmonic * kPitchHz) * std::sin(harmonic * phase + harmonic * harmonic);
    }
    wave[i] += breath(random);
  }
  double loudest = 0;
  for (const double sample : wave) loudest = std::max(loudest, std::fabs(sample));
  samples_.reserve(wave.size());
  for (const double sample : wave) {
    samples_.push_back(linear_to_ulaw(static_cast<std::int16_t>(sample / loudest * kPeak)));
  }
}

LineNoise::LineNoise() {
  std::mt19937 random(11);
  samples_.resize(kNoiseFrames * kPayloadBytes);
  for (std::uint8_t& sample : samples_) {
    sample = linear_to_ulaw(static_cast<std::int16_t>(static_cast<int>(random() % 3) * 8 - 8));
  }
}

int peak(const std::uint8_t* payload, std::size_t size) {
  int loudest = 0;
  for (std::size_t i = 0; i < size; ++i) loudest = std::max(loudest, std::abs(ulaw_to_linear(payload[i])));
  return loudest;
}

}  // namespace loadgen
