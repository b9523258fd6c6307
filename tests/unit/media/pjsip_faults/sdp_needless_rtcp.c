/* Attributes that say nothing of use about RTCP: the stream runs, and reports go to the port after the media's. */
#include "fault.h"
#include <pjmedia-codec.h>

static unsigned rtcp_port(pj_pool_t *pool, pjmedia_endpt *endpoint, const char *attribute)
{
    static const char audio[] = "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
    pjmedia_stream_info info;
    char theirs[200], address[PJ_INET6_ADDRSTRLEN];

    snprintf(theirs, sizeof(theirs), "%s%s\r\n", audio, attribute);
    EXPECT(pjmedia_stream_info_from_sdp(&info, pool, endpoint, fault_sdp(pool, audio), fault_sdp(pool, theirs), 0) ==
           PJ_SUCCESS);
    EXPECT(strcmp(pj_sockaddr_print(&info.rem_rtcp, address, sizeof(address), 0), "127.0.0.1") == 0);
    return pj_sockaddr_get_port(&info.rem_rtcp);
}

int main(void)
{
    static const char *const useless[] = {
        "a=rtcp:4009 IN IP6 2001:db8::1", "a=rtcp:many", "a=rtcp", "a=rtcp:70000", "a=rtcp:0",
        "a=ssrc:many cname:a", "a=ssrc",
    };
    pj_pool_t *pool = fault_start();
    pjmedia_endpt *endpoint;
    unsigned i;

    EXPECT(pjmedia_endpt_create(&fault_pools.factory, NULL, 0, &endpoint) == PJ_SUCCESS);
    EXPECT(pjmedia_codec_register_audio_codecs(endpoint, NULL) == PJ_SUCCESS);
    EXPECT(rtcp_port(pool, endpoint, "a=rtcp:4009") == 4009);
    EXPECT(rtcp_port(pool, endpoint, "a=rtcp:4009 IN IP4 127.0.0.1") == 4009);
    for (i = 0; i < PJ_ARRAY_SIZE(useless); ++i)
        EXPECT(rtcp_port(pool, endpoint, useless[i]) == 4001);
    return 0;
}
