#include "data/image.h"

#include <float.h>
#include <math.h>
#include <png.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "data/decimal.h"

#define PNG_SIGNATURE "\x89PNG\r\n\x1a\n"
#define TOKEN_SIZE 400 /* longest number in a text */

/* Grey levels 0..255. */
struct grey {
    int64_t height, width;
    float *pixels; /* owned */
};

/* Room for an image whose sides come from outside. */
static cf_status grey_init(struct grey *grey, const char *name, int64_t height, int64_t width, cf_error *error)
{
    if (height < 1 || width < 1) {
        return cfi_fail(error, CF_E_DATA, "%s: an image of %lldx%lld pixels", name, (long long)width,
                        (long long)height);
    }
    if (height > CFI_IMAGE_SIDE_MAX || width > CFI_IMAGE_SIDE_MAX) {
        return cfi_fail(error, CF_E_LIMIT, "%s: %lldx%lld pixels, the limit is %dx%d", name, (long long)width,
                        (long long)height, CFI_IMAGE_SIDE_MAX, CFI_IMAGE_SIDE_MAX);
    }
    grey->height = height;
    grey->width = width;
    grey->pixels = cfi_calloc((size_t)(height * width), sizeof *grey->pixels);
    return grey->pixels != NULL ? CF_OK : cfi_fail(error, CF_E_MEMORY, "%s: out of memory for the image", name);
}

/* ---- PNG ---------------------------------------------------------------------------------------------------- */

static cf_status finish_png(png_image *image, const char *name, struct grey *grey, cf_error *error)
{
    const png_color black = {0, 0, 0};
    CFI_TRY(grey_init(grey, name, image->height, image->width, error));
    uint8_t *levels = cfi_calloc((size_t)image->height * image->width, 1);
    if (levels == NULL) {
        return cfi_fail(error, CF_E_MEMORY, "%s: out of memory for the image", name);
    }
    image->format = PNG_FORMAT_GRAY;
    cf_status status = CF_OK;
    if (!png_image_finish_read(image, &black, levels, 0, NULL)) {
        status = cfi_fail(error, CF_E_DATA, "%s: the PNG image is damaged (%s)", name, image->message);
    }
    for (int64_t i = 0; status == CF_OK && i < grey->height * grey->width; i++) {
        grey->pixels[i] = levels[i];
    }
    cfi_free(levels);
    return status;
}

static cf_status read_png(const char *name, const char *bytes, size_t size, struct grey *grey, cf_error *error)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    cf_status status;
    if (!png_image_begin_read_from_memory(&image, bytes, size)) {
        status = cfi_fail(error, CF_E_DATA, "%s: the PNG image is damaged (%s)", name, image.message);
    } else {
        status = finish_png(&image, name, grey, error);
    }
    png_image_free(&image);
    return status;
}

/* ---- PGM (netpbm's pgm(5)) ---------------------------------------------------------------------------------- */

struct cursor {
    const char *name, *start, *next, *end;
};

static bool is_blank(char character)
{
    return character == ' ' || (character >= '\t' && character <= '\r');
}

/* The next whole number, after blanks and comments. */
static cf_status take_number(struct cursor *cursor, int64_t number_max, const char *what, int64_t *value_out,
                             cf_error *error)
{
    while (cursor->next < cursor->end && (is_blank(*cursor->next) || *cursor->next == '#')) {
        if (*cursor->next++ == '#') {
            while (cursor->next < cursor->end && *cursor->next != '\n') {
                cursor->next++;
            }
        }
    }
    const char *first = cursor->next;
    int64_t value = 0;
    for (; cursor->next < cursor->end && *cursor->next >= '0' && *cursor->next <= '9'; cursor->next++) {
        value = value <= number_max ? 10 * value + (*cursor->next - '0') : value;
    }
    const long long offset = first - cursor->start;
    if (cursor->next == first) {
        return cfi_fail(error, CF_E_DATA, "%s: offset %lld: %s of the PGM image is missing", cursor->name, offset,
                        what);
    }
    if (value > number_max) {
        return cfi_fail(error, CF_E_DATA, "%s: offset %lld: %s of the PGM image is above %lld", cursor->name, offset,
                        what, (long long)number_max);
    }
    *value_out = value;
    return CF_OK;
}

