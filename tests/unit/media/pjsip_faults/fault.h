/* What every fault's program needs: pjlib started, a pool whose blocks go back to malloc(), SDP from text. */
#ifndef FAULT_H
#define FAULT_H

#include <pjlib-util.h>
#include <pjlib.h>
#include <pjmedia.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A blank line of a failed program says which expectation did not hold; the exit status says that one did not. */
#define EXPECT(condition)                                                     \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                          \
        }                                                                     \
    } while (0)

static pj_caching_pool fault_pools;

static inline pj_pool_t *fault_start(void)
{
    pj_log_set_level(0);
    EXPECT(pj_init() == PJ_SUCCESS);
    EXPECT(pjlib_util_init() == PJ_SUCCESS);
    pj_caching_pool_init(&fault_pools, NULL, 0);
    return pj_pool_create(&fault_pools.factory, "fault", 4000, 4000, NULL);
}

/* The session that `media` completes. */
static inline pjmedia_sdp_session *fault_sdp(pj_pool_t *pool, const char *media)
{
    static const char head[] = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n";
    pjmedia_sdp_session *sdp;
    size_t size = sizeof(head) + strlen(media);
    char *text = pj_pool_alloc(pool, size);

    snprintf(text, size, "%s%s", head, media);
    EXPECT(pjmedia_sdp_parse(pool, text, size - 1, &sdp) == PJ_SUCCESS);
    return sdp;
}

#endif
