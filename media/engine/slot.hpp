// The media of one call: a pjmedia stream that is read when packets arrive, and written on the media clock.
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
    double wait_ms;  // until a sample that is queued now is sent, unless the slot is paused
};

// Lock order: transmit or receive lock, then the stream's jitter buffer mutex, then the inbox.
// The transmit and the receive lock are held together only by attach(), detach() and counters(), never by the clock.
class Slot : public std::enable_shared_from_this<Slot> {
public:
    // The slot and its stream may outlive the engine, so the slot shares the inbox.
    Slot(SlotId id, std::shared_ptr<Inbox> inbox, const Tuning& tuning);
    ~Slot();
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

    // How many slots exist in the process: those of active calls, and of streams that are about to be destroyed.
    static unsigned alive();

    // SIP thread. After attach() the slot's threads use the stream until detach(), which returns only when none of them
    // uses it any more. A slot may be attached again, to a stream of the same rate; queued audio is kept. Throws
    // std::invalid_argument when the stream cannot be used.
    void attach(pjmedia_stream* stream);
    void detach();

    // SIP thread. A key that the peer sent by signalling. If the same press comes by RTP too, it is reported only once.
    void press(char digit, unsigned ms);

    // SIP thread, before attach(). The host, such as 192.0.2.1, that sends the peer's SIP. Ignored if not an IPv4
    // address.
    void expect_from(const std::string& host);

    // Any thread. The peer is trusted: audio is sent to any address in its SDP, without limit.
    void trust() { trusted_ = true; }

    // Any thread. The host that sends the peer's SIP has acknowledged our answer, so it wants the audio.
    void confirm() { confirmed_ = true; }

    // asyncio thread. After flush(), no sample that was queued before is sent.
    bool play(std::vector<std::int16_t> pcm, std::optional<Mark> mark);
    Flushed flush();
    void pause(bool paused);
    Position position();
    Counters counters();
    // If tapped, each sent frame, including silence, is also put as a Kind::Sent record.
    void tap_sent(bool tapped);
    std::vector<std::int16_t> sent(
        std::size_t samples);  // the last sent ones, including silence; stored from the first call on

    // Media clock. Returns after how many ms it must be called again: period_ms(), or less while it waits for a late
    // agent or catches up; 0 if the slot is detached, or was attached again meanwhile.
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

    // Written with both locks held, so that one of them is enough to read.
    pjmedia_stream_common* stream_ = nullptr;
    std::shared_ptr<Source> source_;  // kept after the stream, for the next one
    std::atomic<Source*> judge_{nullptr};
    unsigned attachment_ = 0;
    std::uint16_t rtp_port_ = 0;

    std::mutex transmit_;
    PlayoutQueue playout_;
    bool paused_ = false;
    bool drain_untold_ = false;  // the agent has spoken, and Drained was not reported yet
    bool speaking_ = false;      // the last frame was completely filled by the agent
    unsigned waited_ms_ = 0;     // how long this frame has waited for the agent
    std::int64_t waiting_since_ns_ = 0;
    std::int64_t due_ns_ = 0;        // the next frame
    unsigned unproved_packets_ = 0;  // sent to an address that is not proved
    unsigned owed_ms_ = 0;           // how far the sent frames are behind the clock
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
