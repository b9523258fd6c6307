// Limits the TCP connections that peers may open to us.
#pragma once

namespace offhook {

// Limits the TCP connections of strangers, so that trunks can always open theirs, and we ours to them. A connection
// beyond `per_source` from one address is closed. If there are `all` connections already, the one that has been idle
// for longest is closed when a new one comes; if all are in use, only sources with few connections get another one. A
// connection is also closed if nothing is received in its first half minute, or later for ten minutes. Connections in
// use are kept.
// SIP thread, after all transports were made, because PJSUA puts its own callback before ours with each of them. Ends
// with the endpoint. Throws std::runtime_error when PJSIP refuses.
void limit_connections(unsigned all, unsigned per_source);

}  // namespace offhook
