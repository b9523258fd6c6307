// One call's media: a pjmedia stream read as its packets arrive and written on the media clock.
#pragma once

#include "counters.hpp"
#include "inbox.hpp"
#include "playout.hpp"
#include "receiver.hpp"
#include "sent_history.hpp"
#include "tuning.hpp"

#include <pjmedia.h>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace offhook {

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

    // SIP thread: a key that the peer told by signalling. If it tells the same press by RTP as well, that is not told.
    void press(char digit, unsigned ms);

    // SIP thread, before attach(): the host, as 192.0.2.1, that the peer's SIP comes from. What is none is ignored.
    void expect_from(const std::string& host);

    // Any thread. The peer may be believed: it is sent what it asks for, wherever that goes.
    void trust() { trusted_ = true; }

    // Any thread. The host that the peer's SIP comes from has shown that it is there and wants what it is sent.
    void confirm() { confirmed_ = true; }

    // asyncio thread. After flush() no sample that was queued before it reaches the wire.
    bool play(std::vector<std::int16_t> pcm, std::optional<Mark> mark);
    Flushed flush();
    void pause(bool paused);
    Position position();
    Counters counters();
    // Each frame that goes to the wire is a Kind::Sent record as well, silence too.
    void tap_sent(bool tapped);
    std::vector<std::int16_t> sent(std::size_t samples);  // the last ones, silence too; kept from the first call on

    // Media clock. Returns in how many ms it wants to be called again: period_ms(), or less while it waits for an
    // agent that is late; 0 when the slot is detached, or was attached anew meanwhile.
    unsigned on_clock(std::int64_t now_ns, unsigned attachment);

    SlotId id() const { return id_; }
    unsigned rate_hz() const { return rate_hz_; }
    unsigned period_ms() const { return period_ms_; }
    unsigned attachment() const { return attachment_; }  // SIP thread

private:
    static int judge_source(void* slot, const pj_sockaddr* from, pj_uint32_t ssrc);
    static void on_packet(void* slot, pj_bool_t late);
    static void on_dtmf(pjmedia_stream* stream, void* slot, const pjmedia_stream_dtmf_event* event);
    static void on_stream_destroyed(void* keep_alive);
    static void let_source_go(void* keep_alive);

    void open_port(pjmedia_stream* stream, const Address& signalled);
    void watch_source(const Address& signalled);
    bool may_send();
    unsigned transmit(std::int64_t now_ns);
    unsigned wait_for_agent(std::int64_t now_ns);
    unsigned next_due_ms(bool spoken);
    void add_stream_counters(Counters& counters) const;

    const SlotId id_;
    const std::shared_ptr<Inbox> inbox_;
    const Tuning tuning_;
    std::atomic<unsigned> rate_hz_{0};
    std::atomic<unsigned> period_ms_{0};
    Counters counters_;  // tx members under transmit_, rx members under receive_

    std::atomic<bool> trusted_{false};
    std::atomic<bool> confirmed_{false};
    std::atomic<std::uint32_t> signalling_host_{0};

    // Written under both locks, so that either is enough to read them.
    pjmedia_stream_common* stream_ = nullptr;
    std::shared_ptr<Source> source_;  // of the last stream, too
    std::atomic<Source*> judge_{nullptr};
    unsigned attachment_ = 0;
    std::uint16_t rtp_port_ = 0;

    std::mutex transmit_;
    PlayoutQueue playout_;
    bool paused_ = false;
    bool drain_untold_ = false;  // the agent has spoken, and was not told that the queue is empty
    bool speaking_ = false;      // the last frame was the agent's, whole
    unsigned waited_ms_ = 0;     // this frame is late by that much, for the agent's sake
    std::int64_t waiting_since_ns_ = 0;
    std::int64_t due_ns_ = 0;        // the next frame
    unsigned unproved_packets_ = 0;  // went to an address that has not shown that it wants them
    unsigned owed_ms_ = 0;           // by how much the frames that went out are behind the clock
    std::uint64_t tx_timestamp_ = 0;
    std::vector<Mark> reached_;
    std::vector<std::int16_t> tx_frame_;
    SentHistory sent_;
    bool sent_tapped_ = false;
    Backlog sent_backlog_;

    std::mutex receive_;
    Receiver receiver_;
};

}  // namespace offhook
