#include "base/hash.h"

#include <stdio.h>
#include <string.h>
#define XXH_STATIC_LINKING_ONLY /* XXH3_state_t as a complete type, to keep it on the stack */
#include <xxhash.h>

cfi_hash cfi_hash_bytes(const void *bytes, size_t size)
{
    const XXH128_hash_t hash = XXH3_128bits(bytes, size);
    return (cfi_hash){hash.low64, hash.high64};
}

bool cfi_hash_parts(const cfi_file_part *parts, size_t part_count, cfi_hash *hash_out)
{
    XXH3_state_t *state = XXH3_createState();
    if (state == NULL) {
        return false;
    }
    XXH3_128bits_reset(state);
    for (size_t i = 0; i < part_count; i++) {
        XXH3_128bits_update(state, parts[i].bytes, parts[i].size);
    }
    const XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    *hash_out = (cfi_hash){hash.low64, hash.high64};
    return true;
}

_Static_assert(sizeof(XXH3_state_t) <= sizeof(cfi_hash_stream), "the stream holds the library's state");

static XXH3_state_t *state_of(cfi_hash_stream *stream)
{
    return (XXH3_state_t *)(void *)stream->state;
}

void cfi_hash_begin(cfi_hash_stream *stream)
{
    XXH3_INITSTATE(state_of(stream));
    (void)XXH3_128bits_reset(state_of(stream));
}

void cfi_hash_add(cfi_hash_stream *stream, const void *bytes, size_t size)
{
    (void)XXH3_128bits_update(state_of(stream), bytes, size);
}

cfi_hash cfi_hash_end(cfi_hash_stream *stream)
{
    const XXH128_hash_t hash = XXH3_128bits_digest(state_of(stream));
    return (cfi_hash){hash.low64, hash.high64};
}

static void put_little_endian(unsigned char *target, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        target[i] = (unsigned char)(value >> (8 * i));
    }
}

cfi_hash cfi_hash_join(cfi_hash left, cfi_hash right)
{
    unsigned char bytes[32];
    put_little_endian(bytes, left.low);
    put_little_endian(bytes + 8, left.high);
    put_little_endian(bytes + 16, right.low);
    put_little_endian(bytes + 24, right.high);
    return cfi_hash_bytes(bytes, sizeof bytes);
}

void cfi_hash_text(cfi_hash hash, char *text)
{
    snprintf(text, CFI_HASH_TEXT_SIZE, "%016llx%016llx", (unsigned long long)hash.high,
             (unsigned long long)hash.low);
}

/* Sixteen lower-case hexadecimal digits; false at any other byte. */
static bool parse_word(const char *text, uint64_t *word_out)
{
    uint64_t word = 0;
    for (int i = 0; i < 16; i++) {
        const char digit = text[i];
        if (digit >= '0' && digit <= '9') {
            word = word << 4 | (uint64_t)(digit - '0');
        } else if (digit >= 'a' && digit <= 'f') {
            word = word << 4 | (uint64_t)(digit - 'a' + 10);
        } else {
            return false;
        }
    }
    *word_out = word;
    return true;
}

bool cfi_hash_parse(const char *text, cfi_hash *hash_out)
{
    cfi_hash hash;
    if (strlen(text) != CFI_HASH_TEXT_SIZE - 1 || !parse_word(text, &hash.high) || !parse_word(text + 16, &hash.low)) {
        return false;
    }
    *hash_out = hash;
    return true;
}
