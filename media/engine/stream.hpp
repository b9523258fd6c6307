// What a slot uses of a pjmedia stream, besides its port.
#pragma once

#include "source.hpp"

#include <pjmedia.h>
#include <pjmedia/stream_common.h>

namespace offhook {

inline constexpr unsigned kMaxPeriod_ms = 120;

// A pjmedia_stream begins with its common part. stream.h does not document this, but stream.c relies on it.
inline pjmedia_stream_common* common(pjmedia_stream* stream) {
    return reinterpret_cast<pjmedia_stream_common*>(stream);
}
inline pjmedia_stream* whole(pjmedia_stream_common* stream) { return reinterpret_cast<pjmedia_stream*>(stream); }

struct StreamFormat {
    unsigned rate_hz = 0;
    unsigned period_ms = 0;
    unsigned frame_samples = 0;    // of one get_frame or put_frame of the stream's port
    unsigned decoded_samples = 0;  // of one entry of the jitter buffer, decoded
    bool opus = false;             // entries contain their length, and the decoder conceals losses
};

// Throws std::invalid_argument when the engine cannot use such a stream.
StreamFormat format_of(pjmedia_stream* stream);

// The peer's address in its SDP. Throws std::invalid_argument if it is not an IPv4 address.
Address signalled_address(pjmedia_stream* stream);

// The port at which the stream receives RTP; 0 if it has no socket.
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
