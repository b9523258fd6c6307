/* Attributes for the payload type 200 in a local SDP. */
#include "fault.h"

#include "sdp_neg.c"

int main(void)
{
    pj_pool_t *pool = fault_start();
    pjmedia_endpt *endpoint;
    pjmedia_sdp_neg *neg;
    const pjmedia_sdp_session *answer;

    EXPECT(pjmedia_endpt_create(&fault_pools.factory, NULL, 0, &endpoint) == PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_create_w_remote_offer(
               pool, fault_sdp(pool, "m=audio 4000 RTP/AVP 0\r\na=rtpmap:200 opus/48000/2\r\na=fmtp:200 x=1\r\n"),
               fault_sdp(pool, "m=audio 5000 RTP/AVP 0\r\n"), &neg) == PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_negotiate(pool, neg, PJ_FALSE) == PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_get_active_local(neg, &answer) == PJ_SUCCESS);
    EXPECT(answer->media[0]->desc.fmt_count == 1);
    return 0;
}
