// Decides which challenges are answered with a trunk's credentials (RFC 3261 section 22).
#pragma once

#include <functional>
#include <string>

namespace offhook {

// One challenge of a 401 or 407.
struct Challenge {
    int account;          // PJSUA's id of the account whose request was challenged
    std::string method;   // of that request
    std::string realm;    // as received: any bytes
    std::string source;   // the address that the challenge came from
    std::string sent_to;  // the address that the request went to
    bool answered;        // the request already contained credentials for this realm
    bool stale;           // the challenge says that the nonce was too old, not that the credentials were wrong
};

// From now on PJSIP answers only the challenges for which `may_answer` returns true, and ignores all others. By
// default, PJSIP would answer every peer that we send a request to, and for any realm if the realm of the account is
// "*". SIP thread, after pjsua_init(). `may_answer` is called on the SIP thread and must not throw. It is never freed.
void judge_challenges(std::function<bool(const Challenge&)> may_answer);

}  // namespace offhook
