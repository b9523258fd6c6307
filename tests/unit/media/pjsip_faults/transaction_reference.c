/* A request that cannot be sent, while another thread destroys transactions that have ended. */
#include "fault.h"
#include <pjsip.h>

/* Time for the other thread between the failure and what is done about it. */
static pj_status_t slow_send(pjsip_transaction *transaction, pjsip_tx_data *data)
{
    pj_status_t status = pjsip_tsx_send_msg(transaction, data);

    pj_thread_sleep(200);
    return status;
}

#define pjsip_tsx_send_msg slow_send
#include "sip_util_statefull.c"
#undef pjsip_tsx_send_msg

static volatile pj_bool_t done;

static int poll_endpoint(void *endpoint)
{
    pj_time_val timeout = {0, 10};

    while (!done)
        pjsip_endpt_handle_events(endpoint, &timeout);
    return 0;
}

int main(void)
{
    pj_pool_t *pool = fault_start();
    pj_str_t peer = pj_str("sip:127.0.0.1;transport=tcp"), us = pj_str("sip:us@127.0.0.1");
    pjsip_endpoint *endpoint;
    pjsip_tx_data *request;
    pj_thread_t *thread;

    EXPECT(pjsip_endpt_create(&fault_pools.factory, "fault", &endpoint) == PJ_SUCCESS);
    EXPECT(pjsip_tsx_layer_init_module(endpoint) == PJ_SUCCESS);
    EXPECT(pj_thread_create(pool, "poll", &poll_endpoint, endpoint, 0, 0, &thread) == PJ_SUCCESS);

    EXPECT(pjsip_endpt_create_request(endpoint, &pjsip_options_method, &peer, &us, &peer, NULL, NULL, -1, NULL,
                                      &request) == PJ_SUCCESS);
    EXPECT(pjsip_endpt_send_request(endpoint, request, -1, NULL, NULL) != PJ_SUCCESS);

    done = PJ_TRUE;
    pj_thread_join(thread);
    return 0;
}
