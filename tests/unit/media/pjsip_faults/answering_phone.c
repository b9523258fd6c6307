/* A phone that answers every call. Prints the port that it listens on; lives until it is killed, or dies of a fault. */
#include <pjsua-lib/pjsua.h>
#include <stdio.h>

static void answer(pjsua_acc_id account, pjsua_call_id call, pjsip_rx_data *request)
{
    pjsua_call_answer(call, 200, NULL, NULL);
}

/* pjsua2 always listens here, and PJSUA sets up its media anew for whoever does. */
static void offer(pjsua_call_id call, void *reserved, pjsua_call_setting *setting)
{
}

int main(void)
{
    pjsua_config config;
    pjsua_logging_config logging;
    pjsua_media_config media;
    pjsua_transport_config transport;
    pjsua_transport_id id;
    pjsua_transport_info info;

    pj_log_set_level(0);
    if (pjsua_create() != PJ_SUCCESS)
        return 2;
    pjsua_config_default(&config);
    pjsua_logging_config_default(&logging);
    pjsua_media_config_default(&media);
    pjsua_transport_config_default(&transport);
    config.thread_cnt = 0;
    config.max_calls = 4;
    config.cb.on_incoming_call = &answer;
    config.cb.on_call_tx_offer = &offer;
#ifdef ON_CALL_STATE
    config.cb.on_call_state = &ON_CALL_STATE;
#endif
    logging.level = logging.console_level = 0;
    media.thread_cnt = 0;
    transport.bound_addr = pj_str("127.0.0.1");
    if (pjsua_init(&config, &logging, &media) != PJ_SUCCESS ||
        pjsua_transport_create(PJSIP_TRANSPORT_UDP, &transport, &id) != PJ_SUCCESS ||
        pjsua_acc_add_local(id, PJ_TRUE, NULL) != PJ_SUCCESS ||
        pjsua_transport_get_info(id, &info) != PJ_SUCCESS ||
        pjsua_set_null_snd_dev() != PJ_SUCCESS ||
        pjsua_start() != PJ_SUCCESS)
    {
        return 2;
    }
    printf("%d\n", info.local_name.port);
    fflush(stdout);
    for (;;)
        pjsua_handle_events(20);
}
