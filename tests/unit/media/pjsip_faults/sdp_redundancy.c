/* Redundancy (RFC 2198) that is offered more than once, and beside a format that has no rtpmap. */
#include "fault.h"

static const pjmedia_sdp_media *answer_to(pj_pool_t *pool, const char *ours, const char *offer)
{
    pjmedia_sdp_neg *neg;
    const pjmedia_sdp_session *answer;

    EXPECT(pjmedia_sdp_neg_create_w_remote_offer(pool, fault_sdp(pool, ours), fault_sdp(pool, offer), &neg) ==
           PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_negotiate(pool, neg, PJ_FALSE) == PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_get_active_local(neg, &answer) == PJ_SUCCESS);
    return answer->media[0];
}

int main(void)
{
    pj_pool_t *pool = fault_start();
    pjmedia_endpt *endpoint;
    const pjmedia_sdp_media *media;

    EXPECT(pjmedia_endpt_create(&fault_pools.factory, NULL, 0, &endpoint) == PJ_SUCCESS);

    media = answer_to(pool,
                      "m=text 4000 RTP/AVP 100 98\r\na=rtpmap:100 red/1000\r\na=fmtp:100 98/98\r\n"
                      "a=rtpmap:98 t140/1000\r\n",
                      "m=text 5000 RTP/AVP 100 100 100 100 98\r\na=rtpmap:100 red/1000\r\na=fmtp:100 98/98\r\n"
                      "a=rtpmap:98 t140/1000\r\n");
    EXPECT(media->desc.fmt_count == 2);
    EXPECT(pj_strcmp2(&media->desc.fmt[0], "100") == 0);
    EXPECT(pj_strcmp2(&media->desc.fmt[1], "98") == 0);

    media = answer_to(pool, "m=audio 4000 RTP/AVP 0 100\r\na=rtpmap:100 red/8000\r\na=fmtp:100 0/0\r\n",
                      "m=audio 5000 RTP/AVP 0 100\r\na=rtpmap:100 red/8000\r\na=fmtp:100 0/0\r\n");
    EXPECT(media->desc.fmt_count == 2);
    return 0;
}
