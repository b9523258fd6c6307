/* A registrar's answer with a Contact that is no address. */
#include "fault.h"

#include "sip_reg.c"

int main(void)
{
    pj_pool_t *pool = fault_start();
    pjsip_endpoint *endpoint;
    pjsip_regc *registration = PJ_POOL_ZALLOC_T(pool, pjsip_regc);
    pjsip_rx_data answer = {{0}};
    pjsip_contact_hdr *contacts[PJSIP_REGC_MAX_CONTACT];
    pjsip_contact_hdr *star;
    pj_str_t ours = pj_str("<sip:gateway@192.0.2.1>");
    unsigned count;

    EXPECT(pjsip_endpt_create(&fault_pools.factory, "fault", &endpoint) == PJ_SUCCESS);
    registration->pool = pool;
    registration->current_op = REGC_REGISTERING;
    pj_list_init(&registration->contact_hdr_list);
    pj_list_init(&registration->removed_contact_hdr_list);
    EXPECT(set_contact(registration, 1, &ours) == PJ_SUCCESS);
    registration->expires_hdr = pjsip_expires_hdr_create(pool, 300);
    answer.tp_info.pool = pool;
    answer.msg_info.msg = pjsip_msg_create(pool, PJSIP_RESPONSE_MSG);
    star = pjsip_contact_hdr_create(pool);
    star->star = 1;
    pjsip_msg_add_hdr(answer.msg_info.msg, (pjsip_hdr *)star);

    EXPECT(calculate_response_expiration(registration, &answer, &count, PJ_ARRAY_SIZE(contacts), contacts) == 300);
    return 0;
}
