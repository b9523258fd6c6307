/* What others write into a session description, and what nobody needs: passed over, not refused. */
#include "fault.h"

/* What is read of a whole description that must be accepted, here and by everybody who validates it again. */
static pjmedia_sdp_session *accepted(pj_pool_t *pool, const char *text)
{
    pjmedia_sdp_session *sdp;
    char *copy = pj_pool_alloc(pool, strlen(text) + 1);

    strcpy(copy, text);
    EXPECT(pjmedia_sdp_parse(pool, copy, strlen(text), &sdp) == PJ_SUCCESS);
    EXPECT(pjmedia_sdp_validate2(sdp, PJ_FALSE) == PJ_SUCCESS);
    return sdp;
}

static void refused(pj_pool_t *pool, const char *text)
{
    pjmedia_sdp_session *sdp;
    char *copy = pj_pool_alloc(pool, strlen(text) + 1);

    strcpy(copy, text);
    EXPECT(pjmedia_sdp_parse(pool, copy, strlen(text), &sdp) != PJ_SUCCESS);
}

#define ORIGIN "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\n"
#define CONNECTION "c=IN IP4 10.0.0.1\r\n"
#define AUDIO "m=audio 4000 RTP/AVP 0\r\n"

static void head(pj_pool_t *pool)
{
    static const char *const heads[] = {
        ORIGIN "s=\r\n" CONNECTION "t=0 0\r\n",                            /* no name */
        ORIGIN CONNECTION "t=0 0\r\n",                                     /* not even the line */
        "v=0\r\no=- 4611731400430051336 2 IN IP4 0.0.0.0\r\ns=-\r\n" CONNECTION "t=0 0\r\n",
        "v=0\r\no= 1 1 IN IP4 10.0.0.1\r\ns=-\r\n" CONNECTION "t=0 0\r\n", /* no user */
        "v=0\r\no=user 0xAF 1 IN IP4 10.0.0.1\r\ns=-\r\n" CONNECTION "t=0 0\r\n",
        "v=0\r\ns=-\r\n" CONNECTION "t=0 0\r\n", /* no origin */
        ORIGIN "s=-\r\n" CONNECTION "t=0\r\n",   /* one time */
        ORIGIN "s=-\r\n" CONNECTION "t=18446744073709551615 99999999999\r\n",
        ORIGIN "s=-\r\n" CONNECTION "b=AS\r\nt=0 0\r\n",
        ORIGIN "s=-\r\n" CONNECTION "b=TIAS:many\r\nt=0 0\r\n",
        ORIGIN "s=-\r\n" CONNECTION "t=0 0\r\na=\r\na= ptime:20\r\na\r\nX-vendor: 1\r\n",
        ORIGIN "s=-\r\n" CONNECTION "t=0 0\r\n\r\n", /* an empty line */
    };
    unsigned i;

    for (i = 0; i < PJ_ARRAY_SIZE(heads); ++i) {
        char text[400];
        pjmedia_sdp_session *sdp;

        snprintf(text, sizeof(text), "%s%s", heads[i], AUDIO "a=sendonly\r\n \r\n");
        sdp = accepted(pool, text);
        EXPECT(sdp->media_count == 1);
        EXPECT(sdp->media[0]->desc.port == 4000);
        EXPECT(sdp->conn && pj_strcmp2(&sdp->conn->addr, "10.0.0.1") == 0);
        EXPECT(pjmedia_sdp_media_find_attr2(sdp->media[0], "sendonly", NULL));
        EXPECT(pjmedia_sdp_print(sdp, text, sizeof(text)) > 0);
    }
}

static void formats(pj_pool_t *pool)
{
    const pjmedia_sdp_session *sdp;

    sdp = accepted(pool, ORIGIN "s=-\r\n" CONNECTION "t=0 0\r\n"
                   "m=audio 4000 RTP/AVP 111 0 128 102 101\r\na=rtpmap:102 what\r\na=rtpmap:101 telephone-event/8000\r\n"
                   "m=video 4002 RTP/AVP 111\r\n"
                   "m=application 4004 UDP/BFCP *\r\n");
    EXPECT(sdp->media[0]->desc.fmt_count == 2);
    EXPECT(pj_strcmp2(&sdp->media[0]->desc.fmt[0], "0") == 0);
    EXPECT(pj_strcmp2(&sdp->media[0]->desc.fmt[1], "101") == 0);
    EXPECT(sdp->media[1]->desc.port == 0); /* refused alone, not with the whole offer */
    EXPECT(sdp->media[1]->desc.fmt_count == 1); /* and the line that refuses it has a format */
    EXPECT(pj_strcmp2(&sdp->media[1]->desc.fmt[0], "111") == 0);
    EXPECT(sdp->media[2]->desc.port == 4004);
}

static void still_refused(pj_pool_t *pool)
{
    refused(pool, "hello world\r\n");
    refused(pool, "");
    refused(pool, "v=1\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\n" CONNECTION "t=0 0\r\n" AUDIO);
    refused(pool, ORIGIN "s=-\r\n" CONNECTION "t=0 0\r\nm=audio many RTP/AVP 0\r\n");
    refused(pool, ORIGIN "s=-\r\nc=IN IP4 10.0.0.1/x\r\nt=0 0\r\n" AUDIO);
}

int main(void)
{
    pj_pool_t *pool = fault_start();

    head(pool);
    formats(pool);
    still_refused(pool);
    return 0;
}
