/* G.711 and G.722 under payload types of the peer's choice, which RFC 3551 section 3 leaves to it. */
#include "fault.h"
#include <pjmedia-codec.h>

static const char ours[] = "m=audio 4000 RTP/AVP 0 9 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:9 G722/8000\r\n"
                           "a=rtpmap:101 telephone-event/8000\r\n";

/* The stream that follows from our answer to an offer, the answer's format in `format`. */
static pjmedia_stream_info agreed(pj_pool_t *pool, pjmedia_endpt *endpoint, const char *offer, pj_str_t *format)
{
    pjmedia_stream_info info;
    pjmedia_sdp_neg *neg;
    const pjmedia_sdp_session *local, *remote;

    EXPECT(pjmedia_sdp_neg_create_w_remote_offer(pool, fault_sdp(pool, ours), fault_sdp(pool, offer), &neg) ==
           PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_set_prefer_remote_codec_order(neg, PJ_FALSE) == PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_negotiate(pool, neg, PJ_FALSE) == PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_get_active_local(neg, &local) == PJ_SUCCESS);
    EXPECT(pjmedia_sdp_neg_get_active_remote(neg, &remote) == PJ_SUCCESS);
    *format = local->media[0]->desc.fmt[0];
    EXPECT(pjmedia_stream_info_from_sdp(&info, pool, endpoint, local, remote, 0) == PJ_SUCCESS);
    return info;
}

int main(void)
{
    pj_pool_t *pool = fault_start();
    pjmedia_stream_info info;
    pjmedia_endpt *endpoint;
    pj_str_t format;

    EXPECT(pjmedia_endpt_create(&fault_pools.factory, NULL, 0, &endpoint) == PJ_SUCCESS);
    EXPECT(pjmedia_codec_register_audio_codecs(endpoint, NULL) == PJ_SUCCESS);

    info = agreed(pool, endpoint, "m=audio 5000 RTP/AVP 96 97\r\na=rtpmap:96 PCMU/8000/1\r\n"
                  "a=rtpmap:97 telephone-event/8000\r\n", &format);
    EXPECT(pj_strcmp2(&format, "96") == 0);
    EXPECT(info.rx_pt == 96 && info.tx_pt == 96 && info.fmt.clock_rate == 8000);
    EXPECT(info.rx_event_pt == 97);

    info = agreed(pool, endpoint, "m=audio 5000 RTP/AVP 96\r\na=rtpmap:96 g722/8000\r\n", &format);
    EXPECT(pj_strcmp2(&format, "96") == 0);
    EXPECT(info.rx_pt == 96 && info.fmt.clock_rate == 16000);

    /* Where the usual number is there, too, it is taken. */
    info = agreed(pool, endpoint, "m=audio 5000 RTP/AVP 96 0\r\na=rtpmap:96 PCMU/8000\r\n", &format);
    EXPECT(pj_strcmp2(&format, "0") == 0);
    return 0;
}
