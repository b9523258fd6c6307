#include "realtime.hpp"

#include "monotonic.hpp"

#include <pthread.h>
#include <sched.h>
#include <algorithm>
#include <chrono>
#include <ctime>

namespace offhook {
namespace {

constexpr auto kLook = std::chrono::milliseconds(250);
// Shares of the last second. The kernel reserves 5 % of each second for other threads (sched_rt_runtime_us), so no
// real-time thread can use much more than 95 %.
constexpr double kBusy = 0.9, kCalm = 0.75;

bool set_realtime(pid_t thread, int priority) {
    sched_param parameters{};
    parameters.sched_priority = priority;
    return ::sched_setscheduler(thread, SCHED_RR | SCHED_RESET_ON_FORK, &parameters) == 0;
}

void set_ordinary(pid_t thread) {
    const sched_param parameters{};
    ::sched_setscheduler(thread, SCHED_OTHER | SCHED_RESET_ON_FORK, &parameters);
}

// The processor time of any thread of this process, with the clock id that pthread_getcpuclockid(3) would return for it
// (linux/posix-timers.h: CPUCLOCK_PERTHREAD_MASK, CPUCLOCK_SCHED). 0 if the thread has ended.
std::int64_t processor_time_ns(pid_t thread) {
    timespec time{};
    const auto clock = static_cast<clockid_t>((~static_cast<unsigned>(thread) << 3) | 6U);
    if (::clock_gettime(clock, &time) != 0) return 0;
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

RealTime::RealTime() : watch_([this] { run(); }) {}

RealTime::~RealTime() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stop_.notify_one();
    watch_.join();
}

bool RealTime::add(pid_t thread, int priority) {
    std::lock_guard lock(mutex_);
    if (priority < 1 || priority > kHighest || !set_realtime(thread, priority)) return false;
    Thread added{thread, priority, {}, false};
    added.used_ns.fill(processor_time_ns(thread));
    threads_.push_back(added);
    return true;
}

bool RealTime::is_demoted(pid_t thread) {
    std::lock_guard lock(mutex_);
    return std::any_of(threads_.begin(), threads_.end(),
                       [thread](const Thread& one) { return one.id == thread && one.demoted; });
}

void RealTime::run() {
    ::pthread_setname_np(::pthread_self(), "real-time");
    set_realtime(0, kHighest + 1);
    std::unique_lock lock(mutex_);
    looked_ns_.fill(monotonic_ns());
    while (!stop_.wait_for(lock, kLook, [this] { return stopping_; })) look();
}

void RealTime::look() {
    const unsigned oldest = look_++ % kLooks;
    const std::int64_t now_ns = monotonic_ns();
    const auto elapsed_ns = static_cast<double>(now_ns - looked_ns_[oldest]);
    looked_ns_[oldest] = now_ns;
    for (Thread& thread : threads_) {
        const std::int64_t used_ns = processor_time_ns(thread.id);
        const double share = static_cast<double>(used_ns - thread.used_ns[oldest]) / elapsed_ns;
        thread.used_ns[oldest] = used_ns;
        if (!thread.demoted && share > kBusy) {
            set_ordinary(thread.id);
            thread.demoted = true;
            demotions_.fetch_add(1, std::memory_order_relaxed);
            demoted_.fetch_add(1, std::memory_order_relaxed);
        } else if (thread.demoted && share < kCalm && set_realtime(thread.id, thread.priority)) {
            thread.demoted = false;
            demoted_.fetch_sub(1, std::memory_order_relaxed);
        }
    }
}

}  // namespace offhook
