// Who may ask for a trunk's password (RFC 3261 section 22).
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
    bool answered;        // the request held an answer for this realm already
    bool stale;           // the challenge says that this answer was too old, and not wrong
};

// From now on PJSIP answers only those challenges that `may_answer` lets pass; any other is as if it had not been made.
// Left to PJSIP, whoever we send a request to gets an answer, for any realm if the account's is "*".
// SIP thread, after pjsua_init(). `may_answer` is called on it and must not throw. It is never freed.
void judge_challenges(std::function<bool(const Challenge&)> may_answer);

}  // namespace offhook
