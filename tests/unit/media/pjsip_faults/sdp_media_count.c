/* A new offer of as many lines as fit, in a session full of lines of another type. */
#include "fault.h"

static const char *lines(pj_pool_t *pool, const char *line)
{
    char *text = pj_pool_alloc(pool, PJMEDIA_MAX_SDP_MEDIA * strlen(line) + 1);
    unsigned i;

    text[0] = '\0';
    for (i = 0; i < PJMEDIA_MAX_SDP_MEDIA; ++i)
        strcat(text, line);
    return text;
}

int main(void)
{
    pj_pool_t *pool = fault_start();
    pjmedia_endpt *endpoint;
    pjmedia_sdp_neg *neg;
    const char *full = lines(pool, "m=application 4000 udp x\r\n");

    EXPECT(pjmedia_endpt_create(&fault_pools.factory, NULL, 0, &endpoint) == PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_create_w_remote_offer(pool, fault_sdp(pool, full), fault_sdp(pool, full), &neg) ==
           PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_negotiate(pool, neg, PJ_FALSE) == PJ_SUCCESS);

    EXPECT(pjmedia_sdp_neg_modify_local_offer(pool, neg, fault_sdp(pool, lines(pool, "m=audio 4000 RTP/AVP 0\r\n"))) ==
           PJ_ETOOMANY);
    EXPECT(pjmedia_sdp_neg_get_state(neg) == PJMEDIA_SDP_NEG_STATE_DONE);
    return 0;
}