/* P5: one byte a pixel, or two with the higher first when there are more than 256 levels. */
static cf_status take_raw_pixels(struct cursor *cursor, int64_t level_max, struct grey *grey, cf_error *error)
{
    const int64_t count = grey->height * grey->width, size = level_max > 255 ? 2 : 1;
    cursor->next += cursor->next < cursor->end; /* the one blank after the levels */
    if (cursor->end - cursor->next != count * size) {
        return cfi_fail(error, CF_E_DATA, "%s: offset %lld: %lld bytes of pixels instead of %lld", cursor->name,
                        (long long)(cursor->next - cursor->start), (long long)(cursor->end - cursor->next),
                        (long long)(count * size));
    }
    const uint8_t *bytes = (const uint8_t *)cursor->next;
    for (int64_t i = 0; i < count; i++) {
        const int value = size == 2 ? bytes[2 * i] << 8 | bytes[2 * i + 1] : bytes[i];
        if (value > level_max) {
            return cfi_fail(error, CF_E_DATA, "%s: offset %lld: a pixel of %d above the image's own maximum of %lld",
                            cursor->name, (long long)(cursor->next - cursor->start + i * size), value,
                            (long long)level_max);
        }
        grey->pixels[i] = (float)(255.0 * value / (double)level_max);
    }
    return CF_OK;
}

static cf_status take_text_pixels(struct cursor *cursor, int64_t level_max, struct grey *grey, cf_error *error)
{
    for (int64_t i = 0; i < grey->height * grey->width; i++) {
        int64_t value = 0;
        CFI_TRY(take_number(cursor, level_max, "a pixel", &value, error));
        grey->pixels[i] = (float)(255.0 * (double)value / (double)level_max);
    }
    while (cursor->next < cursor->end && is_blank(*cursor->next)) {
        cursor->next++;
    }
    if (cursor->next < cursor->end) {
        return cfi_fail(error, CF_E_DATA, "%s: offset %lld: text after the last pixel", cursor->name,
                        (long long)(cursor->next - cursor->start));
    }
    return CF_OK;
}

static cf_status read_pgm(const char *name, const char *bytes, size_t size, struct grey *grey, cf_error *error)
{
    struct cursor cursor = {name, bytes, bytes + 2, bytes + size};
    int64_t width = 0, height = 0, level_max = 0;
    CFI_TRY(take_number(&cursor, INT32_MAX, "the width", &width, error));
    CFI_TRY(take_number(&cursor, INT32_MAX, "the height", &height, error));
    CFI_TRY(take_number(&cursor, 65535, "the largest level", &level_max, error));
    if (level_max == 0) {
        return cfi_fail(error, CF_E_DATA, "%s: the largest level of the PGM image is 0", name);
    }
    CFI_TRY(grey_init(grey, name, height, width, error));
    return bytes[1] == '5' ? take_raw_pixels(&cursor, level_max, grey, error)
                           : take_text_pixels(&cursor, level_max, grey, error);
}

/* ---- From an image to values -------------------------------------------------------------------------------- */

static bool has_bright_border(const struct grey *grey)
{
    double sum = 0;
    int64_t count = 0;
    for (int64_t y = 0; y < grey->height; y++) {
        for (int64_t x = 0; x < grey->width; x++) {
            if (y == 0 || x == 0 || y == grey->height - 1 || x == grey->width - 1) {
                sum += grey->pixels[y * grey->width + x];
                count++;
            }
        }
    }
    return sum > 127.5 * (double)count;
}

/* How much of source cell `cell` lies in target cell `index`, when `from` source cells lie over `to` target cells;
 * in units of 1/to source cells, so a whole number. */
static int64_t overlap(int64_t cell, int64_t index, int64_t from, int64_t to)
{
    const int64_t first = cell * to > index * from ? cell * to : index * from;
    const int64_t last = (cell + 1) * to < (index + 1) * from ? (cell + 1) * to : (index + 1) * from;
    return last - first;
}

/* The mean of the source over the area of target pixel (y, x). */
static float area_mean(const struct grey *grey, int64_t y, int64_t x, int64_t height, int64_t width)
{
    double sum = 0;
    for (int64_t i = y * grey->height / height; i * height < (y + 1) * grey->height; i++) {
        double row = 0;
        for (int64_t j = x * grey->width / width; j * width < (x + 1) * grey->width; j++) {
            row += (double)overlap(j, x, grey->width, width) * (double)grey->pixels[i * grey->width + j];
        }
        sum += (double)overlap(i, y, grey->height, height) * row;
    }
    return (float)(sum / ((double)grey->height * (double)grey->width));
}

