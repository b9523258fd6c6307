#include "dialogs.hpp"

#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
extern "C" {
#include <pjsua-lib/pjsua_internal.h>
}
#include <vector>

namespace offhook {
namespace {

// The URI of the topmost Record-Route, or else of the Contact; null if it is not a SIP URI.
const pjsip_sip_uri* next_uri(const pjsip_rx_data* invite) {
    const pjsip_uri* uri = nullptr;
    if (const auto* route = invite->msg_info.record_route) {
        uri = route->name_addr.uri;
    } else {
        const auto* contact =
            static_cast<const pjsip_contact_hdr*>(pjsip_msg_find_hdr(invite->msg_info.msg, PJSIP_H_CONTACT, nullptr));
        uri = contact != nullptr ? contact->uri : nullptr;
    }
    if (uri == nullptr || !(PJSIP_URI_SCHEME_IS_SIP(uri) || PJSIP_URI_SCHEME_IS_SIPS(uri))) return nullptr;
    return static_cast<const pjsip_sip_uri*>(pjsip_uri_get_uri(uri));
}

bool goes_over_udp(const pjsip_rx_data* invite) {
    const pj_str_t udp = {const_cast<char*>("udp"), 3};
    const pjsip_sip_uri* uri = next_uri(invite);
    return uri != nullptr && (uri->transport_param.slen == 0 || pj_stricmp(&uri->transport_param, &udp) == 0);
}

// Whose each of PJSUA's calls is. An id is used again when its call has ended, and its peer has answered the BYE.
std::vector<bool> of_trunk;

}  // namespace

void note_call(int call, bool is_trunks) {
    if (call < 0) return;
    if (of_trunk.size() <= static_cast<std::size_t>(call)) of_trunk.resize(static_cast<std::size_t>(call) + 1);
    of_trunk[static_cast<std::size_t>(call)] = is_trunks;
}

unsigned strangers_calls() {
    unsigned count = 0;
    for (std::size_t id = 0; id < pjsua_var.ua_cfg.max_calls; ++id)
        if (pjsua_var.calls[id].inv != nullptr && (id >= of_trunk.size() || !of_trunk[id])) ++count;
    return count;
}

std::string next_hop(const pjsip_rx_data* invite) {
    const pjsip_sip_uri* uri = next_uri(invite);
    if (uri == nullptr) return {};
    const pj_str_t& host = uri->maddr_param.slen > 0 ? uri->maddr_param : uri->host;
    return {host.ptr, static_cast<std::size_t>(host.slen)};
}

void route_dialog(int call, pjsip_rx_data* invite, bool to_source) {
    if (call < 0 || call >= static_cast<int>(PJSUA_MAX_CALLS) || pjsua_var.calls[call].inv == nullptr) return;
    pjsip_dialog* dialog = pjsua_var.calls[call].inv->dlg;  // PJSUA's public API does not give access to the dialog
    pjsip_transport* transport = invite->tp_info.transport;
    const bool is_udp = transport->key.type == PJSIP_TRANSPORT_UDP;
    if (is_udp && (to_source || goes_over_udp(invite))) {
        pjsip_tpselector socket{};
        socket.type = PJSIP_TPSELECTOR_TRANSPORT;
        socket.u.transport = transport;
        pjsip_dlg_set_transport(dialog, &socket);
    }
    if (!to_source) return;
    auto* source = PJ_POOL_ZALLOC_T(dialog->pool, pjsip_server_addresses);
    source->count = 1;
    source->entry[0].type = static_cast<pjsip_transport_type_e>(transport->key.type);
    source->entry[0].addr_len = pj_sockaddr_get_len(&invite->pkt_info.src_addr);
    pj_sockaddr_cp(&source->entry[0].addr, &invite->pkt_info.src_addr);
    dialog->dest = source;
}

}  // namespace offhook
