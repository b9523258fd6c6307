#include "clock.hpp"

#include "monotonic.hpp"

#include <pjlib.h>

#include <pthread.h>
#include <sched.h>
#include <ctime>

namespace offhook {
namespace {

constexpr std::int64_t kTick_ns = 1'000'000;
constexpr unsigned kSignal_ticks = 2;  // a wake-up of asyncio costs as much as two frames
constexpr std::int64_t kLate_ns = 5'000'000;
constexpr std::int64_t kLost_ns =
    200'000'000;  // the machine was suspended: catching up would send a burst of old frames

void sleep_until(std::int64_t deadline_ns) {
    const timespec deadline{static_cast<time_t>(deadline_ns / 1'000'000'000),
                            static_cast<long>(deadline_ns % 1'000'000'000)};
    ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, nullptr);
}

}  // namespace

Clock::Clock(std::string name, Inbox& inbox) : name_(std::move(name)), inbox_(inbox), thread_([this] { run(); }) {}

Clock::~Clock() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    added_.notify_one();
    thread_.join();
}

void Clock::add(std::shared_ptr<Slot> slot) {
    const unsigned attachment = slot->attachment();
    const unsigned period_ticks = slot->period_ms();
    std::lock_guard lock(mutex_);
    wheel_[emptiest(period_ticks)].push_back({std::move(slot), attachment, period_ticks});
    ++entries_;
    added_.notify_one();
}

// The tick within the next period with the fewest slots.
unsigned Clock::emptiest(unsigned period_ticks) const {
    unsigned best = (tick_ + 1) % kWheelTicks;
    for (unsigned i = 2; i <= period_ticks; ++i) {
        const unsigned candidate = (tick_ + i) % kWheelTicks;
        if (wheel_[candidate].size() < wheel_[best].size()) best = candidate;
    }
    return best;
}

void Clock::run() {
    pj_thread_desc descriptor{};
    pj_thread_t* thread = nullptr;
    pj_thread_register(name_.c_str(), descriptor, &thread);
    ::pthread_setname_np(::pthread_self(), name_.substr(0, 15).c_str());
    // Late audio is audible, and the work per tick is small. If the priority is not permitted, we continue without it.
    sched_param priority{};
    priority.sched_priority = 4;  // above the other threads that calls wait for: gateway/process/realtime.py
    realtime_ = ::pthread_setschedparam(::pthread_self(), SCHED_RR, &priority) == 0;

    std::int64_t next_ns = 0;
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            if (entries_ == 0) {
                added_.wait(lock, [this] { return stopping_ || entries_ > 0; });
                next_ns = monotonic_ns();
            }
            if (stopping_) return;
        }
        next_ns += kTick_ns;
        sleep_until(next_ns);
        const std::int64_t now_ns = monotonic_ns();
        if (now_ns - next_ns > kLate_ns) ++late_ticks_;
        if (now_ns - next_ns > kLost_ns) next_ns = now_ns;
        tick(now_ns);
        if (tick_ % kSignal_ticks == 0) inbox_.signal();
    }
}

void Clock::tick(std::int64_t now_ns) {
    {
        std::lock_guard lock(mutex_);
        tick_ = (tick_ + 1) % kWheelTicks;
        due_.swap(wheel_[tick_]);
    }
    std::size_t kept = 0;
    for (Entry& entry : due_) {
        entry.again_ticks = entry.slot->on_clock(now_ns, entry.attachment);
        if (entry.again_ticks == 0) continue;
        if (&entry != &due_[kept]) due_[kept] = std::move(entry);
        ++kept;
    }
    std::lock_guard lock(mutex_);
    entries_ -= due_.size() - kept;
    due_.resize(kept);
    for (Entry& entry : due_) {
        auto& later = wheel_[(tick_ + entry.again_ticks) % kWheelTicks];
        later.push_back(std::move(entry));
    }
    due_.clear();
}

}  // namespace offhook
