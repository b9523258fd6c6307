/* An offer with 68 a=crypto lines, as many as upstream's parser lets through. */
#include <pj/config_site.h>
#undef PJMEDIA_MAX_SDP_ATTR
#define PJMEDIA_MAX_SDP_ATTR 68
#include "fault.h"

#include "transport_srtp.c"

int main(void)
{
    pj_pool_t *pool = fault_start();
    transport_srtp *srtp = PJ_POOL_ZALLOC_T(pool, transport_srtp);
    pjmedia_transport keying = {.user_data = srtp};
    pjmedia_sdp_media *offer = PJ_POOL_ZALLOC_T(pool, pjmedia_sdp_media);
    pjmedia_sdp_media *answer = PJ_POOL_ZALLOC_T(pool, pjmedia_sdp_media);
    pjmedia_sdp_session remote = {.media_count = 1, .media = {offer}};
    pjmedia_sdp_session local = {.media_count = 1, .media = {answer}};
    unsigned i;

    srtp->pool = pool;
    srtp->setting.use = PJMEDIA_SRTP_OPTIONAL;
    offer->desc.transport = answer->desc.transport = pj_str("RTP/AVP");
    for (i = 0; i < PJMEDIA_MAX_SDP_ATTR; ++i) {
        char text[80];
        pj_str_t value;

        snprintf(text, sizeof(text), "%u NO_SUCH_SUITE inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=", i + 1);
        value = pj_str(text);
        offer->attr[offer->attr_count++] = pjmedia_sdp_attr_create(pool, "crypto", &value);
    }
    EXPECT(sdes_encode_sdp(&keying, pool, &local, &remote, 0) == PJ_SUCCESS);
    return 0;
}
