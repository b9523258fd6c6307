// Durations counted into equal bins, so that a million of them cost no memory and no sorting.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "clock.hpp"

namespace loadgen {

class Histogram {
 public:
  static constexpr Nanos kBin = 10 * kMicrosecond;
  static constexpr std::size_t kBins = 200'000;  // 2 s; longer ones share the last bin, the maximum stays exact

  void record(Nanos duration) {
    const Nanos bin = std::clamp<Nanos>(duration / kBin, 0, kBins - 1);
    ++bins_[static_cast<std::size_t>(bin)];
    ++count_;
    max_ = std::max(max_, duration);
  }

  std::uint64_t count() const { return count_; }
  // Whether a percentile may be longer than it says.
  bool capped() const { return bins_.back() > 0; }
  Nanos max() const { return max_; }

  // Nearest rank, to the middle of its bin; 0 when nothing was recorded.
  Nanos percentile(double percent) const {
    if (count_ == 0) return 0;
    const auto rank = std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(std::ceil(percent / 100.0 * static_cast<double>(count_))));
    std::uint64_t seen = 0;
    for (std::size_t bin = 0; bin < kBins; ++bin) {
      seen += bins_[bin];
      if (seen >= rank) return std::min(max_, static_cast<Nanos>(bin) * kBin + kBin / 2);
    }
    return max_;
  }

 private:
  std::vector<std::uint32_t> bins_ = std::vector<std::uint32_t>(kBins);
  std::uint64_t count_ = 0;
  Nanos max_ = 0;
};

}  // namespace loadgen
