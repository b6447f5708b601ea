/* One input for `predict`: an image file, or numbers as text. */
#ifndef CFI_DATA_IMAGE_H
#define CFI_DATA_IMAGE_H

#include "base/status.h"

#define CFI_IMAGE_SIDE_MAX 4096                    /* pixels of an image file's height or width */
#define CFI_IMAGE_FILE_SIZE_MAX ((size_t)64 << 20) /* bytes */

/* Reads `path` into `values`, (height, width) row-major, untouched on failure. What it is shows in its first bytes:
 * - PNG, any colour type and depth (transparent pixels over black), and PGM, P2 or P5, to 65535 levels: grey levels
 *   0..255; averaged over areas when its size is not height x width; inverted when the mean of its outermost pixels is
 *   above 127.5, because MNIST's background is dark.
 * - anything else is text: exactly height*width numbers between blanks, commas or newlines, taken as they are.
 * Errors: CF_E_NOT_FOUND, CF_E_IO, CF_E_DATA ("file:line:column: ..." for text), CF_E_LIMIT, CF_E_MEMORY. */
cf_status cfi_image_read(const char *path, int64_t height, int64_t width, float *values, cf_error *error)
    __attribute__((warn_unused_result));

/* The same for `size` bytes in memory with a NUL after them; `name` stands for the file in messages. */
cf_status cfi_image_parse(const char *name, const char *bytes, size_t size, int64_t height, int64_t width,
                          float *values, cf_error *error) __attribute__((warn_unused_result));

#endif
