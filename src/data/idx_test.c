#include "data/test_files.h"

#include <math.h>

#include "base/alloc.h"
#include "data/dataset.h"
#include "data/idx.h"

/* Two images of 2x3 and their labels. */
static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 51, 255, 1, 2, 3, 9, 8, 7, 6, 5, 4};
static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 3, 1};

static cfi_data_settings make_settings(const struct test_folder *folder)
{
    cfi_data_settings settings = {.kind = CFI_DATA_IDX, .mean = 0, .deviation = 1};
    test_path(folder, "images", settings.train_images);
    test_path(folder, "labels", settings.train_labels);
    return settings;
}

static void write_both(const struct test_folder *folder)
{
    test_write(folder, "images", images, sizeof images);
    test_write(folder, "labels", labels, sizeof labels);
}

static void check_content(const cfi_dataset *dataset)
{
    assert_int_equal(dataset->channels, 1);
    assert_int_equal(dataset->height, 2);
    assert_int_equal(dataset->width, 3);
    assert_int_equal(dataset->features, 6);
    assert_int_equal(dataset->classes, 4);
    assert_int_equal(dataset->train.count, 2);
    assert_memory_equal(dataset->train.bytes, images + 16, 12);
    assert_int_equal(dataset->train.labels[0], 3);
    assert_int_equal(dataset->train.labels[1], 1);
    assert_null(dataset->train.floats);
    assert_null(dataset->class_names);
}

static void images_and_labels_are_read_as_they_stand(void **state)
{
    (void)state;
    struct test_folder folder;
    cfi_dataset dataset;
    cf_error error;
    test_folder_init(&folder);
    write_both(&folder);
    const cfi_data_settings settings = make_settings(&folder);
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_OK);
    check_content(&dataset);
    assert_int_equal(dataset.test.count, 0);
    cfi_dataset_fini(&dataset);
    test_folder_fini(&folder);
}

static void gzipped_files_are_known_by_their_magic_and_not_by_their_name(void **state)
{
    (void)state;
    struct test_folder folder;
    cfi_dataset dataset;
    cf_error error;
    test_folder_init(&folder);
    test_write_gzip(&folder, "images", images, sizeof images);
    test_write_gzip(&folder, "labels", labels, sizeof labels);
    const cfi_data_settings settings = make_settings(&folder);
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_OK);
    check_content(&dataset);
    cfi_dataset_fini(&dataset);
    test_folder_fini(&folder);
}

/* More than one block of input, so that both sides of the block's end are seen. */
static void large_gzipped_content_survives_the_way(void **state)
{
    (void)state;
    enum { COUNT = 300000 };
    struct test_folder folder;
    char path[CFI_PATH_SIZE_MAX];
    cfi_reader reader;
    cfi_idx idx;
    cf_error error;
    uint8_t *bytes = cfi_calloc(8 + COUNT, 1);
    assert_non_null(bytes);
    memcpy(bytes, (uint8_t[]){0, 0, 8, 1, 0, 0x04, 0x93, 0xE0}, 8);
    uint32_t word = 1;
    for (int i = 0; i < COUNT; i++) { /* hardly compressible */
        word = word * 1664525u + 1013904223u;
        bytes[8 + i] = (uint8_t)(word >> 24);
    }
    test_folder_init(&folder);
    test_write_gzip(&folder, "large", bytes, 8 + COUNT);
    assert_int_equal(cfi_reader_open(&reader, test_path(&folder, "large", path), &error), CF_OK);
    assert_int_equal(cfi_idx_read(&reader, true, &idx, &error), CF_OK);
    cfi_reader_close(&reader);
    assert_int_equal(idx.dimension[0], COUNT);
    assert_memory_equal(idx.bytes, bytes + 8, COUNT);
    cfi_free(idx.bytes);
    cfi_free(bytes);
    test_folder_fini(&folder);
}

