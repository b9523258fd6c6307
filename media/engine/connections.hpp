// Limits the TCP connections that peers may open to us.
#pragma once

namespace offhook {

// Limits accepted TCP connections, so that we can always open our own, for trunks. A connection beyond `per_source`
// from one address is closed. If there are `all` connections already, the one that has been idle for longest is closed
// when a new one comes. A connection is also closed if nothing is received in its first half minute, or later for ten
// minutes. Connections in use are kept; but beyond `all` + `per_source` every new connection is closed.
// SIP thread, after all transports were made, because PJSUA puts its own callback before ours with each of them. Ends
// with the endpoint. Throws std::runtime_error when PJSIP refuses.
void limit_connections(unsigned all, unsigned per_source);

}  // namespace offhook
