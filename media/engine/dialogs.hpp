// Where requests within a dialog are sent.
#pragma once

#include <pjsip.h>
#include <string>

namespace offhook {

// The host that requests within this INVITE's dialog would be sent to: from its Record-Route, or else its Contact.
// Empty if there is none.
std::string next_hop(const pjsip_rx_data* invite);

// Notes whether a call of PJSUA is a trunk's. SIP thread, in the callback for the INVITE, as all here.
void note_call(int call, bool is_trunks);

// How many of PJSUA's calls are strangers', those that have ended and wait for an answer to their BYE among them.
unsigned strangers_calls();

// Sends requests within the dialog from the socket that received the INVITE, if that is UDP. With `to_source`, they go
// to the source address of the INVITE, and its Contact is ignored. SIP thread, in the callback for the INVITE.
void route_dialog(int call, pjsip_rx_data* invite, bool to_source);

}  // namespace offhook
