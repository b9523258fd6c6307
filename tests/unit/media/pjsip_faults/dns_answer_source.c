/* An answer to a query of ours that somebody else than the name server sends, before the name server does. */
#include "fault.h"

#include "resolver.c"

static pj_status_t answered = PJ_EPENDING;
static pj_in_addr found;

static void on_answer(void *token, pj_status_t status, pj_dns_parsed_packet *packet)
{
    pj_dns_addr_record record;

    answered = status;
    if (status == PJ_SUCCESS && pj_dns_parse_addr_response(packet, &record) == PJ_SUCCESS)
        found = record.addr[0].ip.v4;
}

static pj_sock_t bound(pj_sockaddr *address)
{
    pj_str_t loopback = pj_str("127.0.0.1");
    int length = sizeof(*address);
    pj_sock_t sock;

    pj_sockaddr_init(pj_AF_INET(), address, &loopback, 0);
    EXPECT(pj_sock_socket(pj_AF_INET(), pj_SOCK_DGRAM(), 0, &sock) == PJ_SUCCESS);
    EXPECT(pj_sock_bind(sock, address, sizeof(pj_sockaddr_in)) == PJ_SUCCESS);
    EXPECT(pj_sock_getsockname(sock, address, &length) == PJ_SUCCESS);
    return sock;
}

/* The query becomes its own answer: one address. */
static void answer(pj_sock_t from, const pj_uint8_t *query, pj_ssize_t length, pj_uint8_t last,
                   const pj_sockaddr *to)
{
    pj_uint8_t record[] = {0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 0};
    pj_uint8_t packet[512];
    pj_ssize_t size = length + sizeof(record);

    record[sizeof(record) - 1] = last;
    memcpy(packet, query, length);
    packet[2] = 0x81;
    packet[3] = 0x80;
    packet[7] = 1;
    memcpy(packet + length, record, sizeof(record));
    EXPECT(pj_sock_sendto(from, packet, &size, 0, to, sizeof(pj_sockaddr_in)) == PJ_SUCCESS);
}

int main(void)
{
    pj_pool_t *pool = fault_start();
    pj_sockaddr server_address, stranger_address, asker;
    pj_sock_t server = bound(&server_address), stranger = bound(&stranger_address);
    pj_dns_resolver *resolver;
    pj_str_t loopback = pj_str("127.0.0.1"), name = pj_str("carrier.test");
    pj_uint16_t port = pj_sockaddr_get_port(&server_address);
    pj_uint8_t query[512];
    pj_ssize_t length = sizeof(query);
    int asker_length = sizeof(asker);
    pj_time_val wait = {0, 100};
    unsigned tries;

    EXPECT(pj_dns_resolver_create(&fault_pools.factory, NULL, 0, NULL, NULL, &resolver) == PJ_SUCCESS);
    EXPECT(pj_dns_resolver_set_ns(resolver, 1, &loopback, &port) == PJ_SUCCESS);
    EXPECT(pj_dns_resolver_start_query(resolver, &name, PJ_DNS_TYPE_A, 0, &on_answer, NULL, NULL) == PJ_SUCCESS);
    EXPECT(pj_sock_recvfrom(server, query, &length, 0, &asker, &asker_length) == PJ_SUCCESS);

    answer(stranger, query, length, 66, &asker);
    answer(server, query, length, 1, &asker);
    for (tries = 0; answered == PJ_EPENDING && tries < 50; ++tries)
        pj_dns_resolver_handle_events(resolver, &wait);
    EXPECT(answered == PJ_SUCCESS);
    EXPECT((pj_ntohl(found.s_addr) & 0xFF) == 1);
    return 0;
}
