// What the media threads have for asyncio: frames and events of all calls, in the order they happened.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace offhook {

using SlotId = std::uint32_t;

enum class Kind : std::int32_t {
    Frame = 0,    // its samples are Batch::pcm[begin, end)
    Dtmf = 1,     // begin: the digit in ASCII; end: how long it was pressed, in ms
    Mark = 2,     // begin: the mark whose last sample was played
    Drained = 3,  // the playout queue ran empty and stayed so for a period
    Silent = 4,   // begin: ms without a packet from the peer
    Heard = 5,    // the first packet of a stream has come
    Sent = 6,     // its samples are Batch::pcm[begin, end): what went to the wire, where somebody taps it
};

struct Record {
    SlotId slot;
    Kind kind;
    std::int64_t begin;
    std::int64_t end;
    std::int64_t time_ns;  // of monotonic_ns(): when it came, or went
};

struct Batch {
    std::vector<Record> records;
    std::vector<std::int16_t> pcm;
};

// How much of one slot lies unread; owned by the slot, kept by the inbox.
struct Backlog {
    std::uint64_t take = 0;
    unsigned records = 0;
};

// Many writers, one reader. An eventfd becomes readable when signal() finds something that was not read;
// the media clock calls signal() once per tick, so that a thousand calls cost one wake-up and not a thousand.
class Inbox {
public:
    Inbox();
    ~Inbox();
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;

    // What the peer causes: false, and nothing put, when the slot has kBacklogLimit records unread, that is
    // when the reader has stood still for about two seconds. It bounds memory; the reader drops what is too old.
    bool put_frame(SlotId slot, Backlog& backlog, const std::int16_t* pcm, std::size_t samples);
    bool put_dtmf(SlotId slot, Backlog& backlog, char digit, unsigned duration_ms);

    // What was sent, for who taps it; refused as what the peer causes, by a backlog of its own.
    bool put_sent(SlotId slot, Backlog& backlog, const std::int16_t* pcm, std::size_t samples, std::int64_t time_ns);

    // What our own side causes, and has bounded already: never refused.
    void put_event(SlotId slot, Kind kind, std::int64_t value = 0);

    // Swaps everything out. `batch` is overwritten; its capacity is recycled.
    void take(Batch& batch);

    void signal();
    int fd() const { return fd_; }

    static constexpr unsigned kBacklogLimit = 100;

private:
    bool put(const Record& record, Backlog* backlog, const std::int16_t* pcm);

    std::mutex mutex_;
    Batch filling_;
    std::uint64_t takes_ = 1;
    std::size_t last_records_ = 0;  // the reader's
    std::size_t last_samples_ = 0;
    std::atomic<bool> unsignalled_{false};
    const int fd_;
};

}  // namespace offhook
