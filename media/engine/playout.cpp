#include "playout.hpp"

#include <algorithm>

namespace offhook {

bool PlayoutQueue::push(std::vector<std::int16_t> pcm, std::optional<Mark> mark) {
    if (pcm.empty() && !mark) return true;  // otherwise an agent that queues nothing in a loop would fill the memory
    if (pcm.size() > limit_samples_ - std::min(queued_samples_, limit_samples_)) return false;
    free_spent();
    queued_samples_ += pcm.size();
    chunks_.push_back({std::move(pcm), mark});
    return true;
}

std::size_t PlayoutQueue::pop(std::int16_t* out, std::size_t samples, std::vector<Mark>& reached) {
    std::size_t taken = 0;
    while (spent_ < chunks_.size()) {
        Chunk& chunk = chunks_[spent_];
        const std::size_t n = std::min(samples - taken, chunk.pcm.size() - offset_);
        std::copy_n(chunk.pcm.data() + offset_, n, out + taken);
        taken += n;
        offset_ += n;
        if (offset_ < chunk.pcm.size()) break;
        if (chunk.mark) reached.push_back(*chunk.mark);
        ++spent_;
        offset_ = 0;
    }
    std::fill_n(out + taken, samples - taken, std::int16_t{0});
    queued_samples_ -= taken;
    played_samples_ += taken;
    return taken;
}

Flushed PlayoutQueue::flush() {
    Flushed flushed{played_samples_, queued_samples_, {}};
    for (std::size_t i = spent_; i < chunks_.size(); ++i)
        if (chunks_[i].mark) flushed.dropped_marks.push_back(*chunks_[i].mark);
    chunks_.clear();
    spent_ = offset_ = queued_samples_ = 0;
    return flushed;
}

void PlayoutQueue::free_spent() {
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(spent_));
    spent_ = 0;
}

}  // namespace offhook