static void to_values(const struct grey *grey, int64_t height, int64_t width, float *values)
{
    const bool inverted = has_bright_border(grey);
    for (int64_t y = 0; y < height; y++) {
        for (int64_t x = 0; x < width; x++) {
            const float level = area_mean(grey, y, x, height, width);
            values[y * width + x] = inverted ? 255.0f - level : level;
        }
    }
}

/* ---- Text --------------------------------------------------------------------------------------------------- */

static bool is_separator(char character)
{
    return is_blank(character) || character == ',';
}

/* The number from `first` to `last`. */
static cf_status take_text_number(const char *first, const char *last, float *value_out, cf_error *error)
{
    char token[TOKEN_SIZE], quote[CFI_QUOTE_SIZE];
    double value;
    const size_t length = (size_t)(last - first) < sizeof token ? (size_t)(last - first) : sizeof token - 1;
    memcpy(token, first, length);
    token[length] = '\0';
    if (length != (size_t)(last - first) || strlen(token) != length || !cfi_decimal_parse(token, &value)) {
        return cfi_fail(error, CF_E_DATA, "'%s' is not a number (and the file is neither PNG nor PGM)",
                        cfi_quote(token, quote));
    }
    if (!(fabs(value) <= (double)FLT_MAX)) {
        return cfi_fail(error, CF_E_DATA, "'%s' is too large for 32-bit floats", cfi_quote(token, quote));
    }
    *value_out = (float)value;
    return CF_OK;
}

/* Fills `values` with the first `count` numbers; *found_out says how many there are in all. */
static cf_status take_numbers(const char *name, const char *bytes, size_t size, int64_t count, float *values,
                              int64_t *found_out, cf_error *error)
{
    const char *end = bytes + size, *line_start = bytes;
    long long line = 1;
    int64_t found = 0;
    for (const char *next = bytes; next < end;) {
        if (is_separator(*next)) {
            line += *next == '\n';
            line_start = *next++ == '\n' ? next : line_start;
            continue;
        }
        const char *first = next;
        while (next < end && !is_separator(*next)) {
            next++;
        }
        float value;
        const cf_status status = take_text_number(first, next, &value, error);
        if (status != CF_OK) {
            cfi_error_prefix(error, "%s:%lld:%lld", name, line, (long long)(first - line_start) + 1);
            return status;
        }
        if (found < count) {
            values[found] = value;
        }
        found++;
    }
    *found_out = found;
    return CF_OK;
}

static cf_status read_text(const char *name, const char *bytes, size_t size, int64_t count, float *values,
                           cf_error *error)
{
    float *numbers = cfi_calloc((size_t)count, sizeof *numbers);
    if (numbers == NULL) {
        return cfi_fail(error, CF_E_MEMORY, "%s: out of memory for %lld numbers", name, (long long)count);
    }
    int64_t found = 0;
    cf_status status = take_numbers(name, bytes, size, count, numbers, &found, error);
    if (status == CF_OK && found != count) {
        status = cfi_fail(error, CF_E_DATA, "%s: %lld numbers where the network takes %lld", name, (long long)found,
                          (long long)count);
    }
    if (status == CF_OK) {
        memcpy(values, numbers, (size_t)count * sizeof *values);
    }
    cfi_free(numbers);
    return status;
}

/* ---- The whole ---------------------------------------------------------------------------------------------- */

cf_status cfi_image_parse(const char *name, const char *bytes, size_t size, int64_t height, int64_t width,
                          float *values, cf_error *error)
{
    struct grey grey = {0};
    cf_status status;
    if (size >= 8 && memcmp(bytes, PNG_SIGNATURE, 8) == 0) {
        status = read_png(name, bytes, size, &grey, error);
    } else if (size >= 3 && bytes[0] == 'P' && (bytes[1] == '2' || bytes[1] == '5') &&
               (is_blank(bytes[2]) || bytes[2] == '#')) {
        status = read_pgm(name, bytes, size, &grey, error);
    } else {
        return read_text(name, bytes, size, height * width, values, error);
    }
    if (status == CF_OK) {
        to_values(&grey, height, width, values);
    }
    cfi_free(grey.pixels);
    return status;
}

cf_status cfi_image_read(const char *path, int64_t height, int64_t width, float *values, cf_error *error)
{
    char *bytes;
    size_t size;
    CFI_TRY(cfi_file_read(path, CFI_IMAGE_FILE_SIZE_MAX, &bytes, &size, error));
    const cf_status status = cfi_image_parse(path, bytes, size, height, width, values, error);
    cfi_free(bytes);
    return status;
}
