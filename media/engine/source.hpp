// Whose RTP is the peer's, of all that comes to a stream's port.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace offhook {

// IPv4, in host byte order.
struct Address {
    std::uint32_t host = 0;
    std::uint16_t port = 0;
};
inline bool operator==(const Address& a, const Address& b) { return a.host == b.host && a.port == b.port; }

// Where this process receives: nothing of ours goes there, or a call that names it would keep itself alive. Of the
// ports for RTP only those of streams count: others of that range may be a telephone's or a proxy's on the same
// machine.
class OwnAddresses {
public:
    // Host 0 is every address of this machine. Before anybody asks.
    void add(std::uint32_t host, std::uint16_t first_port, std::uint16_t last_port);

    // Any thread, without waiting.
    void open(std::uint16_t rtp_port) { open_[rtp_port].store(true, std::memory_order_relaxed); }
    void close(std::uint16_t rtp_port) { open_[rtp_port].store(false, std::memory_order_relaxed); }
    bool contain(const Address& address) const;

private:
    struct Ports {
        std::uint32_t host;
        std::uint16_t first;
        std::uint16_t last;
    };
    std::vector<Ports> ports_;
    std::array<std::atomic<bool>, 65536> open_{};
};

// One stream's peer. Symmetric RTP (RFC 4961) lets a peer behind a NAT be heard that does not know its own address, and
// would let anybody take a call over who sends to its port (RFC 7362 section 5). So, of two that send, the better known
// is the peer: the address that its SDP names, then any port of that host or of the one that signals, then all others.
// Among those of one standing the first to come stays, and what moves (a NAT's binding was renewed) is known by its
// SSRC, which no stranger has seen. A hold may outlast the binding, and a telephone may resume with another SSRC: once
// after each new offer the host alone will do, if nothing comes from where it was.
class Source {
public:
    enum class Verdict { Drop = -1, Take = 0, Switch = 1 };  // Switch: take it, and answer there from now on

    // `signalling_host`: where its SIP comes from, 0 when that is not known.
    Source(const Address& signalled, std::uint32_t signalling_host, std::shared_ptr<const OwnAddresses> own);

    const Address& signalled() const { return signalled_; }

    // Before another stream to the same signalled address asks: it begins with sending there, wherever the peer is.
    void resume() { resumed_ = true; }

    // The receiving thread: each packet, before anything is made of it. Does not wait, and allocates nothing.
    Verdict judge(const Address& from, std::uint32_t ssrc, std::int64_t now_ns);

    // Any thread.
    bool heard() const { return heard_.load(std::memory_order_relaxed); }
    // RTP has come from where ours goes.
    bool proved() const { return heard() && !resumed_.load(std::memory_order_relaxed); }
    std::uint64_t foreign() const { return foreign_.load(std::memory_order_relaxed); }

private:
    enum class Standing { Signalled, KnownHost, Elsewhere };

    Standing standing_of(const Address& from) const;
    bool is_peer(const Address& from, std::uint32_t ssrc, std::int64_t now_ns) const;

    const Address signalled_;
    const std::uint32_t signalling_host_;
    const std::shared_ptr<const OwnAddresses> own_;
    Address current_;
    Standing standing_ = Standing::Signalled;  // what moved keeps the one it had
    std::uint32_t ssrc_ = 0;
    std::int64_t last_ns_ = 0;
    std::atomic<bool> resumed_{false};
    std::atomic<bool> heard_{false};
    std::atomic<std::uint64_t> foreign_{0};
};

}  // namespace offhook