static void normalisation_is_one_fma_from_the_settings(void **state)
{
    (void)state;
    struct test_folder folder;
    cfi_dataset dataset;
    cf_error error;
    test_folder_init(&folder);
    write_both(&folder);
    cfi_data_settings settings = make_settings(&folder);
    settings.mean = 0.1307;
    settings.deviation = 0.3081;
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_OK);
    for (int byte = 0; byte < 256; byte++) {
        const double expected = (byte / 255.0 - 0.1307) / 0.3081;
        assert_true(fabs((double)fmaf((float)byte, dataset.scale, dataset.shift) - expected) < 1e-6);
    }
    cfi_dataset_fini(&dataset);
    settings.mean = 0;
    settings.deviation = 1;
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_OK);
    assert_true(fmaf(255.0f, dataset.scale, dataset.shift) == 1.0f);
    cfi_dataset_fini(&dataset);
    test_folder_fini(&folder);
}

static void shapes_of_two_three_and_four_dimensions_are_known_from_the_header(void **state)
{
    (void)state;
    static const struct {
        uint8_t header[20];
        size_t size;
        int64_t shape[3];
    } cases[] = {
        {{0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 5}, 12, {5, 1, 1}},
        {{0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7}, 16, {1, 4, 7}},
        {{0, 0, 8, 4, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5}, 20, {3, 4, 5}},
    };
    struct test_folder folder;
    cf_error error;
    test_folder_init(&folder);
    test_write(&folder, "labels", labels, sizeof labels);
    const cfi_data_settings settings = make_settings(&folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t shape[3], classes;
        test_write(&folder, "images", cases[i].header, cases[i].size);
        assert_int_equal(cfi_dataset_shape(&settings, shape, &classes, &error), CF_OK);
        assert_memory_equal(shape, cases[i].shape, sizeof shape);
        assert_int_equal(classes, 4);
    }
    test_folder_fini(&folder);
}

/* ---- Broken files ------------------------------------------------------------------------------------------- */

struct broken {
    const char *file; /* replaced: "images" or "labels" */
    uint8_t bytes[40];
    size_t size;
    cf_status status;
    const char *message;
};

static const struct broken broken_files[] = {
    {"images", {0}, 0, CF_E_DATA, "images: offset 0: the file ends inside its header"},
    {"images", {0, 0, 8}, 3, CF_E_DATA, "images: offset 3: the file ends inside its header"},
    {"images", {0, 0, 8, 3, 0, 0, 0, 2, 0, 0}, 10, CF_E_DATA, "images: offset 10: the file ends inside its header"},
    {"images", {0x89, 'P', 'N', 'G'}, 4, CF_E_DATA,
     "images: offset 0: not an IDX file (it starts with 89 50 instead of 00 00)"},
    {"images", {0, 0, 0x0D, 3}, 4, CF_E_DATA,
     "images: offset 2: values of type 0x0d (32-bit floats) cannot be read, only 0x08 (unsigned bytes)"},
    {"images", {0, 0, 0x77, 3}, 4, CF_E_DATA,
     "images: offset 2: values of type 0x77 (unknown) cannot be read, only 0x08 (unsigned bytes)"},
    {"images", {0, 0, 8, 0}, 4, CF_E_DATA, "images: offset 3: 0 dimensions, but 1 to 4 can be read"},
    {"images", {0, 0, 8, 255}, 4, CF_E_DATA, "images: offset 3: 255 dimensions, but 1 to 4 can be read"},
    {"images", {0, 0, 8, 1, 0, 0, 0, 1, 7}, 9, CF_E_DATA,
     "images: offset 3: one dimension, as labels have; images have 2 to 4"},
    {"images", {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3}, 16, CF_E_DATA, "images: offset 8: dimension 2 is 0"},
    {"images", {0, 0, 8, 3, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 1}, 16, CF_E_LIMIT,
     "images: offset 4: 4294967295 samples, the limit is 100000000"},
    {"images", {0, 0, 8, 3, 0, 0, 0, 2, 255, 255, 255, 255, 255, 255, 255, 255}, 16, CF_E_LIMIT,
     "images: offset 8: the limit of 16777216 values a sample is exceeded"},
    {"images", {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 16, 0, 0, 0, 16, 1}, 16, CF_E_LIMIT,
     "images: offset 12: the limit of 16777216 values a sample is exceeded"},
    {"images", {0, 0, 8, 3, 5, 245, 225, 0, 0, 0, 16, 0, 0, 0, 16, 0}, 16, CF_E_DATA,
     "images: offset 16: the file ends here, but its header promises 1677721600000016 bytes"},
    {"images", {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 27, CF_E_DATA,
     "images: offset 27: the file ends here, but its header promises 28 bytes"},
    {"images", {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4}, 20, CF_E_DATA,
     "images: offset 18: bytes after the last value"},
    {"images", {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3}, 19, CF_E_DATA,
     "labels: offset 4: 2 labels for the 3 images of images"},
    {"images", {0x1f, 0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12, CF_E_DATA,
     "images: the gzip data is damaged (unknown compression method)"},
    {"images", {0x1f, 0x8b}, 2, CF_E_DATA, "images: the gzip data is cut short"},
    {"labels", {0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 1, 5}, 13, CF_E_DATA,
     "labels: offset 3: 2 dimensions, as images have; labels have one"},
    {"labels", {0, 0, 8, 1, 0, 0, 0, 2, 3}, 9, CF_E_DATA,
     "labels: offset 9: the file ends here, but its header promises 10 bytes"},
    {"labels", {0, 0, 8, 1, 0, 0, 0, 2, 3, 1, 1}, 11, CF_E_DATA, "labels: offset 10: bytes after the last value"},
    {"labels", {0, 0, 8, 1, 0, 0, 0, 0}, 8, CF_E_DATA, "labels: offset 4: dimension 1 is 0"},
};

static void every_broken_file_is_refused_with_its_place(void **state)
{
    (void)state;
    struct test_folder folder;
    test_folder_init(&folder);
    const cfi_data_settings settings = make_settings(&folder);
    for (size_t i = 0; i < sizeof broken_files / sizeof *broken_files; i++) {
        const struct broken *broken = &broken_files[i];
        cfi_dataset dataset;
        cf_error error;
        write_both(&folder);
        test_write(&folder, broken->file, broken->bytes, broken->size);
        assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), broken->status);
        test_message(&folder, &error, broken->message);
        assert_int_equal(error.code, broken->status);
    }
    test_folder_fini(&folder);
}

