#include "data/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#define BLOCK_SIZE 65536u
#define INFLATE_SIZE_MAX (1u << 30) /* for one call: z_stream counts in unsigned int               */
#define EXPANSION_MAX 1032          /* most that deflate can expand one byte to (zlib's own figure) */

static voidpf zlib_allocate(voidpf opaque, uInt count, uInt size)
{
    (void)opaque;
    return cfi_calloc(count, size);
}

static void zlib_free(voidpf opaque, voidpf memory)
{
    (void)opaque;
    cfi_free(memory);
}

/* Up to `size` raw bytes from file or memory; *got_out 0 at the end. */
static cf_status read_raw(cfi_reader *reader, uint8_t *target, size_t size, size_t *got_out, cf_error *error)
{
    if (reader->file < 0) {
        *got_out = size < reader->memory_left ? size : reader->memory_left;
        if (*got_out > 0) {
            memcpy(target, reader->memory, *got_out);
            reader->memory += *got_out;
            reader->memory_left -= *got_out;
        }
        return CF_OK;
    }
    ssize_t got;
    do {
        got = read(reader->file, target, size);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return cfi_fail_errno(error, CF_E_IO, errno, "%s: cannot read", reader->name);
    }
    *got_out = (size_t)got;
    return CF_OK;
}

static cf_status fill_block(cfi_reader *reader, cf_error *error)
{
    reader->block_used = 0;
    reader->block_filled = 0;
    while (reader->block_filled < BLOCK_SIZE) {
        size_t got;
        CFI_TRY(read_raw(reader, reader->block + reader->block_filled, BLOCK_SIZE - reader->block_filled, &got,
                         error));
        if (got == 0) {
            break;
        }
        reader->block_filled += got;
    }
    return CF_OK;
}

/* The common part of both opens: first block, magic, and what size to expect. */
static cf_status start(cfi_reader *reader, int64_t raw_size, cf_error *error)
{
    reader->block = cfi_calloc(BLOCK_SIZE, 1);
    if (reader->block == NULL) {
        return cfi_fail_memory(error, "reading a file");
    }
    CFI_TRY(fill_block(reader, error));
    if (reader->block_filled < 2 || reader->block[0] != 0x1f || reader->block[1] != 0x8b) {
        reader->content_max = raw_size;
        return CF_OK;
    }
    reader->content_max = raw_size < INT64_MAX / EXPANSION_MAX ? raw_size * EXPANSION_MAX : INT64_MAX;
    reader->stream.zalloc = zlib_allocate;
    reader->stream.zfree = zlib_free;
    if (inflateInit2(&reader->stream, 16 + MAX_WBITS) != Z_OK) {
        return cfi_fail_memory(error, "unpacking gzip data");
    }
    reader->gzip = true;
    return CF_OK;
}

cf_status cfi_reader_open(cfi_reader *reader, const char *path, cf_error *error)
{
    memset(reader, 0, sizeof *reader);
    reader->name = path;
    reader->file = open(path, O_RDONLY | O_CLOEXEC);
    if (reader->file < 0) {
        return cfi_fail_errno(error, errno == ENOENT ? CF_E_NOT_FOUND : CF_E_IO, errno, "%s: cannot open", path);
    }
    struct stat information;
    cf_status status;
    if (fstat(reader->file, &information) != 0 || !S_ISREG(information.st_mode)) {
        status = cfi_fail(error, CF_E_IO, "%s: not a regular file", path);
    } else {
        status = start(reader, (int64_t)information.st_size, error);
    }
    if (status != CF_OK) {
        cfi_reader_close(reader);
    }
    return status;
}

cf_status cfi_reader_open_memory(cfi_reader *reader, const char *name, const void *bytes, size_t size, cf_error *error)
{
    memset(reader, 0, sizeof *reader);
    reader->name = name;
    reader->file = -1;
    reader->memory = bytes;
    reader->memory_left = size;
    const cf_status status = start(reader, (int64_t)size, error);
    if (status != CF_OK) {
        cfi_reader_close(reader);
    }
    return status;
}

void cfi_reader_close(cfi_reader *reader)
{
    if (reader->gzip) {
        inflateEnd(&reader->stream);
    }
    cfi_free(reader->block);
    if (reader->file >= 0) {
        close(reader->file);
    }
    memset(reader, 0, sizeof *reader);
    reader->file = -1;
}

static cf_status read_plain(cfi_reader *reader, uint8_t *target, size_t size, size_t *got_out, cf_error *error)
{
    const size_t buffered = reader->block_filled - reader->block_used;
    size_t done = size < buffered ? size : buffered;
    if (done > 0) {
        memcpy(target, reader->block + reader->block_used, done);
        reader->block_used += done;
    }
    while (done < size) {
        size_t got;
        CFI_TRY(read_raw(reader, target + done, size - done, &got, error));
        if (got == 0) {
            break;
        }
        done += got;
    }
    *got_out = done;
    return CF_OK;
}

/* Makes input available; *ended_out when the file ends where a gzip member may end. */
static cf_status feed(cfi_reader *reader, bool *ended_out, cf_error *error)
{
    *ended_out = false;
    if (reader->block_used == reader->block_filled) {
        CFI_TRY(fill_block(reader, error));
        if (reader->block_filled == 0 && !reader->stream_ended) {
            return cfi_fail(error, CF_E_DATA, "%s: the gzip data is cut short", reader->name);
        }
        *ended_out = reader->block_filled == 0;
    }
    return CF_OK;
}

static cf_status read_gzip(cfi_reader *reader, uint8_t *target, size_t size, size_t *got_out, cf_error *error)
{
    z_stream *stream = &reader->stream;
    size_t done = 0;
    while (done < size) {
        bool ended;
        CFI_TRY(feed(reader, &ended, error));
        if (ended) {
            break;
        }
        if (reader->stream_ended) { /* a file of several gzip members is one content (RFC 1952, 2.2) */
            inflateReset(stream);
            reader->stream_ended = false;
        }
        const size_t wanted = size - done < INFLATE_SIZE_MAX ? size - done : INFLATE_SIZE_MAX;
        stream->next_in = reader->block + reader->block_used;
        stream->avail_in = (uInt)(reader->block_filled - reader->block_used);
        stream->next_out = target + done;
        stream->avail_out = (uInt)wanted;
        const int result = inflate(stream, Z_NO_FLUSH);
        reader->block_used = reader->block_filled - stream->avail_in;
        done += wanted - stream->avail_out;
        reader->stream_ended = result == Z_STREAM_END;
        if (result == Z_MEM_ERROR) {
            return cfi_fail_memory(error, "unpacking gzip data");
        }
        if (result != Z_OK && result != Z_STREAM_END) {
            return cfi_fail(error, CF_E_DATA, "%s: the gzip data is damaged (%s)", reader->name,
                            stream->msg != NULL ? stream->msg : "it does not go on");
        }
    }
    *got_out = done;
    return CF_OK;
}

cf_status cfi_reader_read(cfi_reader *reader, void *target, size_t size, size_t *got_out, cf_error *error)
{
    size_t got = 0;
    CFI_TRY(reader->gzip ? read_gzip(reader, target, size, &got, error)
                         : read_plain(reader, target, size, &got, error));
    reader->offset += (int64_t)got;
    *got_out = got;
    return CF_OK;
}
