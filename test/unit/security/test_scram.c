/*
 * SCRAM-SHA-256: the exchange of RFC 7677, verifiers made and read back, and texts that are none.
 */
#include "security/scram.h"

#include "test.h"

#define NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define MESSAGE "n=user,r=rOprNGfwEbeRWgbNEkqO,r=" NONCE ",s=" SALT ",i=4096,c=biws,r=" NONCE
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
/* Of the password "pencil". */
#define RFC_VERIFIER                                                            \
    "SCRAM-SHA-256$4096:" SALT "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

typedef struct setup {
    kd_ctx ctx;
    kd_arena *arena;
} setup;

static setup begin(void)
{
    setup it = {.ctx = {.world = kd_world_posix()}};
    kd_error_clear(&it.ctx);
    it.arena = kd_arena_create(&it.ctx, NULL, "test", KD_ARENA_UNLIMITED);
    CHECK(it.arena != NULL);
    return it;
}

static bool parse(setup *it, kd_slice text, kd_scram_verifier *out)
{
    bool is_verifier;
    CHECK_STATUS(&it->ctx, kd_scram_verifier_parse(&it->ctx, it->arena, text, &is_verifier, out));
    return is_verifier;
}

static kd_scram_verifier parsed(setup *it, kd_slice text)
{
    kd_scram_verifier verifier;
    CHECK(parse(it, text, &verifier));
    return verifier;
}

static bool is_base64(setup *it, const char *text, kd_slice *out_bytes)
{
    bool is_right;
    CHECK_STATUS(&it->ctx,
                 kd_base64_decode(&it->ctx, it->arena, kd_slice_of(text), &is_right, out_bytes));
    return is_right;
}

static bool proof_is_right(setup *it, const kd_scram_verifier *verifier, const char *message,
                           const char *proof)
{
    kd_slice bytes;
    bool is_right;
    CHECK(is_base64(it, proof, &bytes));
    CHECK_EQ(bytes.size_bytes, KD_SCRAM_KEY_BYTES);
    CHECK_STATUS(&it->ctx, kd_scram_check_proof(&it->ctx, verifier, kd_slice_of(message),
                                                (const uint8_t *)bytes.data, &is_right));
    return is_right;
}

TEST(the_exchange_of_rfc_7677_is_accepted)
{
    setup it = begin();
    kd_scram_verifier verifier = parsed(&it, KD_SLICE(RFC_VERIFIER));
    CHECK_EQ(verifier.iterations, 4096);
    CHECK(proof_is_right(&it, &verifier, MESSAGE, PROOF));
    uint8_t signature[KD_SCRAM_KEY_BYTES];
    kd_slice text;
    CHECK_STATUS(&it.ctx,
                 kd_scram_hmac(&it.ctx, verifier.server_key, KD_SLICE(MESSAGE), signature));
    CHECK_STATUS(&it.ctx,
                 kd_base64_encode(&it.ctx, it.arena,
                                  (kd_slice){(const char *)signature, sizeof signature}, &text));
    CHECK_SLICE(text, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    kd_arena_destroy(it.arena);
}

TEST(a_proof_of_another_exchange_or_password_is_refused)
{
    setup it = begin();
    kd_scram_verifier verifier = parsed(&it, KD_SLICE(RFC_VERIFIER));
    CHECK(!proof_is_right(&it, &verifier, MESSAGE "x", PROOF));
    CHECK(!proof_is_right(&it, &verifier, MESSAGE, "eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
    kd_slice text;
    CHECK_STATUS(&it.ctx, kd_scram_make_verifier(&it.ctx, it.arena, KD_SLICE("pencil"), &text));
    verifier = parsed(&it, text); /* The same password, another salt. */
    CHECK(!proof_is_right(&it, &verifier, MESSAGE, PROOF));
    kd_arena_destroy(it.arena);
}

TEST(a_verifier_is_made_with_a_new_salt_each_time)
{
    setup it = begin();
    kd_slice a, b;
    CHECK_STATUS(&it.ctx, kd_scram_make_verifier(&it.ctx, it.arena, KD_SLICE("secret"), &a));
    CHECK_STATUS(&it.ctx, kd_scram_make_verifier(&it.ctx, it.arena, KD_SLICE("secret"), &b));
    CHECK(!kd_slice_equal(a, b));
    CHECK_EQ(parsed(&it, a).salt.size_bytes, KD_SCRAM_SALT_BYTES);
    CHECK_FAILS(&it.ctx, kd_scram_make_verifier(&it.ctx, it.arena, KD_SLICE(""), &a), "22023");
    kd_arena_destroy(it.arena);
}

TEST(what_is_no_verifier_is_told_so)
{
    static const char *const texts[] = {
        "",
        "secret",
        "SCRAM-SHA-256$",
        "SCRAM-SHA-256$4096:" SALT,
        "SCRAM-SHA-256$0:" SALT "$AAAA:AAAA",
        "SCRAM-SHA-256$4096:" SALT "$AAAA:AAAA",
        "SCRAM-SHA-1$4096:" SALT "$AAAA:AAAA",
        "SCRAM-SHA-256$99999999999:" SALT "$AAAA:AAAA",
        "md5d41d8cd98f00b204e9800998ecf8427e",
    };
    setup it = begin();
    kd_scram_verifier verifier;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        test_note("text %zu", i);
        CHECK(!parse(&it, kd_slice_of(texts[i]), &verifier));
    }
    for (size_t size = 0; size < sizeof RFC_VERIFIER - 1; size++)
        CHECK(!parse(&it, (kd_slice){RFC_VERIFIER, size}, &verifier));
    kd_arena_destroy(it.arena);
}

TEST(only_canonical_base64_is_read)
{
    static const char *const wrong[] = {
        "A", "AA", "AAA", "A===", "AB==", "AAB=", "AA A", "A\nAA", "=AAA", "AA=A", "AAAA\n"};
    setup it = begin();
    kd_slice bytes;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        test_note("%s", wrong[i]);
        CHECK(!is_base64(&it, wrong[i], &bytes));
    }
    CHECK(is_base64(&it, "Zm9vYg==", &bytes));
    CHECK_SLICE(bytes, "foob");
    kd_arena_destroy(it.arena);
}
