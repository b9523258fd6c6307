// The test rig of the engine: real pjmedia streams on loopback, and a peer that can send any RTP.
#pragma once

#include "engine.hpp"
#include "monotonic.hpp"

#include <gtest/gtest.h>
#include <pjmedia.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace offhook::test {

using Bytes = std::vector<std::uint8_t>;
using Pcm = std::vector<std::int16_t>;
using std::chrono::milliseconds;

void sleep_ms(unsigned ms);

// A codec, as a stream needs it.
struct Format {
    const char* codec;
    unsigned payload_type;
    unsigned rate_hz;
    unsigned rtp_clock_per_ms;
    bool conceals;  // whether the decoder conceals losses; otherwise the engine does
};

// The RTP clock of G.722 is 8 kHz, because of an error in RFC 1890 that RFC 3551 kept. That of Opus is always 48 kHz
// (RFC 7587).
inline constexpr Format kPcmu{"PCMU/8000/1", 0, 8000, 8, false};
inline constexpr Format kG722{"G722/16000/1", 9, 16000, 8, false};
inline constexpr Format kOpus{"opus/48000/2", 111, 16000, 48, true};
inline constexpr unsigned kEventPayloadType = 101;

struct Packet {
    unsigned payload_type = 0;
    std::uint16_t sequence = 0;
    std::uint32_t timestamp = 0;
    std::uint32_t ssrc = 0x0FF4001;
    bool marker = false;
    Bytes payload;
};

// The other end of a call: a plain UDP socket.
class Peer {
public:
    explicit Peer(const char* host = "127.0.0.1");
    ~Peer();
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    std::uint16_t port() const { return port_; }
    std::uint16_t rtcp_port() const { return rtcp_port_; }
    void aim(std::uint16_t port, std::uint16_t rtcp_port) { to_port_ = port, to_rtcp_port_ = rtcp_port; }
    void send(const Packet& packet) const;
    void send_rtcp(const Bytes& wire) const;

    // The next RTP packet of the engine; nullopt if none comes within the timeout.
    std::optional<Packet> receive(unsigned timeout_ms = 1000) const;
    void drain() const;

private:
    std::uint16_t port_ = 0;
    std::uint16_t rtcp_port_ = 0;
    std::uint16_t to_port_ = 0;
    std::uint16_t to_rtcp_port_ = 0;
    int fd_;
    int rtcp_fd_;  // received RTCP is never read
};

// Sends packets as a telephone does, 20 ms by default, with sequence numbers and timestamps in order.
class Voice {
public:
    explicit Voice(const Peer& peer, const Format& format = kPcmu) : peer_(peer), format_(format) {}

    // Label n sounds as the constant sample label_pcm(n): PCMU only.
    void say(std::uint8_t label, unsigned ms = 20);
    void send(Bytes payload, unsigned ms);
    void lose(unsigned ms = 20);  // a packet that never comes
    void rest(unsigned ms);       // discontinuous transmission: time passes, packets do not

    // Makes the next packet now; the test sends it later by peer.send().
    Packet prepare(std::uint8_t label, unsigned ms = 20);
    Packet next(Bytes payload, unsigned ms);

    Packet head;  // the header of the next packet

private:
    const Peer& peer_;
    const Format format_;
};

Bytes label_payload(std::uint8_t label, unsigned ms = 20);
std::int16_t label_pcm(std::uint8_t label);
int label_of(const Pcm& frame);  // -1 when the frame is not one constant label; 0 is silence

// A pjmedia stream with its transport, between a slot and a peer.
class Call {
public:
    explicit Call(const Format& format = kPcmu, pjmedia_dir dir = PJMEDIA_DIR_ENCODING_DECODING);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    void aim(Peer& other) const { other.aim(rtp_port_, rtcp_port_); }
    void destroy();  // the stream, as PJSUA does when a call ends; idempotent

    Peer peer;
    pjmedia_stream* stream = nullptr;

private:
    std::uint16_t rtp_port_ = 0;
    std::uint16_t rtcp_port_ = 0;
    pjmedia_transport* transport_ = nullptr;
};

struct Heard {
    SlotId slot;
    Kind kind;
    std::int64_t begin;
    std::int64_t end;
    Pcm pcm;
    std::int64_t at_ns;    // read
    std::int64_t time_ns;  // of the record
};

// Reads an inbox as asyncio does: waits for the eventfd, then takes everything.
class Ear {
public:
    explicit Ear(Inbox& inbox) : inbox_(inbox) {}

    // Reads until `enough` returns true or the timeout; returns whether it was enough.
    bool until(const std::function<bool()>& enough, unsigned timeout_ms = 2000);
    bool frames(std::size_t count, unsigned timeout_ms = 2000);
    bool label(int label, unsigned timeout_ms = 2000);
    void listen(unsigned ms);

    std::vector<Heard> of(Kind kind) const;
    std::vector<int> labels() const;  // of all frames
    std::size_t count(Kind kind) const { return of(kind).size(); }
    void forget() { heard.clear(); }

    std::vector<Heard> heard;

private:
    Inbox& inbox_;
};

// One call on its own engine.
class OneCall : public ::testing::Test {
protected:
    void start(const Format& format = kPcmu, pjmedia_dir dir = PJMEDIA_DIR_ENCODING_DECODING, Tuning tuning = {});
    void TearDown() override;

    // Sends three packets in order, reads them and forgets them: pjmedia does not accept a sequence that begins with a
    // gap (RFC 3550 A.1), and must learn the clock of G.722 and the packet length of Opus.
    void settle(const std::function<Bytes()>& payload = [] { return label_payload(120); }, unsigned ms = 20);

    std::optional<Engine> engine;
    std::optional<Call> call;
    std::shared_ptr<Slot> slot;
    std::optional<Ear> ear;
    std::optional<Voice> voice;
};

}  // namespace offhook::test