/* Cuts a gzipped file after each of its bytes, and flips one bit in each. */
static void no_damage_to_gzip_data_passes_unseen(void **state)
{
    (void)state;
    struct test_folder folder;
    char path[CFI_PATH_SIZE_MAX];
    uint8_t packed[256];
    cf_error error;
    cfi_reader reader;
    cfi_idx idx;
    test_folder_init(&folder);
    test_write_gzip(&folder, "packed", images, sizeof images);
    FILE *file = fopen(test_path(&folder, "packed", path), "rb");
    assert_non_null(file);
    const size_t size = fread(packed, 1, sizeof packed, file);
    fclose(file);
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(cfi_reader_open_memory(&reader, "cut", packed, cut, &error), CF_OK);
        assert_int_equal(cfi_idx_read(&reader, true, &idx, &error), CF_E_DATA);
        cfi_reader_close(&reader);
    }
    for (size_t i = 10; i < size; i++) { /* the ten bytes of the header hold time and system, which do not matter */
        packed[i] ^= 4;
        assert_int_equal(cfi_reader_open_memory(&reader, "flipped", packed, size, &error), CF_OK);
        const cf_status status = cfi_idx_read(&reader, true, &idx, &error);
        assert_true(status == CF_E_DATA || status == CF_E_LIMIT);
        cfi_reader_close(&reader);
        packed[i] ^= 4;
    }
    packed[size] = 'x';
    assert_int_equal(cfi_reader_open_memory(&reader, "longer", packed, size + 1, &error), CF_OK);
    assert_int_equal(cfi_idx_read(&reader, true, &idx, &error), CF_E_DATA);
    cfi_reader_close(&reader);
    test_folder_fini(&folder);
}

static void a_small_gzipped_file_cannot_ask_for_much_memory(void **state)
{
    (void)state;
    static const uint8_t lying[] = {0, 0, 8, 3, 5, 245, 225, 0, 0, 0, 16, 0, 0, 0, 16, 0};
    struct test_folder folder;
    cfi_dataset dataset;
    cf_error error;
    test_folder_init(&folder);
    write_both(&folder);
    test_write_gzip(&folder, "images", lying, sizeof lying);
    const cfi_data_settings settings = make_settings(&folder);
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_E_DATA);
    test_message(&folder, &error,
                 "images: the header promises 1677721600000016 bytes, more than the gzip data can hold");
    test_folder_fini(&folder);
}

