#include "data/test_files.h"

#include <math.h>
#include <png.h>

#include "base/alloc.h"
#include "data/image.h"

static cf_status parse(const char *bytes, size_t size, int64_t height, int64_t width, float *values, cf_error *error)
{
    char *copy = calloc(size + 1, 1);
    memcpy(copy, bytes, size);
    const cf_status status = cfi_image_parse("x", copy, size, height, width, values, error);
    free(copy);
    return status;
}

static cf_status parse_text(const char *text, int64_t height, int64_t width, float *values, cf_error *error)
{
    return parse(text, strlen(text), height, width, values, error);
}

static void check(const float *values, const float *expected, int count)
{
    for (int i = 0; i < count; i++) {
        if (!(fabsf(values[i] - expected[i]) < 1e-3f)) {
            fail_msg("value %d is %g, not %g", i, (double)values[i], (double)expected[i]);
        }
    }
}

static void numbers_are_taken_as_they_are(void **state)
{
    (void)state;
    float values[6];
    cf_error error;
    assert_int_equal(parse_text(" 1, 2.5\n-3e1,,4\t5\r\n 6 \n", 2, 3, values, &error), CF_OK);
    check(values, (float[]){1, 2.5f, -30, 4, 5, 6}, 6);
}

static void pgm_images_are_scaled_to_255_levels(void **state)
{
    (void)state;
    float values[4];
    cf_error error;
    assert_int_equal(parse_text("P2\n# made by hand\n2 2 # size\n10\n0 5\n4 1\n", 2, 2, values, &error), CF_OK);
    check(values, (float[]){0, 127.5f, 102, 25.5f}, 4);
    assert_int_equal(parse("P5 2 2 255\n\x01\x20\x30\x40", 15, 2, 2, values, &error), CF_OK);
    check(values, (float[]){1, 32, 48, 64}, 4);
    assert_int_equal(parse("P5 2 1 65535\n\x00\x00\x80\x00", 17, 1, 2, values, &error), CF_OK);
    check(values, (float[]){0, 255.0f * 32768 / 65535}, 2);
}

static void a_bright_background_is_turned_dark(void **state)
{
    (void)state;
    float values[9];
    cf_error error;
    assert_int_equal(parse_text("P2 3 3 255 255 255 255 255 0 255 250 255 255", 3, 3, values, &error), CF_OK);
    check(values, (float[]){0, 0, 0, 0, 255, 0, 5, 0, 0}, 9);
    assert_int_equal(parse_text("P2 3 3 255 0 0 0 0 255 0 9 0 0", 3, 3, values, &error), CF_OK);
    check(values, (float[]){0, 0, 0, 0, 255, 0, 9, 0, 0}, 9);
}

static void another_size_is_averaged_over_areas(void **state)
{
    (void)state;
    float values[16];
    cf_error error;
    const char *four = "P2 4 2 255 0 10 20 30 40 50 60 70";
    assert_int_equal(parse_text(four, 1, 2, values, &error), CF_OK);
    check(values, (float[]){25, 45}, 2);
    assert_int_equal(parse_text("P2 3 1 90 0 30 60", 1, 2, values, &error), CF_OK); /* 1.5 source pixels each */
    check(values, (float[]){255.0f * 10 / 90, 255.0f * 50 / 90}, 2);
    assert_int_equal(parse_text("P2 2 1 255 100 50", 2, 4, values, &error), CF_OK);
    check(values, (float[]){100, 100, 50, 50, 100, 100, 50, 50}, 8);
    assert_int_equal(parse_text("P2 2 2 255 10 20 30 40", 3, 3, values, &error), CF_OK);
    check(values, (float[]){10, 15, 20, 20, 25, 30, 30, 35, 40}, 9);
}

/* Writes `pixels` as a PNG into memory and reads it back. */
static cf_status through_png(png_uint_32 format, const void *pixels, uint32_t side, float *values, cf_error *error)
{
    char packed[4096];
    png_alloc_size_t size = sizeof packed;
    png_image image = {.version = PNG_IMAGE_VERSION, .width = side, .height = side, .format = format};
    assert_true(png_image_write_to_memory(&image, packed, &size, 0, pixels, 0, NULL));
    return parse(packed, size, side, side, values, error);
}

