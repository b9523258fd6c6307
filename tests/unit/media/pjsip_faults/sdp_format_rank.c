/* A media line with more formats than are kept: those that media needs are among the kept ones. */
#include "fault.h"

static pj_bool_t has(const pjmedia_sdp_media *media, const char *format)
{
    unsigned i;

    for (i = 0; i < media->desc.fmt_count; ++i)
        if (pj_strcmp2(&media->desc.fmt[i], format) == 0)
            return PJ_TRUE;
    return PJ_FALSE;
}

/* A line of dynamic formats from 96 on, then `last`. */
static const pjmedia_sdp_media *line(pj_pool_t *pool, unsigned dynamic, const char *last, const char *attributes)
{
    char text[4000];
    size_t length = sprintf(text, "m=audio 4000 RTP/AVP");
    unsigned i;

    for (i = 0; i < dynamic; ++i)
        length += sprintf(text + length, " %u", 96 + i);
    length += sprintf(text + length, "%s\r\n", last);
    for (i = 0; i < dynamic; ++i)
        length += sprintf(text + length, "a=rtpmap:%u X%u/8000\r\n", 96 + i, i);
    strcpy(text + length, attributes);
    return fault_sdp(pool, text)->media[0];
}

int main(void)
{
    pj_pool_t *pool = fault_start();
    const pjmedia_sdp_media *media;

    media = line(pool, PJMEDIA_MAX_SDP_FMT, " 0 8 127", "a=rtpmap:127 telephone-event/8000\r\n");
    EXPECT(media->desc.fmt_count == PJMEDIA_MAX_SDP_FMT);
    EXPECT(has(media, "0") && has(media, "8") && has(media, "127"));
    EXPECT(has(media, "96") && !has(media, "115")); /* what comes last is wanted least */

    media = line(pool, PJMEDIA_MAX_SDP_FMT - 1, " 0 126 127",
                 "m=audio 4002 RTP/AVP 126\r\na=rtpmap:126 telephone-event/8000\r\n");
    EXPECT(has(media, "0") && has(media, "96") && !has(media, "126")); /* another line's attributes do not count */

    media = line(pool, 0, " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 8 127", "a=rtpmap:127");
    EXPECT(media->desc.fmt_count == PJMEDIA_MAX_SDP_FMT);
    return 0;
}
