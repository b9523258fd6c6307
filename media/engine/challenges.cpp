#include "challenges.hpp"

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

namespace offhook {
namespace {

// Never freed: at exit, static destructors run when the Python interpreter that it calls is already gone.
std::function<bool(const Challenge&)>* judge = nullptr;

std::string text(const pj_str_t& value) { return {value.ptr, static_cast<std::size_t>(value.slen)}; }

bool is_digest(const pj_str_t& scheme) { return pj_stricmp2(&scheme, "digest") == 0; }

// Whether the request contains credentials for the realm of this challenge.
bool holds_answer(const pjsip_msg& request, const pjsip_www_authenticate_hdr& challenge) {
    const auto kind = challenge.type == PJSIP_H_WWW_AUTHENTICATE ? PJSIP_H_AUTHORIZATION : PJSIP_H_PROXY_AUTHORIZATION;
    for (const pjsip_hdr* header = request.hdr.next; header != &request.hdr; header = header->next) {
        if (header->type != kind) continue;
        const auto& sent = reinterpret_cast<const pjsip_authorization_hdr*>(header)->credential.common;
        if (pj_stricmp(&sent.realm, &challenge.challenge.common.realm) == 0) return true;
    }
    return false;
}

std::string address(const pj_sockaddr& of) {
    char printed[PJ_INET6_ADDRSTRLEN] = "";
    const bool known = of.addr.sa_family == pj_AF_INET() || of.addr.sa_family == pj_AF_INET6();
    if (known) pj_sockaddr_print(&of, printed, sizeof(printed), 0);
    return printed;
}

void on_auth_challenge(pjsua_on_auth_challenge_param* param) {
    pjsip_msg* response = param->rdata->msg_info.msg;
    const pjsip_msg& request = *param->tdata->msg;
    for (pjsip_hdr *header = response->hdr.next, *next; header != &response->hdr; header = next) {
        next = header->next;
        if (header->type != PJSIP_H_WWW_AUTHENTICATE && header->type != PJSIP_H_PROXY_AUTHENTICATE) continue;
        const auto& asked = *reinterpret_cast<const pjsip_www_authenticate_hdr*>(header);
        if (!is_digest(asked.scheme)) continue;  // PJSIP ignores it
        const Challenge challenge = {param->acc_id,
                                     text(request.line.req.method.name),
                                     text(asked.challenge.digest.realm),
                                     param->rdata->pkt_info.src_name,
                                     address(param->tdata->tp_info.dst_addr),
                                     holds_answer(request, asked),
                                     asked.challenge.digest.stale != 0};
        if (!(*judge)(challenge)) pj_list_erase(header);
    }
}

}  // namespace

void judge_challenges(std::function<bool(const Challenge&)> may_answer) {
    judge = new std::function<bool(const Challenge&)>(std::move(may_answer));
    pjsua_var.ua_cfg.cb.on_auth_challenge = &on_auth_challenge;  // pjsua2's own callback does not report all facts
}

}  // namespace offhook
