// The clock of all timestamps in the engine.
#pragma once

#include <cstdint>
#include <ctime>

namespace offhook {

inline constexpr std::int64_t kMillisecond_ns = 1'000'000;

inline std::int64_t monotonic_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

}  // namespace offhook
