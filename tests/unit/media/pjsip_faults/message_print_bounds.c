/* Messages and headers that fill their buffer to the last byte, and a multipart body without parts. */
#include "fault.h"
#include <pjsip.h>

enum { ROOM = 1000, CANARY = 0x5a };

static char buffer[100 * ROOM];

static void expect_untouched(size_t size)
{
    size_t i;

    for (i = size; i < sizeof(buffer); ++i)
        EXPECT(buffer[i] == CANARY);
}

static pj_ssize_t print_body(pj_pool_t *pool, pjsip_msg_body *body, size_t size)
{
    pjsip_msg *message = pjsip_msg_create(pool, PJSIP_RESPONSE_MSG);

    message->line.status.code = 200;
    message->line.status.reason = pj_str("OK");
    message->body = body;
    memset(buffer, CANARY, sizeof(buffer));
    return pjsip_msg_print(message, buffer, size);
}

static pjsip_msg_body *text_body(pj_pool_t *pool, unsigned length)
{
    pj_str_t type = pj_str("text"), subtype = pj_str("plain"), text;

    text.ptr = pj_pool_zalloc(pool, length);
    text.slen = length;
    return pjsip_msg_body_create(pool, &type, &subtype, &text);
}

int main(void)
{
    pj_pool_t *pool = fault_start();
    pjsip_endpoint *endpoint;
    pjsip_allow_hdr *allow;
    size_t size;
    pj_ssize_t without_body;

    EXPECT(pjsip_endpt_create(&fault_pools.factory, "fault", &endpoint) == PJ_SUCCESS);

    allow = pjsip_allow_hdr_create(pool);
    allow->count = 1;
    allow->values[0] = pj_str("INVITE");
    for (size = 0; size <= strlen("Allow: INVITE"); ++size) {
        memset(buffer, CANARY, sizeof(buffer));
        EXPECT(pjsip_hdr_print_on(allow, buffer, size) < 0);
        expect_untouched(size);
    }
    EXPECT(pjsip_hdr_print_on(allow, buffer, size) == (int)strlen("Allow: INVITE"));

    without_body = print_body(pool, text_body(pool, 0), ROOM);
    EXPECT(without_body > 0);
    EXPECT(print_body(pool, text_body(pool, ROOM - without_body - 1), ROOM) == ROOM - 1);
    expect_untouched(ROOM);
    EXPECT(print_body(pool, text_body(pool, ROOM - without_body), ROOM) < 0);
    expect_untouched(ROOM);

    EXPECT(print_body(pool, pjsip_multipart_create(pool, NULL, NULL), ROOM) < 0);
    expect_untouched(ROOM);
    return 0;
}
