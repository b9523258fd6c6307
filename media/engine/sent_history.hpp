// The last sent samples, to compare them with received audio (echo).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace offhook {

// A ring buffer that grows to the largest number of samples requested. Not synchronised: the slot's transmit lock
// protects it. put() never allocates, and is for the media clock.
class SentHistory {
public:
    void put(const std::int16_t* pcm, std::size_t samples) {
        if (ring_.empty()) return;
        const std::size_t kept = std::min(samples, ring_.size());
        pcm += samples - kept;
        const std::size_t first = std::min(kept, ring_.size() - next_);
        std::copy_n(pcm, first, ring_.begin() + static_cast<std::ptrdiff_t>(next_));
        std::copy_n(pcm + first, kept - first, ring_.begin());
        next_ = (next_ + kept) % ring_.size();
    }

    std::vector<std::int16_t> last(std::size_t samples) {
        if (samples > ring_.size()) grow(samples);
        std::vector<std::int16_t> pcm(samples);
        std::size_t from = (next_ + ring_.size() - samples) % std::max<std::size_t>(ring_.size(), 1);
        for (std::int16_t& sample : pcm) {
            sample = ring_[from];
            from = from + 1 == ring_.size() ? 0 : from + 1;
        }
        return pcm;
    }

private:
    void grow(std::size_t samples) {
        std::rotate(ring_.begin(), ring_.begin() + static_cast<std::ptrdiff_t>(next_), ring_.end());
        ring_.insert(ring_.begin(), samples - ring_.size(), 0);
        next_ = 0;
    }

    std::vector<std::int16_t> ring_;
    std::size_t next_ = 0;  // the oldest sample, which will be overwritten next
};

}  // namespace offhook
