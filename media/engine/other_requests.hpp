// SIP requests that are neither a call nor a question whether we are here.
#pragma once

namespace offhook {

// Refuses them from now on, and takes what they are from Allow and Supported: left to PJSUA, a SUBSCRIBE is granted and
// its NOTIFYs go to wherever its Contact says, a MESSAGE is taken and thrown away, and others are not answered at all.
// SIP thread, after pjsua_init(); goes with the endpoint. Throws std::runtime_error when PJSIP refuses the module.
void refuse_other_requests();

}  // namespace offhook
