// Time in the generator: nanoseconds of CLOCK_MONOTONIC everywhere.
#pragma once

#include <cstdint>
#include <ctime>

namespace loadgen {

using Nanos = std::int64_t;

constexpr Nanos kMicrosecond = 1'000;
constexpr Nanos kMillisecond = 1'000'000;
constexpr Nanos kSecond = 1'000'000'000;

inline Nanos to_nanos(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }

inline Nanos read_clock(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return to_nanos(time);
}

inline Nanos monotonic_now() { return read_clock(CLOCK_MONOTONIC); }

// The 32 bits of send time that a packet carries: microseconds, wrapping after 71 minutes.
inline std::uint32_t wire_microseconds(Nanos time) { return static_cast<std::uint32_t>(time / kMicrosecond); }

// Kernel receive timestamps are CLOCK_REALTIME, which may be slewed or set: refresh often.
class RealtimeOffset {
 public:
  void refresh() { offset_ = read_clock(CLOCK_REALTIME) - monotonic_now(); }
  Nanos to_monotonic(Nanos realtime) const { return realtime - offset_; }

 private:
  Nanos offset_ = read_clock(CLOCK_REALTIME) - monotonic_now();
};

}  // namespace loadgen
