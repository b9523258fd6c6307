// The queue from the media threads to asyncio: frames and events of all calls, in the order in which they happened.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace offhook {

using SlotId = std::uint32_t;

enum class Kind : std::int32_t {
    Frame = 0,    // the samples are Batch::pcm[begin, end)
    Dtmf = 1,     // begin: the digit in ASCII; end: duration of the press, in ms
    Mark = 2,     // begin: the mark whose last sample was played
    Drained = 3,  // the playout queue became empty and was empty for one period
    Silent = 4,   // begin: ms without a packet from the peer
    Heard = 5,    // the first packet of a stream has come
    Sent = 6,     // the samples are Batch::pcm[begin, end): a sent frame, if the slot is tapped
};

struct Record {
    SlotId slot;
    Kind kind;
    std::int64_t begin;
    std::int64_t end;
    std::int64_t time_ns;  // of monotonic_ns(): when it was received, or sent
};

struct Batch {
    std::vector<Record> records;
    std::vector<std::int16_t> pcm;
};

// How much of one slot is unread. The slot owns it, the inbox updates it.
struct Backlog {
    std::uint64_t take = 0;
    unsigned records = 0;
};

// Many writers, one reader. An eventfd becomes readable when signal() is called and something is unread. The media
// clock calls signal() every second tick, so that a thousand calls cost one wake-up and not a thousand.
class Inbox {
public:
    Inbox();
    ~Inbox();
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;

    // Records that the peer causes. Returns false and adds nothing if the slot has kBacklogLimit unread records, that
    // is, if the reader has not read for about two seconds. This bounds memory; the reader drops frames that are too
    // old.
    bool put_frame(SlotId slot, Backlog& backlog, const std::int16_t* pcm, std::size_t samples);
    bool put_dtmf(SlotId slot, Backlog& backlog, char digit, unsigned duration_ms);

    // Sent frames, for taps. Refused in the same way, with a separate backlog.
    bool put_sent(SlotId slot, Backlog& backlog, const std::int16_t* pcm, std::size_t samples, std::int64_t time_ns);

    // Events that our side causes. Their number is already bounded, so they are never refused.
    void put_event(SlotId slot, Kind kind, std::int64_t value = 0);

    // Takes everything. `batch` is overwritten, and its capacity is reused.
    void take(Batch& batch);

    void signal();
    int fd() const { return fd_; }

    static constexpr unsigned kBacklogLimit = 100;

private:
    bool put(const Record& record, Backlog* backlog, const std::int16_t* pcm);

    std::mutex mutex_;
    Batch filling_;
    std::uint64_t takes_ = 1;
    std::size_t last_records_ = 0;  // of the last batch; only for the reader
    std::size_t last_samples_ = 0;
    std::atomic<bool> unsignalled_{false};
    const int fd_;
};

}  // namespace offhook
