#include "CVerify.h"

#ifdef HEADWAY_LIBCRYPTO

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static int verify(
    EVP_PKEY *key, const char *digest, int pss, const unsigned char *signature, size_t signature_size,
    const unsigned char *message, size_t message_size) {
  if (key == NULL) return 0;
  const EVP_MD *method = digest == NULL ? NULL : EVP_get_digestbyname(digest);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  EVP_PKEY_CTX *options = NULL;
  int good = context != NULL && (digest == NULL || method != NULL)
      && EVP_DigestVerifyInit(context, &options, method, NULL, key) == 1;
  if (good && pss) {
    good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1
        && EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_AUTO) == 1;
  }
  if (good) good = EVP_DigestVerify(context, signature, signature_size, message, message_size) == 1;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  return good;
}

int headway_verify_ed25519(
    const unsigned char *key, size_t key_size, const unsigned char *signature, size_t signature_size,
    const unsigned char *message, size_t message_size) {
  EVP_PKEY *read = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, key_size);
  return verify(read, NULL, 0, signature, signature_size, message, message_size);
}

int headway_verify_pem(
    const char *pem, size_t pem_size, const char *digest, int pss, const unsigned char *signature,
    size_t signature_size, const unsigned char *message, size_t message_size) {
  BIO *source = BIO_new_mem_buf(pem, (int)pem_size);
  EVP_PKEY *read = source == NULL ? NULL : PEM_read_bio_PUBKEY(source, NULL, NULL, NULL);
  BIO_free(source);
  return verify(read, digest, pss, signature, signature_size, message, message_size);
}

#else

int headway_verify_ed25519(
    const unsigned char *key, size_t key_size, const unsigned char *signature, size_t signature_size,
    const unsigned char *message, size_t message_size) {
  (void)key, (void)key_size, (void)signature, (void)signature_size, (void)message, (void)message_size;
  return -1;
}

int headway_verify_pem(
    const char *pem, size_t pem_size, const char *digest, int pss, const unsigned char *signature,
    size_t signature_size, const unsigned char *message, size_t message_size) {
  (void)pem, (void)pem_size, (void)digest, (void)pss, (void)signature, (void)signature_size, (void)message;
  (void)message_size;
  return -1;
}

#endif
