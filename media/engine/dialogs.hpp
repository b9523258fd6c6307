// Where requests within a call go.
#pragma once

#include <pjsip.h>
#include <string>

namespace offhook {

// The host that requests within the call which this INVITE begins would go to: of its Record-Route, or of its Contact.
// Empty where it names none.
std::string next_hop(const pjsip_rx_data* invite);

// Sends them from the socket that the INVITE came to, if that is UDP, and with `to_source` to the address that it came
// from, whatever its Contact says. SIP thread, in the callback that tells of the INVITE.
void route_dialog(int call, pjsip_rx_data* invite, bool to_source);

}  // namespace offhook