static void png_images_of_every_kind_become_grey(void **state)
{
    (void)state;
    float values[4];
    cf_error error;
    const uint8_t grey[] = {0, 7, 100, 255};
    assert_int_equal(through_png(PNG_FORMAT_GRAY, grey, 2, values, &error), CF_OK);
    check(values, (float[]){0, 7, 100, 255}, 4);
    const uint8_t colour[] = {9, 9, 9, 80, 80, 80, 0, 0, 0, 30, 30, 30};
    assert_int_equal(through_png(PNG_FORMAT_RGB, colour, 2, values, &error), CF_OK);
    check(values, (float[]){9, 80, 0, 30}, 4);
    const uint8_t clear[] = {255, 255, 255, 0, 0, 0, 0, 255, 200, 200, 200, 255, 1, 1, 1, 0};
    assert_int_equal(through_png(PNG_FORMAT_RGBA, clear, 2, values, &error), CF_OK);
    check(values, (float[]){0, 0, 200, 0}, 4);
}

static const struct {
    const char *bytes;
    size_t size; /* 0: a text */
    cf_status status;
    const char *message;
} broken_inputs[] = {
    {"", 0, CF_E_DATA, "x: 0 numbers where the network takes 4"},
    {"1 2 3", 0, CF_E_DATA, "x: 3 numbers where the network takes 4"},
    {"1 2 3 4 5", 0, CF_E_DATA, "x: 5 numbers where the network takes 4"},
    {"1 2\n3 four", 0, CF_E_DATA, "x:2:3: 'four' is not a number (and the file is neither PNG nor PGM)"},
    {"1 2 nan 4", 0, CF_E_DATA, "x:1:5: 'nan' is not a number (and the file is neither PNG nor PGM)"},
    {"1 2 1e39 4", 0, CF_E_DATA, "x:1:5: '1e39' is too large for 32-bit floats"},
    {"\xFF\xD8\xFF\xE0 JFIF", 0, CF_E_DATA,
     "x:1:1: '\?\?\?\?' is not a number (and the file is neither PNG nor PGM)"},
    {"1 2\0 3 4", 8, CF_E_DATA, "x:1:3: '2' is not a number (and the file is neither PNG nor PGM)"},
    {"P6 1 1 255\nabc", 0, CF_E_DATA, "x:1:1: 'P6' is not a number (and the file is neither PNG nor PGM)"},
    {"P2", 0, CF_E_DATA, "x:1:1: 'P2' is not a number (and the file is neither PNG nor PGM)"},
    {"P2 ", 0, CF_E_DATA, "x: offset 3: the width of the PGM image is missing"},
    {"P2 -1 2 255", 0, CF_E_DATA, "x: offset 3: the width of the PGM image is missing"},
    {"P2 1 99999999999999999999 255", 0, CF_E_DATA, "x: offset 5: the height of the PGM image is above 2147483647"},
    {"P2 0 1 255", 0, CF_E_DATA, "x: an image of 0x1 pixels"},
    {"P2 4097 1 255", 0, CF_E_LIMIT, "x: 4097x1 pixels, the limit is 4096x4096"},
    {"P2 1 1", 0, CF_E_DATA, "x: offset 6: the largest level of the PGM image is missing"},
    {"P2 1 1 0 0", 0, CF_E_DATA, "x: the largest level of the PGM image is 0"},
    {"P2 1 1 65536 0", 0, CF_E_DATA, "x: offset 7: the largest level of the PGM image is above 65535"},
    {"P2 2 1 9 1", 0, CF_E_DATA, "x: offset 10: a pixel of the PGM image is missing"},
    {"P2 2 1 9 1 10", 0, CF_E_DATA, "x: offset 11: a pixel of the PGM image is above 9"},
    {"P2 2 1 9 1 2 3", 0, CF_E_DATA, "x: offset 13: text after the last pixel"},
    {"P5 2 1 255\na", 0, CF_E_DATA, "x: offset 11: 1 bytes of pixels instead of 2"},
    {"P5 2 1 255\nabc", 0, CF_E_DATA, "x: offset 11: 3 bytes of pixels instead of 2"},
    {"P5 2 1 99\nAd", 0, CF_E_DATA, "x: offset 11: a pixel of 100 above the image's own maximum of 99"},
};

