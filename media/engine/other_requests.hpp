// Refuses SIP requests that are not part of a call and not OPTIONS.
#pragma once

namespace offhook {

// Refuses them from now on, and removes their methods and extensions from Allow and Supported. PJSUA itself would
// accept a SUBSCRIBE and send NOTIFYs to any address in its Contact, accept a MESSAGE and drop it, and not answer other
// requests. SIP thread, after pjsua_init(). Ends with the endpoint. Throws std::runtime_error when PJSIP refuses the
// module.
void refuse_other_requests();

}  // namespace offhook
