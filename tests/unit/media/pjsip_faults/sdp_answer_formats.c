/* Formats for which the answer has no entry of its own: redundancy (RFC 2198) that is offered more than once or beside
 * a format without rtpmap, and a static format in a spelling that is not ours. */
#include "fault.h"

static const pjmedia_sdp_media *answer_to(pj_pool_t *pool, pj_bool_t their_order, const char *ours, const char *offer)
{
    pjmedia_sdp_neg *neg;
    const pjmedia_sdp_session *answer;

    EXPECT(pjmedia_sdp_neg_create_w_remote_offer(pool, fault_sdp(pool, ours), fault_sdp(pool, offer), &neg) ==
           PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_set_prefer_remote_codec_order(neg, their_order) == PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_negotiate(pool, neg, PJ_FALSE) == PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_get_active_local(neg, &answer) == PJ_SUCCESS);
    return answer->media[0];
}

static void redundancy(pj_pool_t *pool, pj_bool_t their_order)
{
    const pjmedia_sdp_media *media;

    media = answer_to(pool, their_order,
                      "m=text 4000 RTP/AVP 100 98\r\na=rtpmap:100 red/1000\r\na=fmtp:100 98/98\r\n"
                      "a=rtpmap:98 t140/1000\r\n",
                      "m=text 5000 RTP/AVP 100 100 100 100 98\r\na=rtpmap:100 red/1000\r\na=fmtp:100 98/98\r\n"
                      "a=rtpmap:98 t140/1000\r\n");
    EXPECT(media->desc.fmt_count == 2);
    EXPECT(pj_strcmp2(&media->desc.fmt[0], "100") == 0);
    EXPECT(pj_strcmp2(&media->desc.fmt[1], "98") == 0);

    media = answer_to(pool, their_order, "m=audio 4000 RTP/AVP 0 100\r\na=rtpmap:100 red/8000\r\na=fmtp:100 0/0\r\n",
                      "m=audio 5000 RTP/AVP 0 100\r\na=rtpmap:100 red/8000\r\na=fmtp:100 0/0\r\n");
    EXPECT(media->desc.fmt_count == 2);
}

static void spelling(pj_pool_t *pool, pj_bool_t their_order)
{
    const pjmedia_sdp_media *media =
        answer_to(pool, their_order, "m=audio 4000 RTP/AVP 8 0\r\n", "m=audio 5000 RTP/AVP 00\r\n");

    EXPECT(media->desc.fmt_count == 1);
    EXPECT(pj_strtoul(&media->desc.fmt[0]) == 0);
}

int main(void)
{
    pj_pool_t *pool = fault_start();
    pjmedia_endpt *endpoint;
    pj_bool_t their_order;

    EXPECT(pjmedia_endpt_create(&fault_pools.factory, NULL, 0, &endpoint) == PJ_SUCCESS);
    for (their_order = PJ_FALSE; their_order <= PJ_TRUE; ++their_order) {
        redundancy(pool, their_order);
        spelling(pool, their_order);
    }
    return 0;
}
