// Decides which RTP packets at a stream's port are from the peer.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
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

// The addresses at which this process receives. We send nothing to them: otherwise a call with such an address would
// keep itself alive. In the RTP port range only ports of open streams count: a telephone or a proxy on the same machine
// may use the others.
class OwnAddresses {
public:
    // Host 0 means every address of this machine. Call this before the first contain().
    void add(std::uint32_t host, std::uint16_t first_port, std::uint16_t last_port);

    // Any thread, without waiting.
    void open(std::uint16_t rtp_port) { mark(rtp_port, true); }
    void close(std::uint16_t rtp_port) { mark(rtp_port, false); }
    bool contain(const Address& address) const;

private:
    struct Ports {
        std::uint32_t host;
        std::uint16_t first;
        std::uint16_t last;
    };
    void mark(std::uint16_t rtp_port, bool is_open) {
        for (const std::size_t port : {std::size_t{rtp_port}, std::size_t{rtp_port} + 1})  // the second is for RTCP
            if (port < open_.size()) open_[port].store(is_open, std::memory_order_relaxed);
    }

    std::vector<Ports> ports_;
    std::array<std::atomic<bool>, 65536> open_{};
};

// The peer of one stream. Symmetric RTP (RFC 4961) makes it possible to receive from a peer behind a NAT, which does
// not know its own address; but it would also let anybody who sends to the port take over a call (RFC 7362 section 5).
// So, if two addresses send, the better known one is the peer: first the address in the SDP, then any port of that host
// or of the host that sends the peer's SIP, then all others. Of two with the same standing, the first one stays. If the
// peer's address changes (a new NAT binding), its SSRC identifies it, which no stranger has seen. During a hold the
// binding may expire, and a telephone may resume with another SSRC: so once after each new offer the host alone is
// enough, if nothing comes from the old address.
class Source {
public:
    enum class Verdict { Drop = -1, Take = 0, Switch = 1 };  // Switch: take it, and send to this address from now on

    // `signalling_host`: the host that sends the peer's SIP; 0 if not known.
    Source(const Address& signalled, std::uint32_t signalling_host, std::shared_ptr<const OwnAddresses> own);

    const Address& signalled() const { return signalled_; }

    // Call this before another stream to the same signalled address calls judge(): at first it sends to this address,
    // even if the peer was found at another one.
    void resume() { resumed_ = true; }

    // The receiving thread calls this for each packet, before it is processed. Does not block or allocate.
    Verdict judge(const Address& from, std::uint32_t ssrc, std::int64_t now_ns);

    // Any thread.
    bool heard() const { return heard_.load(std::memory_order_relaxed); }
    // RTP has come from the address that we send to.
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
    Standing standing_ = Standing::Signalled;  // a peer whose address changes keeps its standing
    std::uint32_t ssrc_ = 0;
    std::int64_t last_ns_ = 0;
    std::atomic<bool> resumed_{false};
    std::atomic<bool> heard_{false};
    std::atomic<std::uint64_t> foreign_{0};
};

}  // namespace offhook
