// The media of all calls of a process.
#pragma once

#include "clock.hpp"
#include "inbox.hpp"
#include "slot.hpp"

#include <atomic>
#include <memory>
#include <vector>

namespace offhook {

class Engine {
public:
    // pjlib must have been initialised. Throws std::system_error when the kernel refuses an eventfd or a thread.
    Engine(const Tuning& tuning, unsigned clock_threads);

    std::shared_ptr<Slot> open();

    // SIP thread: see Slot::attach().
    void attach(const std::shared_ptr<Slot>& slot, pjmedia_stream* stream);

    Inbox& inbox() { return *inbox_; }
    std::uint64_t late_ticks() const;
    bool realtime() const;

private:
    const Tuning tuning_;
    const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
    std::atomic<SlotId> next_id_{1};
    std::vector<std::unique_ptr<Clock>> clocks_;
};

}  // namespace offhook
