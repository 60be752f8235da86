/*
 * Any packet: no crash, and every record that comes out is well-formed.
 */
#include <assert.h>
#include <string.h>

#include "auth/dns_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { DNS_MX, DNS_A, DNS_AAAA, DNS_PTR,
		DNS_TXT, DNS_TLSA, DNS_CNAME };
	struct ipc_buf records = { 0 };
	struct msg_dns_record r;
	struct dns_reply reply;
	struct ipc_list list;
	uint32_t n = 0;

	if (size < 1)
		return 0;
	if (dns_packet_parse(data + 1, size - 1, "example.org",
		types[data[0] % 7], &records, &reply) == 0) {
		list = ipc_buf_list(&records);
		while (ipc_next_dns_record(&list, &r)) {
			assert(strlen(r.name) < DNS_NAME_SIZE);
			assert(strpbrk(r.name, " \r\n\t\"\\") == NULL);
			n++;
		}
		assert(n == reply.count && n <= DNS_RECORDS_MAX);
	}
	ipc_buf_free(&records);
	return 0;
}
