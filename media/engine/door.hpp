// Refuses INVITEs while there is no place for a call.
#pragma once

#include <string>
#include <vector>

namespace offhook {

struct Caller {
    std::string sip_call_id;
    std::string source;  // "address:port"
};

// INVITEs that were refused for one reason.
struct TurnedAway {
    const char* why;  // "full", or what strangers may have is used up: "strangers" (places), "rate" (calls a second)
    unsigned long count = 0;
    std::vector<Caller> first;  // the first few of them
};

// From now on, an INVITE that comes while the door is closed, or while PJSUA has no free call, is answered with 503 and
// Retry-After. This costs no more than parsing: no transaction, call, sockets or Python. PJSUA itself would use all of
// these, and answer 486 when its calls are used up: an ended call is occupied for 32 s if the peer does not answer its
// BYE or acknowledge its refusal. If there are trunks, `kept_for_trunks` of PJSUA's calls are only for their hosts.
// Hosts that are not trunks' get 200 calls a second together. All functions: SIP thread, after pjsua_init(). Throws
// std::runtime_error when PJSIP refuses the module.
void install_door(unsigned retry_after_s, unsigned kept_for_trunks);

void close_door(bool closed);

// Returns what was refused since the last call of this function: one item for each reason that there was.
std::vector<TurnedAway> take_turned_away();

}  // namespace offhook
