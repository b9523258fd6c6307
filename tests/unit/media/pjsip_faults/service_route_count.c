/* A registrar's answer with two Service-Route headers that each hold as many routes as an account takes. */
#include "fault.h"

#include "pjsua_acc.c"

int main(void)
{
    pj_pool_t *pool = fault_start();
    pjsip_endpoint *endpoint;
    pjsua_acc *account = PJ_POOL_ZALLOC_T(pool, pjsua_acc);
    pjsip_rx_data answer = {{0}};
    pj_str_t name = pj_str("Service-Route");
    char routes[PJSUA_ACC_MAX_PROXIES * 32] = "";
    unsigned i;

    EXPECT(pjsip_endpt_create(&fault_pools.factory, "fault", &endpoint) == PJ_SUCCESS);
    for (i = 0; i < PJSUA_ACC_MAX_PROXIES; ++i)
        strcat(routes, i ? ",<sip:proxy.invalid;lr>" : "<sip:proxy.invalid;lr>");
    account->pool = pool;
    pj_list_init(&account->route_set);
    answer.tp_info.pool = pool;
    answer.msg_info.msg = pjsip_msg_create(pool, PJSIP_RESPONSE_MSG);
    for (i = 0; i < 2; ++i) {
        pj_str_t value = pj_str(routes);
        pjsip_generic_string_hdr *header = pjsip_generic_string_hdr_create(pool, &name, NULL);

        pj_strdup_with_null(pool, &header->hvalue, &value);
        pjsip_msg_add_hdr(answer.msg_info.msg, (pjsip_hdr *)header);
    }

    update_service_route(account, &answer);
    EXPECT(pj_list_empty(&account->route_set));

    pjsip_msg_find_remove_hdr(answer.msg_info.msg, PJSIP_H_OTHER, NULL);
    update_service_route(account, &answer);
    EXPECT(pj_list_size(&account->route_set) == PJSUA_ACC_MAX_PROXIES);
    return 0;
}
