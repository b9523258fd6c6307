// The queue between an agent that sends audio in bursts and a stream that needs one frame per period.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace offhook {

using Mark = std::int64_t;

struct Flushed {
    std::uint64_t played_samples;
    std::uint64_t dropped_samples;
    std::vector<Mark> dropped_marks;
};

// Not synchronised: the slot's transmit lock protects it. push() may allocate, and is for the agent's thread; pop()
// does not allocate or free samples, and is for the media clock. push() takes ownership of the samples, so that a long
// copy is made before the lock is taken.
class PlayoutQueue {
public:
    explicit PlayoutQueue(std::size_t limit_samples = 0) : limit_samples_(limit_samples) {}

    // Returns false and queues nothing if the limit would be exceeded.
    bool push(std::vector<std::int16_t> pcm, std::optional<Mark> mark);

    // Fills out[0..samples) and returns how many of them are the agent's; the rest is silence.
    // Marks whose last sample was taken are appended to `reached`.
    std::size_t pop(std::int16_t* out, std::size_t samples, std::vector<Mark>& reached);

    Flushed flush();

    std::uint64_t played_samples() const { return played_samples_; }
    std::size_t queued_samples() const { return queued_samples_; }
    bool empty() const { return chunks_.size() == spent_; }
    void set_limit_samples(std::size_t limit_samples) { limit_samples_ = limit_samples; }

private:
    struct Chunk {
        std::vector<std::int16_t> pcm;
        std::optional<Mark> mark;
    };

    void free_spent();

    std::size_t limit_samples_;
    std::deque<Chunk> chunks_;  // the first spent_ chunks are played, and push() will free them
    std::size_t spent_ = 0;
    std::size_t offset_ = 0;  // samples already taken from the first chunk that is not spent
    std::size_t queued_samples_ = 0;
    std::uint64_t played_samples_ = 0;
};

}  // namespace offhook
