#include "store/manifest.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"

#define FORMAT "cuttlefish-checkpoint"
#define VERSION 1

/* The last member holds the hash of every byte before its comma: it is found by its fixed length from the end. */
#define CHECKSUM_BEFORE ",\n  \"checksum\": \""
#define CHECKSUM_AFTER "\"\n}\n"
enum {
    TAIL_SIZE = sizeof CHECKSUM_BEFORE - 1 + CFI_HASH_TEXT_SIZE - 1 + sizeof CHECKSUM_AFTER - 1
};

/* ---- Encoding ---- */

/* JSON has no infinity; null stands for it. */
static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *encode_hash(cfi_hash hash)
{
    char text[CFI_HASH_TEXT_SIZE];
    cfi_hash_text(hash, text);
    return json_string(text);
}

static json_t *encode_file(const cfi_manifest_file *file)
{
    return json_pack("{s:I, s:o}", "size", (json_int_t)file->size, "xxh3_128", encode_hash(file->hash));
}

/* NULL when memory is short. */
static json_t *encode_files(const cfi_manifest *manifest)
{
    json_t *files = json_object();
    if (json_object_set_new(files, "weights.safetensors", encode_file(&manifest->weights)) != 0 ||
        (manifest->state.present &&
         json_object_set_new(files, "state.safetensors", encode_file(&manifest->state)) != 0)) {
        json_decref(files);
        return NULL;
    }
    return files;
}

static json_t *encode_members(const cfi_manifest *manifest)
{
    const cfi_progress *progress = &manifest->progress;
    return json_pack("{s:s, s:i, s:I, s:I, s:o, s:o, s:I, s:I, s:o, s:I, s:b, s:o, s:s, s:o}",
                     "format", FORMAT, "version", VERSION,
                     "step", (json_int_t)progress->step, "samples", (json_int_t)progress->samples,
                     "chain", encode_hash(progress->chain),
                     "epoch_loss_sum", real_or_null(progress->epoch_loss_sum),
                     "epoch_correct", (json_int_t)progress->epoch_correct,
                     "epoch_samples", (json_int_t)progress->epoch_samples,
                     "best_validation_loss", real_or_null(progress->best_validation_loss),
                     "epochs_without_gain", (json_int_t)progress->epochs_without_gain,
                     "stopped_early", (int)progress->stopped_early, "seconds", real_or_null(progress->seconds),
                     "config_digest", progress->config_digest, "files", encode_files(manifest));
}

/* Receives json_dump_callback's pieces; 0 to go on. */
static int add_piece(const char *bytes, size_t size, void *text)
{
    cfi_text_add_bytes(text, bytes, size);
    return ((const cfi_text *)text)->status == CF_OK ? 0 : -1;
}

cf_status cfi_manifest_encode(const cfi_manifest *manifest, char **text_out, cf_error *error)
{
    cfi_text text = {0};
    char checksum[CFI_HASH_TEXT_SIZE];
    json_t *root = encode_members(manifest);
    const int dumped = root == NULL ? -1 : json_dump_callback(root, add_piece, &text, JSON_INDENT(2));
    json_decref(root);
    if (dumped != 0) {
        cfi_text_fini(&text);
        return cfi_fail_memory(error, "the manifest");
    }
    text.length -= 2; /* the closing "\n}" comes again after the checksum */
    cfi_hash_text(cfi_hash_bytes(text.data, text.length), checksum);
    cfi_text_add(&text, CHECKSUM_BEFORE "%s" CHECKSUM_AFTER, checksum);
    char *taken = cfi_text_take(&text);
    if (taken == NULL) {
        return cfi_fail_memory(error, "the manifest");
    }
    *text_out = taken;
    return CF_OK;
}

/* ---- Decoding ---- */

static bool decode_hash(const json_t *value, cfi_hash *hash_out)
{
    const char *text = json_string_value(value);
    return text != NULL && cfi_hash_parse(text, hash_out);
}

