/* A media line with more attributes than are kept: those that media needs are among the kept ones. */
#include "fault.h"

static pjmedia_sdp_media *line(pj_pool_t *pool, const char *session, const char *first, unsigned count,
                               const char *attribute, const char *last)
{
    char *text = pj_pool_alloc(pool, 60000);
    size_t length = sprintf(text, "%sm=audio 4000 RTP/AVP 111 0 101\r\n%s", session, first);

    while (count--)
        length += sprintf(text + length, "%s", attribute);
    strcpy(text + length, last);
    return fault_sdp(pool, text)->media[0];
}

#define CANDIDATE "a=candidate:Ha000001 1 UDP 2130706431 10.0.0.1 4000 typ host\r\n"
#define NEEDED                                                                                             \
    "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\na=rtpmap:0 PCMU/8000\r\n"                   \
    "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=maxptime:60\r\na=sendonly\r\n"

static void expect_needed(const pjmedia_sdp_media *media)
{
    static const char *const names[] = {"rtpmap", "fmtp", "ptime", "maxptime", "sendonly"};
    unsigned i;

    EXPECT(media->attr_count <= PJMEDIA_MAX_SDP_ATTR);
    EXPECT(media->desc.fmt_count == 3);
    for (i = 0; i < PJ_ARRAY_SIZE(names); ++i)
        EXPECT(pjmedia_sdp_media_find_attr2(media, names[i], NULL));
}

int main(void)
{
    pj_pool_t *pool = fault_start();
    const pjmedia_sdp_media *media;

    expect_needed(line(pool, "", "", 60, CANDIDATE, NEEDED));
    expect_needed(line(pool, "", NEEDED, 60, CANDIDATE, ""));
    expect_needed(line(pool, "a=sendonly\r\n", "", 60, CANDIDATE,
                       "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 a=1\r\na=rtpmap:101 telephone-event/8000\r\n"
                       "a=ptime:20\r\na=maxptime:60\r\n"));

    /* Of too many that are needed, the direction stays. */
    media = line(pool, "", "", 300, "a=rtpmap:111 opus/48000/2\r\n", "a=ptime:20\r\na=inactive\r\n");
    EXPECT(pjmedia_sdp_media_find_attr2(media, "ptime", NULL));
    EXPECT(pjmedia_sdp_media_find_attr2(media, "inactive", NULL));
    return 0;
}
