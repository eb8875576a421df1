// Signature verification by libcrypto, for systems without CryptoKit. Verifies only: no private key ever passes here.
// Each function answers 1 for a good signature, 0 for a bad one or a broken key, -1 where libcrypto is not built in.
#ifndef HEADWAY_CVERIFY_H
#define HEADWAY_CVERIFY_H

#include <stddef.h>

// Ed25519 (RFC 8032); `key` is the 32 raw bytes.
int headway_verify_ed25519(
    const unsigned char *key, size_t key_size, const unsigned char *signature, size_t signature_size,
    const unsigned char *message, size_t message_size);

// ECDSA or RSA over `digest` ("SHA256", "SHA384", "SHA512"); `pem` is a SubjectPublicKeyInfo; `pss` is 1 for RSA-PSS.
int headway_verify_pem(
    const char *pem, size_t pem_size, const char *digest, int pss, const unsigned char *signature,
    size_t signature_size, const unsigned char *message, size_t message_size);

#endif
