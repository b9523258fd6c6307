#include "other_requests.hpp"

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>
#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>

namespace offhook {
namespace {

constexpr std::array<std::string_view, 8> kMethods = {"INVITE",  "ACK",   "BYE",    "CANCEL",
                                                      "OPTIONS", "PRACK", "UPDATE", "INFO"};
constexpr std::array<std::string_view, 3> kExtensions = {"100rel", "timer", "outbound"};

// Valid only within a dialog or transaction. If there is one, these requests do not come here.
constexpr std::array<std::string_view, 5> kOfADialog = {"BYE", "CANCEL", "PRACK", "UPDATE", "INFO"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& words, const pj_str_t& word) {
    const std::string_view wanted(word.ptr, static_cast<std::size_t>(word.slen));
    return std::find(words.begin(), words.end(), wanted) != words.end();
}

template <std::size_t N>
void keep_only(pjsip_endpoint* endpoint, int header, const std::array<std::string_view, N>& words) {
    // PJSIP has no function to remove a capability. It copies this header into every message that contains it.
    auto* found = reinterpret_cast<pjsip_generic_array_hdr*>(
        const_cast<pjsip_hdr*>(static_cast<const pjsip_hdr*>(pjsip_endpt_get_capability(endpoint, header, nullptr))));
    if (found == nullptr) return;
    auto* end = std::remove_if(found->values, found->values + found->count,
                               [&](const pj_str_t& value) { return !contains(words, value); });
    found->count = static_cast<unsigned>(end - found->values);
}

pj_bool_t on_request(pjsip_rx_data* received) {
    const pjsip_method& method = received->msg_info.msg->line.req.method;
    if (method.id == PJSIP_INVITE_METHOD || method.id == PJSIP_ACK_METHOD || method.id == PJSIP_OPTIONS_METHOD)
        return PJ_FALSE;
    pjsip_endpoint* endpoint = pjsua_get_pjsip_endpt();
    if (contains(kOfADialog, method.name)) {
        pjsip_endpt_respond_stateless(endpoint, received, PJSIP_SC_CALL_TSX_DOES_NOT_EXIST, nullptr, nullptr, nullptr);
        return PJ_TRUE;
    }
    pjsip_hdr allow;
    pj_list_init(&allow);
    if (const pjsip_hdr* methods = pjsip_endpt_get_capability(endpoint, PJSIP_H_ALLOW, nullptr))
        pj_list_push_back(&allow, pjsip_hdr_shallow_clone(received->tp_info.pool, methods));
    pjsip_endpt_respond_stateless(endpoint, received, PJSIP_SC_METHOD_NOT_ALLOWED, nullptr, &allow, nullptr);
    return PJ_TRUE;
}

}  // namespace

void refuse_other_requests() {
    static pjsip_module module;
    static char name[] = "other-requests";
    module = {};
    module.name = pj_str(name);
    module.id = -1;
    module.priority = PJSIP_MOD_PRIORITY_APPLICATION - 1;  // after the dialogs, before PJSUA
    module.on_rx_request = &on_request;
    pjsip_endpoint* endpoint = pjsua_get_pjsip_endpt();
    if (endpoint == nullptr || pjsip_endpt_register_module(endpoint, &module) != PJ_SUCCESS)
        throw std::runtime_error("PJSIP takes no module that answers other requests");
    keep_only(endpoint, PJSIP_H_ALLOW, kMethods);
    keep_only(endpoint, PJSIP_H_SUPPORTED, kExtensions);
}

}  // namespace offhook