static bool decode_integer(const json_t *root, const char *key, int64_t *value_out)
{
    const json_t *value = json_object_get(root, key);
    *value_out = (int64_t)json_integer_value(value);
    return json_is_integer(value) && *value_out >= 0;
}

static bool decode_real(const json_t *root, const char *key, double *value_out)
{
    const json_t *value = json_object_get(root, key);
    *value_out = json_is_null(value) ? INFINITY : json_number_value(value);
    return json_is_null(value) || json_is_number(value);
}

/* A missing file is fine here: `present` says so. */
static bool decode_file(const json_t *files, const char *name, cfi_manifest_file *file_out)
{
    const json_t *file = json_object_get(files, name);
    file_out->present = file != NULL;
    return file == NULL || (decode_integer(file, "size", &file_out->size) &&
                            decode_hash(json_object_get(file, "xxh3_128"), &file_out->hash));
}

static bool decode_progress(const json_t *root, cfi_progress *progress)
{
    const json_t *stopped = json_object_get(root, "stopped_early");
    const char *digest = json_string_value(json_object_get(root, "config_digest"));
    progress->stopped_early = json_is_true(stopped);
    return decode_integer(root, "step", &progress->step) && decode_integer(root, "samples", &progress->samples) &&
           decode_hash(json_object_get(root, "chain"), &progress->chain) &&
           decode_real(root, "epoch_loss_sum", &progress->epoch_loss_sum) &&
           decode_integer(root, "epoch_correct", &progress->epoch_correct) &&
           decode_integer(root, "epoch_samples", &progress->epoch_samples) &&
           decode_real(root, "best_validation_loss", &progress->best_validation_loss) &&
           decode_integer(root, "epochs_without_gain", &progress->epochs_without_gain) &&
           json_is_boolean(stopped) && decode_real(root, "seconds", &progress->seconds) && digest != NULL &&
           cfi_copy_name(progress->config_digest, sizeof progress->config_digest, digest);
}

static bool is_ours(const json_t *root)
{
    const char *format = json_string_value(json_object_get(root, "format"));
    return format != NULL && strcmp(format, FORMAT) == 0 &&
           json_integer_value(json_object_get(root, "version")) == VERSION;
}

/* The tail is as encode made it and its hash is that of what lies before it. */
static bool is_untouched(const char *text, size_t size)
{
    if (size < TAIL_SIZE) {
        return false;
    }
    const size_t length = size - TAIL_SIZE;
    char tail[TAIL_SIZE + 1], checksum[CFI_HASH_TEXT_SIZE];
    cfi_hash_text(cfi_hash_bytes(text, length), checksum);
    snprintf(tail, sizeof tail, CHECKSUM_BEFORE "%s" CHECKSUM_AFTER, checksum);
    return memcmp(text + length, tail, TAIL_SIZE) == 0;
}

cf_status cfi_manifest_decode(const char *text, size_t size, cfi_manifest *manifest_out, cf_error *error)
{
    if (!is_untouched(text, size)) {
        return cfi_fail(error, CF_E_DATA, "torn or damaged (its own checksum does not fit)");
    }
    json_error_t json_error;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &json_error);
    if (root == NULL) {
        return json_error_code(&json_error) == json_error_out_of_memory
                   ? cfi_fail_memory(error, "the manifest")
                   : cfi_fail(error, CF_E_DATA, "not JSON: %s", json_error.text);
    }
    cf_status status = CF_OK;
    cfi_manifest manifest;
    memset(&manifest, 0, sizeof manifest);
    const json_t *files = json_object_get(root, "files");
    if (!is_ours(root)) {
        status = cfi_fail(error, CF_E_DATA, "not a %s manifest of version %d", FORMAT, VERSION);
    } else if (!decode_progress(root, &manifest.progress) ||
               !decode_file(files, "weights.safetensors", &manifest.weights) || !manifest.weights.present ||
               !decode_file(files, "state.safetensors", &manifest.state)) {
        status = cfi_fail(error, CF_E_DATA, "a key is missing or of the wrong type");
    } else {
        *manifest_out = manifest;
    }
    json_decref(root);
    return status;
}
