/* Prints, as JSON, the limits that the compiler really saw. */
#include <pjlib.h>
#include <pjlib-util.h>
#include <pjmedia.h>
#include <pjsip.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>
#include <stdio.h>

#define SHOW(name) printf("  \"%s\": %ld,\n", #name, (long)(name))

int main(void)
{
    printf("{\n");
    SHOW(PJSUA_MAX_CALLS);
    SHOW(PJSUA_MAX_ACC);
    SHOW(PJSUA_MAX_CONF_PORTS);
    SHOW(PJSUA_MAX_CALL_MEDIA);
    SHOW(PJSUA_ACC_MAX_PROXIES);
    SHOW(PJ_IOQUEUE_MAX_HANDLES);
    SHOW(PJ_IOQUEUE_MAX_EVENTS_IN_SINGLE_POLL);
    SHOW(PJ_IOQUEUE_IMP);
    SHOW(PJ_IOQUEUE_IMP_EPOLL);
    SHOW(PJ_LOG_MAX_LEVEL);
    SHOW(PJSIP_MAX_TSX_COUNT);
    SHOW(PJSIP_MAX_DIALOG_COUNT);
    SHOW(PJSIP_MAX_TRANSPORTS);
    SHOW(PJSIP_MAX_PKT_LEN);
    SHOW(PJSIP_MAX_URL_SIZE);
    SHOW(PJSIP_UDP_SO_RCVBUF_SIZE);
    SHOW(PJSIP_UDP_SO_SNDBUF_SIZE);
    SHOW(PJMEDIA_HAS_RTCP_XR);
    SHOW(PJMEDIA_HAS_SRTP);
    SHOW(PJMEDIA_HAS_VIDEO);
    SHOW(PJMEDIA_SDP_NEG_PREFER_REMOTE_CODEC_ORDER);
    SHOW(PJMEDIA_MAX_SDP_ATTR);
    SHOW(PJMEDIA_MAX_SDP_MEDIA);
    printf("  \"sizeof(pjsua_var)\": %lu,\n", (unsigned long)sizeof(struct pjsua_data));
    printf("  \"sizeof(pjsua_call)\": %lu\n", (unsigned long)sizeof(struct pjsua_call));
    printf("}\n");
    return 0;
}
