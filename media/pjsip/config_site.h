/* The limits of this PJSIP build. recipe/limits.c prints what the compiler really saw; BUILD.json keeps it. */
#ifndef OFFHOOK_CONFIG_SITE_H
#define OFFHOOK_CONFIG_SITE_H

/* pj_assert() must not end a process that carries calls; PJ_ASSERT_RETURN() still checks, and returns. */
#define NDEBUG 1

/* Detail for the field; costs one comparison where it is not wanted. */
#define PJ_LOG_MAX_LEVEL 5


/* Calls */

/* Four times the 1,000 calls that two cores carry, and half as many and 64 that have ended and wait for an answer to
 * their BYE. A call costs 22 kB only if the application asks for it (maxCalls). */
#define PJSUA_MAX_CALLS 6064

/* One account per trunk registration, and some for local users. */
#define PJSUA_MAX_ACC 64

/* One port of the bridge per call, and the bridge's own. */
#define PJSUA_MAX_CONF_PORTS 4096

/* RTP and RTCP of every call, as many again for half a second after a hang-up, and the signalling. */
#define PJ_IOQUEUE_MAX_HANDLES 12544


/* Packets that one wake-up of a polling thread takes: fewer wake-ups under load. The stack holds a list of them. */
#define PJ_IOQUEUE_MAX_EVENTS_IN_SINGLE_POLL 64


/* Signalling */

/* SIP sockets of all kinds; a TCP or TLS connection takes one, and keeps it for half a second after its end. Connections
 * that live are fewer (gateway/sip/endpoint.py); the rest is for those that strangers make and we close, 6,000 a second. */
#define PJSIP_MAX_TRANSPORTS 4096

/* Sizes of hash tables, not limits, 2^n - 1: one dialog per call, another while it is transferred, */
#define PJSIP_MAX_DIALOG_COUNT 8191

/* and 32 s (64 * T1) of transactions at 100 calls/s. */
#define PJSIP_MAX_TSX_COUNT 16383

/* An INVITE with an Identity header and ICE or ISUP passes 4,000 bytes. */
#define PJSIP_MAX_PKT_LEN 7900

/* A message sent takes 8 kB until its transaction ends, a stream 13 kB: upstream's blocks of 4 kB leave 3 kB unused. */
#define PJSIP_POOL_INC_TDATA 1000
#define PJMEDIA_STREAM_INC 1000

/* When a registration is renewed is the gateway's decision, as all that concerns it: gateway/sip/registration.py. */
#define PJSUA_REG_AUTO_REG_REFRESH 0

/* A Contact of ours that comes back with no time left is not registered. Upstream takes it for granted all the same. */
#define PJSIP_REGISTER_ALLOW_EXP_REFRESH 0

/* Connections that wait to be accepted: strangers must not fill that with a handful. */
#define PJSIP_TCP_TRANSPORT_BACKLOG 128

/* CRLF on idle TCP connections (RFC 5626 section 4.4.1): NATs forget sooner than upstream's 90 s, and what gets no
 * acknowledgement tells that the connection is gone. */
#define PJSIP_TCP_KEEP_ALIVE_INTERVAL 30

/* From, To and Contact of trunks carry parameters; a longer URI refuses the call. */
#define PJSIP_MAX_URL_SIZE 512

/* A burst of requests waits here while a callback runs; the kernel clips it to net.core.rmem_max and wmem_max. */
#define PJSIP_UDP_SO_RCVBUF_SIZE (4 * 1024 * 1024)
#define PJSIP_UDP_SO_SNDBUF_SIZE (4 * 1024 * 1024)


/* Media */

/* Loss, delay and MOS as the peer sees them (RFC 3611); an account turns it on. */
#define PJMEDIA_HAS_RTCP_XR 1

/* Of the codecs that a caller offers, the gateway's settings choose the one. */
#define PJMEDIA_SDP_NEG_PREFER_REMOTE_CODEC_ORDER 0

/* A call keeps some fifteen copies of its descriptions, with room for so many formats and attributes each; what an offer
 * has beyond that is passed over. Upstream's 32 and 68 cost 9 kB a call, and leave more crypto attributes in than it has
 * room for itself; see patches/01-sdes-crypto-count.patch. */
#define PJMEDIA_MAX_SDP_FMT 20
#define PJMEDIA_MAX_SDP_ATTR 40

#endif
