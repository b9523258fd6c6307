// A real-time thread in an endless loop becomes an ordinary thread, and a real-time thread again when it sleeps.
#include "realtime.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

namespace offhook {
namespace {

using namespace std::chrono_literals;

int policy_of(pid_t thread) { return ::sched_getscheduler(thread) & ~SCHED_RESET_ON_FORK; }

bool becomes(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(10ms);
    }
    return true;
}

// A thread that computes while the test wants it, and sleeps otherwise.
class Worker {
public:
    Worker() : thread_([this] { run(); }) {
        while (id_ == 0) std::this_thread::sleep_for(1ms);
    }
    ~Worker() {
        ends_ = true;
        thread_.join();
    }
    std::atomic<bool> busy{false};
    std::atomic<bool> starts_a_thread{false};
    std::atomic<int> policy_of_its_thread{-1};
    pid_t id() const { return id_; }

private:
    void run() {
        id_ = static_cast<pid_t>(::syscall(SYS_gettid));
        while (!ends_) {
            if (starts_a_thread.exchange(false)) {
                std::thread([this] { policy_of_its_thread = ::sched_getscheduler(0) & ~SCHED_RESET_ON_FORK; }).join();
            }
            if (!busy) std::this_thread::sleep_for(5ms);
        }
    }
    std::atomic<bool> ends_{false};
    std::atomic<pid_t> id_{0};
    std::thread thread_;
};

TEST(RealTimeTest, AThreadThatNeverWaitsBecomesAnOrdinaryOneUntilItDoes) {
    RealTime realtime;
    Worker worker;
    if (!realtime.add(worker.id(), 2)) GTEST_SKIP() << "this system permits no real-time priority";
    EXPECT_EQ(policy_of(worker.id()), SCHED_RR);
    worker.busy = true;
    EXPECT_TRUE(becomes([&] { return policy_of(worker.id()) == SCHED_OTHER; }));
    EXPECT_EQ(realtime.demotions(), 1U);
    EXPECT_EQ(realtime.demoted(), 1U);
    EXPECT_TRUE(realtime.is_demoted(worker.id()));
    EXPECT_FALSE(realtime.is_demoted(worker.id() + 1));
    worker.busy = false;
    EXPECT_TRUE(becomes([&] { return policy_of(worker.id()) == SCHED_RR; }));
    EXPECT_EQ(realtime.demoted(), 0U);
    EXPECT_FALSE(realtime.is_demoted(worker.id()));
}

TEST(RealTimeTest, AThreadThatWaitsKeepsItsPriority) {
    RealTime realtime;
    Worker worker;
    if (!realtime.add(worker.id(), 2)) GTEST_SKIP() << "this system permits no real-time priority";
    std::this_thread::sleep_for(1500ms);
    EXPECT_EQ(policy_of(worker.id()), SCHED_RR);
    EXPECT_EQ(realtime.demotions(), 0U);
}

TEST(RealTimeTest, WhatAThreadStartsIsOrdinary) {
    RealTime realtime;
    Worker worker;
    if (!realtime.add(worker.id(), 2)) GTEST_SKIP() << "this system permits no real-time priority";
    worker.starts_a_thread = true;
    EXPECT_TRUE(becomes([&] { return worker.policy_of_its_thread != -1; }));
    EXPECT_EQ(worker.policy_of_its_thread, SCHED_OTHER);
}

TEST(RealTimeTest, APriorityOutOfItsRangeAndAThreadThatIsGoneAreRefused) {
    RealTime realtime;
    Worker worker;
    EXPECT_FALSE(realtime.add(worker.id(), 0));
    EXPECT_FALSE(realtime.add(worker.id(), RealTime::kHighest + 1));
    EXPECT_FALSE(realtime.add(99'999'999, 2));
}

}  // namespace
}  // namespace offhook
