// What a slot needs of a pjmedia stream beside its port.
#pragma once

#include "source.hpp"

#include <pjmedia.h>
#include <pjmedia/stream_common.h>

namespace offhook {

inline constexpr unsigned kMaxPeriod_ms = 120;

// A pjmedia_stream begins with its common part; stream.h does not say so, stream.c relies on it throughout.
inline pjmedia_stream_common* common(pjmedia_stream* stream) {
    return reinterpret_cast<pjmedia_stream_common*>(stream);
}
inline pjmedia_stream* whole(pjmedia_stream_common* stream) { return reinterpret_cast<pjmedia_stream*>(stream); }

struct StreamFormat {
    unsigned rate_hz = 0;
    unsigned period_ms = 0;
    unsigned frame_samples = 0;    // what the stream's port gives and takes at once
    unsigned decoded_samples = 0;  // what one entry of the jitter buffer decodes to
    bool opus = false;             // its entries say how long they are, its decoder conceals losses
};

// Throws std::invalid_argument when the engine cannot use such a stream.
StreamFormat format_of(pjmedia_stream* stream);

// Where its SDP says that the peer is. Throws std::invalid_argument when that is no IPv4 address.
Address signalled_address(pjmedia_stream* stream);

// Where it receives RTP; 0 where it has no socket.
std::uint16_t local_port(const pjmedia_stream_common* stream);

Address address_of(const pj_sockaddr& address);

class JitterBufferLock {
public:
    explicit JitterBufferLock(pjmedia_stream_common* stream) : mutex_(stream->jb_mutex) { pj_mutex_lock(mutex_); }
    ~JitterBufferLock() { pj_mutex_unlock(mutex_); }
    JitterBufferLock(const JitterBufferLock&) = delete;
    JitterBufferLock& operator=(const JitterBufferLock&) = delete;

private:
    pj_mutex_t* mutex_;
};

}  // namespace offhook
