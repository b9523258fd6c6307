// Real-time priority for threads that must not delay calls, as long as they leave some processor time for others.
#pragma once

#include <sys/types.h>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace offhook {

// A real-time thread in an endless loop takes its core from all other threads, also from those that could stop it. So a
// watch thread with the highest priority checks the threads four times a second. A thread that used more than 90 % of
// the last second becomes an ordinary thread. It becomes a real-time thread again when it used less than 75 % of a
// second.
//
// RLIMIT_RTTIME does not work here: its count restarts whenever the thread sleeps, and a Python thread in a loop sleeps
// for a moment each time it releases the GIL.
class RealTime {
public:
    RealTime();
    ~RealTime();
    RealTime(const RealTime&) = delete;
    RealTime& operator=(const RealTime&) = delete;

    // Gives a thread of this process (by its kernel id) a SCHED_RR priority, 1 to kHighest. Returns false if the system
    // does not permit it. Threads that this thread starts are ordinary threads.
    bool add(pid_t thread, int priority);

    // Whether a thread that was added is now an ordinary thread.
    bool is_demoted(pid_t thread);

    unsigned demotions() const { return demotions_.load(std::memory_order_relaxed); }
    // How many of the threads are now ordinary threads.
    unsigned demoted() const { return demoted_.load(std::memory_order_relaxed); }

    static constexpr int kHighest = 8;

private:
    static constexpr unsigned kLooks = 4;

    struct Thread {
        pid_t id;
        int priority;
        std::array<std::int64_t, kLooks> used_ns;  // processor time at the last checks, the oldest at look_ % kLooks
        bool demoted;
    };

    void run();
    void look();

    std::mutex mutex_;
    std::condition_variable stop_;
    bool stopping_ = false;
    std::vector<Thread> threads_;
    std::array<std::int64_t, kLooks> looked_ns_{};
    unsigned look_ = 0;
    std::atomic<unsigned> demotions_{0};
    std::atomic<unsigned> demoted_{0};
    std::thread watch_;
};

}  // namespace offhook
