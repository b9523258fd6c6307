// Real-time priority for threads that calls cannot wait for, as long as these leave the processor some time.
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

// A thread at real-time priority that computes without end takes its core from everybody, also from whoever wants to
// stop it. So a thread of ours, above all others, looks at them four times a second: one that has used nearly all of
// the last second becomes an ordinary thread, and a real-time one again when it has waited for a quarter of a second in
// one.
//
// RLIMIT_RTTIME would not do: its count begins anew whenever the thread sleeps, and a Python thread that loops sleeps
// for a moment each time it hands over the interpreter.
class RealTime {
public:
    RealTime();
    ~RealTime();
    RealTime(const RealTime&) = delete;
    RealTime& operator=(const RealTime&) = delete;

    // Gives a thread of this process (its kernel id) a priority of SCHED_RR, 1 to kHighest. False when the system does
    // not permit it. Threads that it starts are ordinary ones.
    bool add(pid_t thread, int priority);

    // Whether a thread that was added is an ordinary one now.
    bool is_demoted(pid_t thread);

    unsigned demotions() const { return demotions_.load(std::memory_order_relaxed); }
    // How many of the threads are ordinary ones now.
    unsigned demoted() const { return demoted_.load(std::memory_order_relaxed); }

    static constexpr int kHighest = 8;

private:
    static constexpr unsigned kLooks = 4;

    struct Thread {
        pid_t id;
        int priority;
        std::array<std::int64_t, kLooks> used_ns;  // processor time at the last looks, the oldest one at look_ % kLooks
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
