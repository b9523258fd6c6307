// Brings a number of calls up at a bounded rate and lets them settle.
#pragma once

#include "driver.hpp"

namespace loadgen {

class Ramp {
 public:
  Ramp(Driver& driver, std::size_t calls, double rate, double settle_seconds)
      : driver_(driver),
        calls_(calls),
        period_(static_cast<Nanos>(kSecond / rate)),
        settle_(static_cast<Nanos>(settle_seconds * kSecond)) {}

  // True when every call was answered or has failed (or kAnswerLimit is over), and has settled.
  bool on_tick(Nanos now) {
    if (dial_due_ == 0) dial_due_ = now;
    while (driver_.dialled() < calls_ && now >= dial_due_) {
      driver_.dial(now);
      dial_due_ += period_;
      ready_at_ = 0;
    }
    if (driver_.dialled() < calls_) return false;
    const bool complete = driver_.up() + driver_.failed() >= calls_ || now > dial_due_ + kAnswerLimit;
    if (!complete) return false;
    if (ready_at_ == 0) ready_at_ = now + settle_;
    return now >= ready_at_;
  }

 private:
  static constexpr Nanos kAnswerLimit = 35 * kSecond;  // timer B is over after 32 s

  Driver& driver_;
  std::size_t calls_;
  Nanos period_;
  Nanos settle_;
  Nanos dial_due_ = 0;
  Nanos ready_at_ = 0;
};

}  // namespace loadgen
