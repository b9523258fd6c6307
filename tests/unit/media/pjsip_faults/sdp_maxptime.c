/* A peer that takes no packets as long as ours are without its word. */
#include "fault.h"
#include <pjmedia-codec.h>

static unsigned packet_ms(pj_pool_t *pool, pjmedia_endpt *endpoint, const char *attributes)
{
    static const char audio[] = "m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
    pjmedia_stream_info info;
    char theirs[200];

    snprintf(theirs, sizeof(theirs), "%s%s", audio, attributes);
    EXPECT(pjmedia_stream_info_from_sdp(&info, pool, endpoint, fault_sdp(pool, audio), fault_sdp(pool, theirs), 0) ==
           PJ_SUCCESS);
    return info.param->setting.frm_per_pkt * info.param->info.frm_ptime;
}

int main(void)
{
    pj_pool_t *pool = fault_start();
    pjmedia_endpt *endpoint;

    EXPECT(pjmedia_endpt_create(&fault_pools.factory, NULL, 0, &endpoint) == PJ_SUCCESS);
    EXPECT(pjmedia_codec_register_audio_codecs(endpoint, NULL) == PJ_SUCCESS);
    EXPECT(packet_ms(pool, endpoint, "") == 20);
    EXPECT(packet_ms(pool, endpoint, "a=maxptime:10\r\n") == 10);
    EXPECT(packet_ms(pool, endpoint, "a=maxptime:40\r\n") == 20);
    EXPECT(packet_ms(pool, endpoint, "a=ptime:40\r\na=maxptime:30\r\n") == 30);
    EXPECT(packet_ms(pool, endpoint, "a=maxptime:1\r\n") == 10);
    EXPECT(packet_ms(pool, endpoint, "a=maxptime:0\r\n") == 20);
    return 0;
}
