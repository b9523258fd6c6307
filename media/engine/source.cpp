#include "source.hpp"

#include "monotonic.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace offhook {
namespace {

constexpr std::int64_t kMoved_ns =
    100 * kMillisecond_ns;  // if the source sent within this time, its address has not changed

// A packet to an address of this machine has the same address as its source (except for 127.0.0.0/8). A successful
// bind() would prove nothing: net.ipv4.ip_nonlocal_bind permits any address.
bool is_local(std::uint32_t host) {
    if (host >> 24 == 127) return true;
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    sockaddr_in address{};
    socklen_t size = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(host);
    address.sin_port = ::htons(9);  // nothing is sent
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    const bool routed = ::connect(fd, generic, size) == 0 && ::getsockname(fd, generic, &size) == 0;
    ::close(fd);
    return routed && ::ntohl(address.sin_addr.s_addr) == host;
}

}  // namespace

void OwnAddresses::add(std::uint32_t host, std::uint16_t first_port, std::uint16_t last_port) {
    ports_.push_back({host, first_port, last_port});
}

bool OwnAddresses::contain(const Address& address) const {
    return std::any_of(ports_.begin(), ports_.end(), [&](const Ports& ports) {
        const bool single = ports.first == ports.last;  // the port of SIP
        return address.port >= ports.first && address.port <= ports.last && (single || open_[address.port]) &&
               (ports.host == address.host || (ports.host == 0 && is_local(address.host)));
    });
}

Source::Source(const Address& signalled, std::uint32_t signalling_host, std::shared_ptr<const OwnAddresses> own)
    : signalled_(signalled), signalling_host_(signalling_host), own_(std::move(own)), current_(signalled) {}

Source::Verdict Source::judge(const Address& from, std::uint32_t ssrc, std::int64_t now_ns) {
    bool answered = from == current_;
    if (!answered) {
        if (!is_peer(from, ssrc, now_ns) || (own_ && own_->contain(from))) {
            foreign_.fetch_add(1, std::memory_order_relaxed);
            return Verdict::Drop;
        }
        const bool moved = heard() && standing_ < standing_of(from);
        if (!moved) standing_ = standing_of(from);
        current_ = from;
    }
    if (resumed_.load(std::memory_order_relaxed)) {
        resumed_ = false;
        answered = answered && from == signalled_;
    }
    ssrc_ = ssrc;
    last_ns_ = now_ns;
    heard_.store(true, std::memory_order_relaxed);
    return answered ? Verdict::Take : Verdict::Switch;
}

// For a source that is not the current one.
bool Source::is_peer(const Address& from, std::uint32_t ssrc, std::int64_t now_ns) const {
    if (!heard() || from == signalled_ || standing_of(from) < standing_) return true;
    const bool begins_anew = resumed_.load(std::memory_order_relaxed) && from.host == current_.host;
    return (ssrc == ssrc_ || begins_anew) && now_ns - last_ns_ >= kMoved_ns;
}

Source::Standing Source::standing_of(const Address& from) const {
    if (from == signalled_) return Standing::Signalled;
    const bool known = from.host == signalled_.host || from.host == signalling_host_;
    return known ? Standing::KnownHost : Standing::Elsewhere;
}

}  // namespace offhook
