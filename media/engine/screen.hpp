// A first look at what comes over SIP, before the dialogs have it.
#pragma once

#include <cstdint>

namespace offhook {

// From now on, what PJSIP lets through and should not is answered, and what it could not answer is made answerable:
// an extension that nobody knows (420, RFC 3261 section 8.2.2.3), a MESSAGE in a call (405), a Contact that this
// endpoint cannot reach, for which the request's source stands, and an INVITE whose only body need not be understood.
// SIP thread, after pjsua_init(); goes with the endpoint. Throws std::runtime_error when PJSIP refuses the module.
void screen_requests();

// How many messages were no SIP, or too malformed to be served. Any thread.
std::uint64_t malformed_messages();

}  // namespace offhook
