/* A phone that refreshes a call's session as soon as it has begun, not when half of the interval is over. */
#include "sip_timer.c"
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

static void refresh(pjsua_call_id id, pjsip_event *event)
{
    static pj_bool_t begun;
    pjsip_inv_session *inv = pjsua_var.calls[id].inv;

    if (inv->state != PJSIP_INV_STATE_CONFIRMED || begun)
        return;
    begun = PJ_TRUE;
    pjsip_endpt_cancel_timer(inv->dlg->endpt, &inv->timer->timer);
    inv->timer->timer.id = 0;
    timer_cb(NULL, &inv->timer->timer);
}

#define ON_CALL_STATE refresh
#include "answering_phone.c"