static void missing_files_and_folders_are_named(void **state)
{
    (void)state;
    struct test_folder folder;
    cfi_dataset dataset;
    cf_error error;
    test_folder_init(&folder);
    const cfi_data_settings settings = make_settings(&folder);
    test_write(&folder, "labels", labels, sizeof labels);
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_E_NOT_FOUND);
    test_message(&folder, &error, "images: cannot open: No such file or directory");
    test_make_folder(&folder, "images");
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_E_IO);
    test_message(&folder, &error, "images: not a regular file");
    test_folder_fini(&folder);
}

static void a_test_set_must_fit_the_training_set(void **state)
{
    (void)state;
    static const uint8_t wide[] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2};
    static const uint8_t one[] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6};
    static const uint8_t label_1[] = {0, 0, 8, 1, 0, 0, 0, 1, 1}, label_4[] = {0, 0, 8, 1, 0, 0, 0, 1, 4};
    struct test_folder folder;
    cfi_dataset dataset;
    cf_error error;
    test_folder_init(&folder);
    write_both(&folder);
    cfi_data_settings settings = make_settings(&folder);
    test_path(&folder, "test-images", settings.test_images);
    test_path(&folder, "test-labels", settings.test_labels);
    test_write(&folder, "test-images", wide, sizeof wide);
    test_write(&folder, "test-labels", label_1, sizeof label_1);
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_E_DATA);
    test_message(&folder, &error, "test-images: samples of 1x1x2 where images has 1x2x3");
    test_write(&folder, "test-images", one, sizeof one);
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_OK);
    assert_int_equal(dataset.test.count, 1);
    assert_memory_equal(dataset.test.bytes, one + 16, 6);
    cfi_dataset_fini(&dataset);
    test_write(&folder, "test-labels", label_4, sizeof label_4);
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_E_DATA);
    test_message(&folder, &error, "test-labels: label 4 does not occur in labels");
    test_folder_fini(&folder);
}

static void every_failing_allocation_is_an_error_without_a_leak(void **state)
{
    (void)state;
    struct test_folder folder;
    cf_error error;
    test_folder_init(&folder);
    test_write_gzip(&folder, "images", images, sizeof images);
    test_write(&folder, "labels", labels, sizeof labels);
    cfi_data_settings settings = make_settings(&folder);
    test_path(&folder, "images", settings.test_images);
    test_path(&folder, "labels", settings.test_labels);
    cf_status status = CF_E_MEMORY;
    uint64_t successes = 0;
    for (; status != CF_OK; successes++) {
        cfi_dataset dataset = {.channels = 77};
        cfi_alloc_fail_after(successes);
        status = cfi_dataset_load(&settings, &dataset, &error);
        cfi_alloc_fail_after(UINT64_MAX);
        if (status == CF_OK) {
            cfi_dataset_fini(&dataset);
        } else {
            assert_int_equal(status, CF_E_MEMORY);
            assert_int_equal(dataset.channels, 77);
        }
    }
    assert_true(successes > 8);
    test_folder_fini(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_and_labels_are_read_as_they_stand),
        cmocka_unit_test(gzipped_files_are_known_by_their_magic_and_not_by_their_name),
        cmocka_unit_test(large_gzipped_content_survives_the_way),
        cmocka_unit_test(normalisation_is_one_fma_from_the_settings),
        cmocka_unit_test(shapes_of_two_three_and_four_dimensions_are_known_from_the_header),
        cmocka_unit_test(every_broken_file_is_refused_with_its_place),
        cmocka_unit_test(no_damage_to_gzip_data_passes_unseen),
        cmocka_unit_test(a_small_gzipped_file_cannot_ask_for_much_memory),
        cmocka_unit_test(missing_files_and_folders_are_named),
        cmocka_unit_test(a_test_set_must_fit_the_training_set),
        cmocka_unit_test(every_failing_allocation_is_an_error_without_a_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
