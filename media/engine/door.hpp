// INVITEs that come when there is no place for a call.
#pragma once

#include <string>
#include <vector>

namespace offhook {

struct TurnedAway {
    std::string sip_call_id;
    std::string source;  // "address:port"
};

// From now on, an INVITE that finds the door closed, or no place in PJSUA, is answered 503 with Retry-After at the cost
// of parsing it: without a transaction, a call, sockets or Python. Left to PJSUA it would get all of these, and 486
// once its places had run out: ended calls whose BYE or refusal the peer never answers keep theirs for 32 s. SIP
// thread, all of this; after pjsua_init(). Throws std::runtime_error when PJSIP refuses the module.
void install_door(unsigned retry_after_s);

void close_door(bool closed);

// How many were turned away since the last time, and the first few of them.
unsigned long take_turned_away(std::vector<TurnedAway>& first);

}  // namespace offhook