static void every_broken_input_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken_inputs / sizeof *broken_inputs; i++) {
        float values[4] = {77, 77, 77, 77};
        cf_error error = {.text = ""};
        const size_t size = broken_inputs[i].size != 0 ? broken_inputs[i].size : strlen(broken_inputs[i].bytes);
        const cf_status status = parse(broken_inputs[i].bytes, size, 2, 2, values, &error);
        assert_string_equal(error.text, broken_inputs[i].message);
        assert_int_equal(status, broken_inputs[i].status);
        check(values, (float[]){77, 77, 77, 77}, 4);
    }
}

/* A PNG cut after each of its bytes, and one that claims to be too large. */
static void broken_png_images_are_refused(void **state)
{
    (void)state;
    char packed[4096];
    uint8_t pixels[16];
    float values[16];
    cf_error error;
    for (int i = 0; i < 16; i++) {
        pixels[i] = (uint8_t)(i * 13);
    }
    png_alloc_size_t size = sizeof packed;
    png_image image = {.version = PNG_IMAGE_VERSION, .width = 4, .height = 4, .format = PNG_FORMAT_GRAY};
    assert_true(png_image_write_to_memory(&image, packed, &size, 0, pixels, 0, NULL));
    for (size_t cut = 8; cut < size - 12; cut++) { /* what is missing of the closing chunk does no harm */
        const cf_status status = parse(packed, cut, 4, 4, values, &error);
        assert_int_equal(status, CF_E_DATA);
        assert_int_equal(strncmp(error.text, "x: the PNG image is damaged (", 29), 0); /* then libpng's words */
    }
    static uint8_t wide[5000];
    size = sizeof packed;
    image = (png_image){.version = PNG_IMAGE_VERSION, .width = 5000, .height = 1, .format = PNG_FORMAT_GRAY};
    assert_true(png_image_write_to_memory(&image, packed, &size, 0, wide, 0, NULL));
    assert_int_equal(parse(packed, size, 4, 4, values, &error), CF_E_LIMIT);
    assert_string_equal(error.text, "x: 5000x1 pixels, the limit is 4096x4096");
}

static void files_are_read_and_missing_ones_named(void **state)
{
    (void)state;
    struct test_folder folder;
    char path[CFI_PATH_SIZE_MAX];
    float values[2];
    cf_error error;
    test_folder_init(&folder);
    test_path(&folder, "two.txt", path);
    assert_int_equal(cfi_image_read(path, 1, 2, values, &error), CF_E_NOT_FOUND);
    test_message(&folder, &error, "two.txt: cannot open: No such file or directory");
    test_write_text(&folder, "two.txt", "3,4\n");
    assert_int_equal(cfi_image_read(path, 1, 2, values, &error), CF_OK);
    check(values, (float[]){3, 4}, 2);
    test_folder_fini(&folder);
}

static void every_failing_allocation_is_an_error_without_a_leak(void **state)
{
    (void)state;
    static const char *const texts[] = {"1 2", "P2 2 1 9 1 2"};
    for (size_t i = 0; i < 2; i++) {
        cf_status status = CF_E_MEMORY;
        for (uint64_t successes = 0; status != CF_OK; successes++) {
            float values[2];
            cf_error error;
            cfi_alloc_fail_after(successes);
            status = parse_text(texts[i], 1, 2, values, &error);
            cfi_alloc_fail_after(UINT64_MAX);
            assert_true(status == CF_OK || (status == CF_E_MEMORY && successes < 8));
        }
    }
    uint8_t pixels[] = {1, 2, 3, 4};
    float values[4];
    cf_error error;
    for (uint64_t successes = 0; successes < 2; successes++) {
        cfi_alloc_fail_after(successes);
        const cf_status status = through_png(PNG_FORMAT_GRAY, pixels, 2, values, &error);
        cfi_alloc_fail_after(UINT64_MAX);
        assert_int_equal(status, CF_E_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_taken_as_they_are),
        cmocka_unit_test(pgm_images_are_scaled_to_255_levels),
        cmocka_unit_test(a_bright_background_is_turned_dark),
        cmocka_unit_test(another_size_is_averaged_over_areas),
        cmocka_unit_test(png_images_of_every_kind_become_grey),
        cmocka_unit_test(every_broken_input_is_refused_with_its_place),
        cmocka_unit_test(broken_png_images_are_refused),
        cmocka_unit_test(files_are_read_and_missing_ones_named),
        cmocka_unit_test(every_failing_allocation_is_an_error_without_a_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
