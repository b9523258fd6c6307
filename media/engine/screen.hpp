// Checks SIP requests before the dialogs get them.
#pragma once

#include <cstdint>

namespace offhook {

// From now on, requests that PJSIP would wrongly accept are refused: those that require an unknown extension (420, RFC
// 3261 section 8.2.2.3), and a MESSAGE in a dialog (405). Requests that PJSIP would wrongly refuse are changed: a
// Contact that this endpoint cannot reach is replaced by the request's source, and the body of an INVITE is removed if
// it is optional and not SDP. Requests within a dialog that come too often are refused. SIP thread, after pjsua_init().
// Ends with the endpoint. Throws std::runtime_error when PJSIP refuses the module.
void screen_requests();

// How many requests within a dialog were refused with 503, because a peer that is not a trunk's host sent more than 20
// a second in it. Any thread.
std::uint64_t excessive_requests();

// How many messages were not SIP, or too malformed to be processed. Any thread.
std::uint64_t malformed_messages();

}  // namespace offhook
