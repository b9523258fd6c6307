// One call's media: a pjmedia stream read as its packets arrive and written on the media clock.
#pragma once

#include "inbox.hpp"
#include "playout.hpp"

#include <pjmedia.h>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

namespace offhook {

struct Tuning {
    std::int64_t reorder_ns = 40'000'000;     // how long a missing packet is waited for
    std::int64_t fill_after_ns = 60'000'000;  // after the last sound, silence stands in for a peer that sends nothing
    std::int64_t silent_after_ns = 5'000'000'000;  // then asyncio is told, once for each silence
    unsigned playout_limit_ms = 120'000;           // the most an agent may queue ahead
};

struct Counters {
    std::uint64_t frames_in = 0;         // delivered to asyncio, concealed and filled ones included
    std::uint64_t frames_concealed = 0;  // stood in for packets that were lost or came too late
    std::uint64_t frames_filled = 0;     // stood in while the peer sent nothing
    std::uint64_t frames_overrun = 0;    // dropped: asyncio had not read for about two seconds
    std::uint64_t frames_out = 0;        // encoded and handed to the socket, silence included
    std::uint64_t send_errors = 0;
    std::uint64_t packets_received = 0;
    std::uint64_t packets_lost = 0;
    std::uint64_t packets_discarded = 0;  // duplicate, or out of any sequence
    std::uint64_t packets_reordered = 0;  // came after a later one, in time or too late
    std::uint64_t packets_late = 0;       // of these, when something stood in already, or once more
    std::uint64_t packets_sent = 0;
    double jitter_ms = 0;      // of the last stream: mean interarrival jitter, RFC 3550 section 6.4.1
    double peer_loss_pct = 0;  // of the last stream: what the peer's receiver reports say it lost
    double round_trip_ms = 0;  // of the last stream: from RTCP, 0 when unknown
};

struct Position {
    std::uint64_t played_samples;
    std::uint64_t queued_samples;
    double wait_ms;  // before the next sample that is queued goes out; for how long the slot is paused, nobody knows
};

// Lock order: transmit or receive lock, then the stream's jitter buffer mutex, then the inbox.
// The transmit and the receive lock are held together only by attach(), detach() and counters(), never by the clock.
class Slot : public std::enable_shared_from_this<Slot> {
public:
    // The slot may outlive the engine, as its stream may: it shares the inbox.
    Slot(SlotId id, std::shared_ptr<Inbox> inbox, const Tuning& tuning);
    ~Slot();
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

    // How many there are in the process: those of live calls, and of streams that are about to go.
    static unsigned alive();

    // SIP thread. After attach() the stream belongs to the slot's threads until detach(), which returns only
    // when none of them is inside it. A slot may be attached again, to a stream of the same rate; what is
    // queued for playout is kept across. Throws std::invalid_argument when the stream cannot be used.
    void attach(pjmedia_stream* stream);
    void detach();

    // asyncio thread. After flush() no sample that was queued before it reaches the wire.
    bool play(std::vector<std::int16_t> pcm, std::optional<Mark> mark);
    Flushed flush();
    void pause(bool paused);
    Position position();
    Counters counters();

    // Media clock. Returns in how many ms it wants to be called again: period_ms(), or less while it waits for an
    // agent that is late; 0 when the slot is detached, or was attached anew meanwhile.
    unsigned on_clock(std::int64_t now_ns, unsigned attachment);

    SlotId id() const { return id_; }
    unsigned rate_hz() const { return rate_hz_; }
    unsigned period_ms() const { return period_ms_; }
    std::int64_t period_ns() const { return std::int64_t{period_ms_} * 1'000'000; }
    unsigned attachment() const { return attachment_; }  // SIP thread

private:
    enum class Head { Ready, Gap, Empty };

    // The last one that the peer pressed.
    struct Digit {
        char code = 0;
        bool pressed = false;
        unsigned timestamp_ms = 0;  // of this segment
        unsigned ms = 0;
        unsigned earlier_ms = 0;  // in segments before this one
        std::int64_t heard_ns = 0;
    };

    static void on_packet(void* slot, pj_bool_t late);
    static void on_dtmf(pjmedia_stream* stream, void* slot, const pjmedia_stream_dtmf_event* event);
    static void on_stream_destroyed(void* keep_alive);

    void learn_format(pjmedia_stream* stream);
    unsigned transmit();
    bool wait_for_agent(std::int64_t now_ns);
    unsigned next_due_ms(bool spoken);
    void receive(std::int64_t now_ns);
    void fill_until(std::int64_t now_ns);
    void keep_time(std::int64_t now_ns);
    Head look(std::int64_t& ahead_samples);
    char type_at(unsigned offset, pj_uint32_t& bit_info) const;
    std::int64_t stand_in(std::uint64_t& counter, std::int64_t ahead_samples);
    void deliver(bool made_up = false);
    void put_frame();
    void conceal(unsigned first_sample, unsigned samples);
    std::uint32_t missing_entries();
    void end_digit();
    void add_stream_counters(Counters& counters) const;

    const SlotId id_;
    const std::shared_ptr<Inbox> inbox_;
    const Tuning tuning_;
    std::atomic<unsigned> rate_hz_{0};
    std::atomic<unsigned> period_ms_{0};
    unsigned frame_samples_ = 0;    // what the stream's port gives and takes at once
    unsigned decoded_samples_ = 0;  // what one entry of the jitter buffer decodes to
    bool opus_ = false;             // its jitter buffer entries say how long they are, its decoder conceals losses

    // Written under both locks, so that either is enough to read them.
    pjmedia_stream_common* stream_ = nullptr;
    unsigned attachment_ = 0;

    std::mutex transmit_;
    PlayoutQueue playout_;
    bool paused_ = false;
    bool drain_untold_ = false;  // the agent has spoken, and was not told that the queue is empty
    bool speaking_ = false;      // the last frame was the agent's, whole
    unsigned waited_ms_ = 0;     // this frame is late by that much, for the agent's sake
    std::int64_t waiting_since_ns_ = 0;
    std::int64_t due_ns_ = 0;  // the next frame
    unsigned owed_ms_ = 0;     // by how much the frames that went out are behind the clock
    std::uint64_t tx_timestamp_ = 0;
    std::vector<Mark> reached_;
    std::vector<std::int16_t> tx_frame_;

    std::mutex receive_;
    std::vector<std::int16_t> rx_frame_;
    std::vector<std::int16_t> last_frame_;
    unsigned stand_ins_ = 0;  // frames in a row that the peer did not send
    Backlog backlog_;
    bool heard_ = false;  // a packet has come since attach()
    bool told_silent_ = false;
    bool silence_ = false;  // it stands in for what the peer does not send
    std::int64_t last_packet_ns_ = 0;
    std::int64_t heard_until_ns_ = 0;         // by then, a listener who began at once has heard all that was delivered
    std::int64_t gap_since_ns_ = 0;           // 0: what comes next is not missing
    bool jumped_ = false;                     // the jitter buffer has forgotten what was to come next
    std::int64_t decoded_ahead_samples_ = 0;  // left in the decoder of a codec whose packets exceed a frame
    std::int64_t filled_samples_ = 0;         // delivered in place of packets that did not come
    Digit digit_;

    Counters counters_;  // tx members under transmit_, rx members under receive_
};

std::int64_t monotonic_ns();

}  // namespace offhook
