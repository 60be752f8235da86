/*
 * What TLS has signed by the holder of a certificate, recognised by its shape,
 * so that whoever may ask for signatures can have them for handshakes and for
 * nothing else. Pure; its input may come from a process that was taken over.
 */
#ifndef AUTH_TLS_SHAPE_H
#define AUTH_TLS_SHAPE_H

#include <stddef.h>
#include <stdint.h>

enum tls_shape {
	TLS_SHAPE_NONE, /* nothing that a handshake has signed */
	TLS_SHAPE_13_SERVER, /* RFC 8446, 4.4.3 */
	TLS_SHAPE_13_CLIENT,
	TLS_SHAPE_12_SERVER, /* ServerKeyExchange: RFC 5246, 7.4.3; RFC 8422 */
	TLS_SHAPE_12_CLIENT /* CertificateVerify: RFC 5246, 7.4.8 */
};

enum tls_shape tls_shape(const uint8_t *, size_t);

#endif
