// How many connections others may have to us.
#pragma once

namespace offhook {

// Bounds what is accepted over TCP, so that connections of our own, a trunk's, can always be made: from one address no
// more than `per_source`, and of all no more than `all`; beyond that the one goes that has been idle for longest. Who
// says nothing within half a minute, or nothing more for ten, is let go as well.
// SIP thread, after all transports were made, since PJSUA puts its own callback in front of ours with each; goes with
// the endpoint. Throws std::runtime_error when PJSIP refuses.
void limit_connections(unsigned all, unsigned per_source);

}  // namespace offhook
