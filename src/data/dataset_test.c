#include "data/test_files.h"

#include "data/dataset.h"

/* MNIST is looked for below the working folder and where the environment says, so each test gets its own of both. */
struct fixture {
    struct test_folder folder;
    char before[CFI_PATH_SIZE_MAX]; /* the working folder */
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (fixture == NULL || getcwd(fixture->before, sizeof fixture->before) == NULL) {
        return -1;
    }
    test_folder_init(&fixture->folder);
    unsetenv("CUTTLEFISH_DATA");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", fixture->folder.path, 1);
    *state = fixture;
    return chdir(fixture->folder.path);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    const int result = chdir(fixture->before);
    test_folder_fini(&fixture->folder);
    free(fixture);
    return result;
}

/* Two images of 28x28 (all pixels `level`) with labels 9 and 0, in `place`. */
static void write_mnist(const struct test_folder *folder, const char *place, uint8_t level, bool gzip)
{
    static const char *const parts[] = {"train", "t10k"};
    uint8_t images[16 + 2 * 784] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28};
    const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 9, 0};
    char name[256];
    memset(images + 16, level, 2 * 784);
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%s-images-idx3-ubyte%s", place, parts[i], gzip ? ".gz" : "");
        (gzip ? test_write_gzip : test_write)(folder, name, images, sizeof images);
        snprintf(name, sizeof name, "%s/%s-labels-idx1-ubyte", place, parts[i]);
        test_write(folder, name, labels, sizeof labels);
    }
}

static void check_level(int level)
{
    const cfi_data_settings settings = {.kind = CFI_DATA_MNIST, .deviation = 1};
    cfi_dataset dataset;
    cf_error error = {.text = ""};
    const cf_status status = cfi_dataset_load(&settings, &dataset, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(status, CF_OK);
    assert_int_equal(dataset.train.bytes[0], level);
    assert_int_equal(dataset.train.count, 2);
    assert_int_equal(dataset.test.count, 2);
    assert_int_equal(dataset.classes, 10);
    cfi_dataset_fini(&dataset);
}

static void mnist_is_searched_in_the_stated_order(void **state)
{
    struct fixture *fixture = *state;
    const struct test_folder *folder = &fixture->folder;
    char path[CFI_PATH_SIZE_MAX];
    test_make_folder(folder, ".cache");
    test_make_folder(folder, ".cache/cuttlefish");
    test_make_folder(folder, ".cache/cuttlefish/mnist");
    write_mnist(folder, ".cache/cuttlefish/mnist", 1, false);
    check_level(1);
    test_make_folder(folder, "xdg");
    test_make_folder(folder, "xdg/cuttlefish");
    test_make_folder(folder, "xdg/cuttlefish/mnist");
    write_mnist(folder, "xdg/cuttlefish/mnist", 2, true);
    setenv("XDG_CACHE_HOME", test_path(folder, "xdg", path), 1);
    check_level(2);
    test_make_folder(folder, "data");
    test_make_folder(folder, "data/mnist");
    write_mnist(folder, "data/mnist", 3, false);
    check_level(3);
    test_make_folder(folder, "mine");
    write_mnist(folder, "mine", 4, true);
    setenv("CUTTLEFISH_DATA", test_path(folder, "mine", path), 1);
    check_level(4);
}

static void a_missing_mnist_names_the_folders_and_the_cure(void **state)
{
    struct fixture *fixture = *state;
    const cfi_data_settings settings = {.kind = CFI_DATA_MNIST, .deviation = 1};
    cfi_dataset dataset;
    cf_error error;
    char path[CFI_PATH_SIZE_MAX];
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_E_NOT_FOUND);
    test_message(&fixture->folder, &error,
                 "train-images-idx3-ubyte: not found in $CUTTLEFISH_DATA (not set), data/mnist, "
                 ".cache/cuttlefish/mnist (run: cuttlefish data get mnist)");
    test_make_folder(&fixture->folder, "mine");
    write_mnist(&fixture->folder, "mine", 4, true);
    setenv("CUTTLEFISH_DATA", test_path(&fixture->folder, "mine", path), 1);
    unlink("mine/t10k-labels-idx1-ubyte");
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_E_NOT_FOUND);
    test_message(&fixture->folder, &error,
                 "mine/t10k-labels-idx1-ubyte: not found, though train-images-idx3-ubyte is there (run: cuttlefish "
                 "data get mnist)");
}

static void other_images_under_mnists_name_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const cfi_data_settings settings = {.kind = CFI_DATA_MNIST, .deviation = 1};
    static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 5};
    static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 1, 2};
    cfi_dataset dataset;
    cf_error error;
    test_make_folder(&fixture->folder, "data");
    test_make_folder(&fixture->folder, "data/mnist");
    test_write(&fixture->folder, "data/mnist/train-images-idx3-ubyte", images, sizeof images);
    test_write(&fixture->folder, "data/mnist/train-labels-idx1-ubyte", labels, sizeof labels);
    test_write(&fixture->folder, "data/mnist/t10k-images-idx3-ubyte", images, sizeof images);
    test_write(&fixture->folder, "data/mnist/t10k-labels-idx1-ubyte", labels, sizeof labels);
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_E_DATA);
    assert_string_equal(error.text, "data/mnist/train-images-idx3-ubyte: not MNIST: 1x1x1 and 3 classes instead of "
                                    "1x28x28 and 10 (run: cuttlefish data get mnist)");
}

static void mnists_shape_is_known_without_its_files(void **state)
{
    (void)state;
    const cfi_data_settings settings = {.kind = CFI_DATA_MNIST, .deviation = 1};
    int64_t shape[3], classes;
    cf_error error;
    assert_int_equal(cfi_dataset_shape(&settings, shape, &classes, &error), CF_OK);
    assert_memory_equal(shape, ((int64_t[]){1, 28, 28}), sizeof shape);
    assert_int_equal(classes, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mnist_is_searched_in_the_stated_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_mnist_names_the_folders_and_the_cure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_images_under_mnists_name_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mnists_shape_is_known_without_its_files, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
