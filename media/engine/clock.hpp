// The media clock: calls every attached slot once per period, on absolute deadlines.
#pragma once

#include "slot.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace offhook {

// One thread that ticks every millisecond while it has slots, and sleeps while it has none. Slots are spread over
// the ticks of their period, so that a thousand frames are not sent in one burst.
class Clock {
public:
    Clock(std::string name, Inbox& inbox);
    ~Clock();
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;

    // SIP thread, right after slot->attach(). The slot is removed at its first tick after detach().
    void add(std::shared_ptr<Slot> slot);

    std::uint64_t late_ticks() const { return late_ticks_.load(std::memory_order_relaxed); }
    bool realtime() const { return realtime_.load(std::memory_order_relaxed); }

private:
    struct Entry {
        std::shared_ptr<Slot> slot;
        unsigned attachment;
        unsigned again_ticks;  // from now
    };

    static constexpr unsigned kWheelTicks = 128;  // longer than the longest period, 120 ms

    void run();
    void tick(std::int64_t now_ns);
    unsigned emptiest(unsigned period_ticks) const;

    const std::string name_;
    Inbox& inbox_;
    std::mutex mutex_;
    std::condition_variable added_;
    std::array<std::vector<Entry>, kWheelTicks> wheel_;
    std::vector<Entry> due_;
    unsigned tick_ = 0;
    std::size_t entries_ = 0;
    bool stopping_ = false;
    std::atomic<std::uint64_t> late_ticks_{0};
    std::atomic<bool> realtime_{false};
    std::thread thread_;
};

}  // namespace offhook
