/* An audio line of as many codecs as it has formats, each with rtpmap and fmtp, and telephone-event. */
#include "fault.h"

#include "endpoint.c"

static pj_status_t test_codec(pjmedia_codec_factory *factory, const pjmedia_codec_info *info)
{
    return PJ_SUCCESS;
}

static pj_status_t destroy(void)
{
    return PJ_SUCCESS;
}

static pj_status_t default_param(pjmedia_codec_factory *factory, const pjmedia_codec_info *info,
                                 pjmedia_codec_param *param)
{
    pj_bzero(param, sizeof(*param));
    param->info.clock_rate = info->clock_rate;
    param->info.channel_cnt = info->channel_cnt;
    param->setting.dec_fmtp.cnt = 1;
    param->setting.dec_fmtp.param[0].name = pj_str("x");
    param->setting.dec_fmtp.param[0].val = pj_str("1");
    return PJ_SUCCESS;
}

static pj_status_t enum_info(pjmedia_codec_factory *factory, unsigned *count, pjmedia_codec_info codecs[])
{
    static char names[PJMEDIA_CODEC_MGR_MAX_CODECS][16];
    unsigned i;

    *count = PJMEDIA_MAX_SDP_FMT;
    pj_bzero(codecs, sizeof(codecs[0]) * *count);
    for (i = 0; i < *count; ++i) {
        snprintf(names[i], sizeof(names[i]), "codec%u", i);
        codecs[i].encoding_name = pj_str(names[i]);
        codecs[i].pt = 96 + i % 32;
        codecs[i].type = PJMEDIA_TYPE_AUDIO;
        codecs[i].clock_rate = 8000 + 1000 * (i % 8);
        codecs[i].channel_cnt = 1;
    }
    return PJ_SUCCESS;
}

int main(void)
{
    pj_pool_t *pool = fault_start();
    pjmedia_codec_factory_op operations = {
        .test_alloc = &test_codec, .default_attr = &default_param, .enum_info = &enum_info, .destroy = &destroy};
    pjmedia_codec_factory factory = {.op = &operations};
    pjmedia_sock_info address = {0};
    pjmedia_sdp_media *media;
    pjmedia_endpt *endpoint;

    EXPECT(pjmedia_endpt_create(&fault_pools.factory, NULL, 0, &endpoint) == PJ_SUCCESS);
    EXPECT(pjmedia_codec_mgr_register_factory(pjmedia_endpt_get_codec_mgr(endpoint), &factory) == PJ_SUCCESS);
    pj_sockaddr_init(pj_AF_INET(), &address.rtp_addr_name, NULL, 4000);
    pj_sockaddr_init(pj_AF_INET(), &address.rtcp_addr_name, NULL, 4001);
    EXPECT(pjmedia_endpt_create_audio_sdp(endpoint, pool, &address, NULL, &media) == PJ_SUCCESS);
    EXPECT(media->desc.fmt_count <= PJMEDIA_MAX_SDP_FMT);
    EXPECT(media->attr_count <= PJMEDIA_MAX_SDP_ATTR);
    return 0;
}
