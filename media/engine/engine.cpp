#include "engine.hpp"

#include <algorithm>
#include <numeric>
#include <string>

namespace offhook {

Engine::Engine(const Tuning& tuning, unsigned clock_threads) : tuning_(tuning) {
    for (unsigned i = 0; i < std::max(clock_threads, 1U); ++i)
        clocks_.push_back(std::make_unique<Clock>("media-clock-" + std::to_string(i), *inbox_));
}

std::shared_ptr<Slot> Engine::open() { return std::make_shared<Slot>(next_id_++, inbox_, tuning_); }

void Engine::attach(const std::shared_ptr<Slot>& slot, pjmedia_stream* stream) {
    slot->attach(stream);
    clocks_[slot->id() % clocks_.size()]->add(slot);
}

std::uint64_t Engine::late_ticks() const {
    return std::accumulate(clocks_.begin(), clocks_.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const auto& clock) { return sum + clock->late_ticks(); });
}

bool Engine::realtime() const {
    return std::all_of(clocks_.begin(), clocks_.end(), [](const auto& clock) { return clock->realtime(); });
}

}  // namespace offhook
