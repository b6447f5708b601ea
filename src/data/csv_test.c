#include "data/test_files.h"

#include <locale.h>
#include <math.h>

#include "base/alloc.h"
#include "data/csv.h"

/* What the texts are parsed with, and the texts. */
struct trial {
    cfi_csv_label_kind label;
    cfi_csv_header header;
    bool standardise;
    const char *train, *test; /* test NULL: none */
};

static cf_status parse_bytes(const struct trial *trial, size_t train_size, cfi_dataset *dataset, cf_error *error)
{
    cfi_data_settings settings = {.kind = CFI_DATA_CSV,
                                  .csv_label = trial->label,
                                  .csv_header = trial->header,
                                  .csv_standardise = trial->standardise,
                                  .csv_label_name = "kind"};
    cfi_csv_text train = {"train.csv", calloc(train_size + 1, 1), train_size};
    cfi_csv_text test = {"test.csv", NULL, 0};
    memcpy(train.bytes, trial->train, train_size);
    if (trial->test != NULL) {
        test.size = strlen(trial->test);
        test.bytes = calloc(test.size + 1, 1);
        memcpy(test.bytes, trial->test, test.size);
    }
    const cf_status status = cfi_csv_parse(&settings, train, test, dataset, error);
    free(train.bytes);
    free(test.bytes);
    return status;
}

static cf_status parse(const struct trial *trial, cfi_dataset *dataset, cf_error *error)
{
    return parse_bytes(trial, strlen(trial->train), dataset, error);
}

static void check_floats(const cfi_samples *samples, const float *expected, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (!(samples->floats[i] == expected[i])) {
            fail_msg("value %lld is %g, not %g", (long long)i, (double)samples->floats[i], (double)expected[i]);
        }
    }
}

static void numbers_and_a_last_label_are_read_without_a_header(void **state)
{
    (void)state;
    cfi_dataset dataset;
    cf_error error;
    const struct trial trial = {.label = CFI_CSV_LABEL_LAST, .train = "1,2.5,0\n-3e2,+4.,2\n.5,6E-1,2"};
    assert_int_equal(parse(&trial, &dataset, &error), CF_OK);
    assert_int_equal(dataset.channels, 2);
    assert_int_equal(dataset.height, 1);
    assert_int_equal(dataset.width, 1);
    assert_int_equal(dataset.features, 2);
    assert_int_equal(dataset.classes, 3);
    assert_null(dataset.class_names);
    assert_int_equal(dataset.train.count, 3);
    check_floats(&dataset.train, (float[]){1, 2.5f, -300, 4, 0.5f, 0.6f}, 6);
    assert_memory_equal(dataset.train.labels, ((int32_t[]){0, 2, 2}), 3 * sizeof(int32_t));
    assert_int_equal(dataset.test.count, 0);
    cfi_dataset_fini(&dataset);
}

static void text_labels_become_sorted_class_names(void **state)
{
    (void)state;
    cfi_dataset dataset;
    cf_error error;
    const struct trial trial = {.label = CFI_CSV_LABEL_NAME,
                                .train = "a,kind,b\r\n1,pear,2\r\n3,\"apple, \"\"red\"\"\",4\r\n5,pear,6\r\n"
                                         "7,Zitrone,8\r\n",
                                .test = "a,kind,b\n9,Zitrone,10\n"};
    assert_int_equal(parse(&trial, &dataset, &error), CF_OK);
    assert_int_equal(dataset.classes, 3);
    assert_string_equal(dataset.class_names[0], "Zitrone");
    assert_string_equal(dataset.class_names[1], "apple, \"red\"");
    assert_string_equal(dataset.class_names[2], "pear");
    assert_memory_equal(dataset.train.labels, ((int32_t[]){2, 1, 2, 0}), 4 * sizeof(int32_t));
    check_floats(&dataset.train, (float[]){1, 2, 3, 4, 5, 6, 7, 8}, 8);
    assert_int_equal(dataset.test.count, 1);
    assert_int_equal(dataset.test.labels[0], 0);
    check_floats(&dataset.test, (float[]){9, 10}, 2);
    cfi_dataset_fini(&dataset);
}

static void a_header_is_found_when_no_field_of_the_first_line_is_a_number(void **state)
{
    (void)state;
    static const struct {
        cfi_csv_label_kind label;
        const char *text;
        int64_t rows;
    } cases[] = {
        {CFI_CSV_LABEL_LAST, "a,b,c\n1,2,0\n", 1},
        {CFI_CSV_LABEL_LAST, "1,2,cat\n3,4,dog\n", 2},
        {CFI_CSV_LABEL_FIRST, "cat,1,2\ndog,3,4\n", 2},
        {CFI_CSV_LABEL_FIRST, "\xEF\xBB\xBFlabel,x,y\n0,1,2\n1,3,4\n", 2},
        {CFI_CSV_LABEL_LAST, " x ,\ty\t, z\n 1 ,\t2 , 1 \n", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cfi_dataset dataset;
        cf_error error;
        const struct trial trial = {.label = cases[i].label, .train = cases[i].text};
        assert_int_equal(parse(&trial, &dataset, &error), CF_OK);
        assert_int_equal(dataset.train.count, cases[i].rows);
        assert_int_equal(dataset.features, 2);
        cfi_dataset_fini(&dataset);
    }
}

static void quoted_fields_may_hold_newlines_and_numbers(void **state)
{
    (void)state;
    cfi_dataset dataset;
    cf_error error;
    const struct trial trial = {.label = CFI_CSV_LABEL_LAST, .train = "\"1\",\"two\nlines\"\n\" \" ,x\n"};
    assert_int_equal(parse(&trial, &dataset, &error), CF_E_DATA);
    assert_string_equal(error.text, "train.csv:3:1: column 1: ' ' is not a number");
    const struct trial right = {.label = CFI_CSV_LABEL_LAST, .train = "\"1\" , \"two\nlines\"\n\"2\",x\n"};
    assert_int_equal(parse(&right, &dataset, &error), CF_OK);
    assert_string_equal(dataset.class_names[0], "two\nlines");
    check_floats(&dataset.train, (float[]){1, 2}, 2);
    cfi_dataset_fini(&dataset);
}

static void standardised_columns_use_the_training_rows_alone(void **state)
{
    (void)state;
    cfi_dataset dataset;
    cf_error error;
    const struct trial trial = {.label = CFI_CSV_LABEL_LAST,
                                .standardise = true,
                                .train = "1600000001,0.1,0\n1600000003,0.1,1\n1600000005,0.1,1\n",
                                .test = "1600000007,0.6,1\n"};
    assert_int_equal(parse(&trial, &dataset, &error), CF_OK);
    const float high = (float)(2 / sqrt(8.0 / 3)); /* the mean is ...03, the variance (4 + 0 + 4) / 3 */
    check_floats(&dataset.train, (float[]){-high, 0, 0, 0, high, 0}, 6);
    check_floats(&dataset.test, (float[]){(float)(4 / sqrt(8.0 / 3)), (float)(0.6 - 0.1)}, 2);
    assert_true(dataset.column_mean[1] == 0.1f);
    assert_true(dataset.column_deviation[0] == (float)sqrt(8.0 / 3));
    assert_true(dataset.column_deviation[1] == 1.0f);
    cfi_dataset_fini(&dataset);
}

static void the_host_programs_locale_changes_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8"};
    const char *set = NULL;
    for (size_t i = 0; set == NULL && i < sizeof names / sizeof *names; i++) {
        set = setlocale(LC_NUMERIC, names[i]);
    }
    if (set == NULL) {
        print_message("no locale with a decimal comma is installed\n");
        skip();
    }
    cfi_dataset dataset;
    cf_error error;
    const struct trial trial = {.label = CFI_CSV_LABEL_LAST, .train = "0.12345678901234567890123,1.5,0\n"};
    const cf_status status = parse(&trial, &dataset, &error);
    setlocale(LC_NUMERIC, "C");
    assert_int_equal(status, CF_OK);
    check_floats(&dataset.train, (float[]){0.12345678901234567890123f, 1.5f}, 2);
    cfi_dataset_fini(&dataset);
}

static const struct {
    struct trial trial;
    cf_status status;
    const char *message;
} broken_texts[] = {
    {{.train = ""}, CF_E_DATA, "train.csv:1:1: the file is empty"},
    {{.train = "a,b\n"}, CF_E_DATA, "train.csv:2:1: no rows after the header"},
    {{.train = "1\n2\n"}, CF_E_DATA,
     "train.csv:1:1: one column; a label and at least one value are needed (separated by commas)"},
    {{.train = "1,2,0\n1,0\n"}, CF_E_DATA, "train.csv:2:1: 2 columns where the first line has 3"},
    {{.train = "1,2,0\n1,2,0,\n"}, CF_E_DATA, "train.csv:2:1: 4 columns where the first line has 3"},
    {{.train = "1,2,0\n\n1,2,0\n"}, CF_E_DATA, "train.csv:2:1: an empty line"},
    {{.train = "1,2,0\r\n\r\n"}, CF_E_DATA, "train.csv:2:1: an empty line"},
    {{.train = "1,2,0\n1,,0\n"}, CF_E_DATA, "train.csv:2:3: column 2: the value is missing"},
    {{.train = "x,y,z\n1,2,0\n1, ,0\n"}, CF_E_DATA, "train.csv:3:4: column 'y': the value is missing"},
    {{.train = "1,2,0\n1,2,\n"}, CF_E_DATA, "train.csv:2:5: the label is missing"},
    {{.train = "x,y,z\n1,nan,0\n"}, CF_E_DATA, "train.csv:2:3: column 'y': 'nan' is not a finite number"},
    {{.train = "1,nan,0\n"}, CF_E_DATA, "train.csv:1:3: column 2: 'nan' is not a finite number"},
    {{.train = "nan,nan,0\n"}, CF_E_DATA, "train.csv:1:1: column 1: 'nan' is not a finite number"},
    {{.train = "1,2,0\n-inf,2,0\n"}, CF_E_DATA, "train.csv:2:1: column 1: '-inf' is not a finite number"},
    {{.train = "1,2,0\n1,NA,0\n"}, CF_E_DATA, "train.csv:2:3: column 2: 'NA' is not a finite number"},
    {{.train = "1,2,0\n1,1e39,0\n"}, CF_E_DATA, "train.csv:2:3: column 2: '1e39' is too large for 32-bit floats"},
    {{.train = "1,2,0\n1,-1e999,0\n"}, CF_E_DATA,
     "train.csv:2:3: column 2: '-1e999' is too large for 32-bit floats"},
    {{.train = "1,2,0\n1,0x10,0\n"}, CF_E_DATA, "train.csv:2:3: column 2: '0x10' is not a number"},
    {{.train = "1;2;0\n3;4;1\n"}, CF_E_DATA,
     "train.csv:1:1: one column; a label and at least one value are needed (separated by commas)"},
    {{.train = "1,2,0\n1,2 3,0\n"}, CF_E_DATA, "train.csv:2:3: column 2: '2 3' is not a number"},
    {{.train = "1,2,0\n1,\"2,5\",0\n"}, CF_E_DATA, "train.csv:2:3: column 2: '2,5' is not a number"},
    {{.train = "name,2020,0\n1,2,0\n"}, CF_E_DATA, "train.csv:1:1: column 1: 'name' is not a number"},
    {{.train = "1,2,0\n1,\"2,0\n"}, CF_E_DATA, "train.csv:2:3: the quote opened here is not closed"},
    {{.train = "1,2,0\n1,\"2\"x,0\n"}, CF_E_DATA, "train.csv:2:6: text after the closing quote"},
    {{.train = "1,2,0\n1,2\"x,0\n"}, CF_E_DATA, "train.csv:2:4: a quote inside a field that does not start with one"},
    {{.train = "1,2,0\r1,2,0\r"}, CF_E_DATA, "train.csv:1:6: a carriage return inside a line"},
    {{.header = CFI_CSV_HEADER_NO, .train = "x,y,z\n1,2,0\n"}, CF_E_DATA,
     "train.csv:1:1: column 1: 'x' is not a number"},
    {{.header = CFI_CSV_HEADER_YES, .train = "1,2,0\n"}, CF_E_DATA, "train.csv:2:1: no rows after the header"},
    {{.label = CFI_CSV_LABEL_NAME, .train = "1,2,0\n"}, CF_E_CONFIG,
     "train.csv:1:1: label 'kind' needs a header line with the columns' names"},
    {{.label = CFI_CSV_LABEL_NAME, .train = "x,y,z\n1,2,0\n"}, CF_E_CONFIG,
     "train.csv:1:1: no column is named 'kind' (the last is 'z')"},
    {{.label = CFI_CSV_LABEL_NAME, .train = "kind,y,kind\n1,2,0\n"}, CF_E_DATA,
     "train.csv:1:1: columns 1 and 3 are both named 'kind'"},
    {{.train = "1,2,0\n1,2,65536\n"}, CF_E_LIMIT,
     "train.csv:2:5: label '65536': more than the limit of 65536 classes (is this the label's column?)"},
    {{.train = "1,2,0\n", .test = ""}, CF_E_DATA, "test.csv:1:1: the file is empty"},
    {{.train = "1,2,0\n", .test = "1,0\n"}, CF_E_DATA, "test.csv:1:1: 2 columns where train.csv has 3"},
    {{.train = "x,y,z\n1,2,0\n", .test = "x,w,z\n1,2,0\n"}, CF_E_DATA,
     "test.csv:1:3: column 2 is 'w' where train.csv has 'y'"},
    {{.train = "1,2,0\n1,2,2\n", .test = "1,2,1\n1,2,3\n"}, CF_E_DATA,
     "test.csv:2:5: label '3' does not occur in train.csv"},
    {{.train = "1,2,cat\n", .test = "1,2,cow\n"}, CF_E_DATA, "test.csv:1:5: label 'cow' does not occur in train.csv"},
    {{.standardise = true, .train = "0,0\n4e-38,0\n", .test = "3e38,0\n"}, CF_E_DATA,
     "test.csv:1:1: standardised value 1 is too large for 32-bit floats"},
};

static void every_broken_text_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken_texts / sizeof *broken_texts; i++) {
        cfi_dataset dataset = {.channels = 77};
        cf_error error = {.text = ""};
        const cf_status status = parse(&broken_texts[i].trial, &dataset, &error);
        if (status == CF_OK) {
            cfi_dataset_fini(&dataset);
        }
        assert_string_equal(error.text, broken_texts[i].message);
        assert_int_equal(status, broken_texts[i].status);
        assert_int_equal(dataset.channels, 77);
    }
}

static void nul_bytes_are_refused(void **state)
{
    (void)state;
    cfi_dataset dataset;
    cf_error error;
    const struct trial plain = {.train = "1,2\0,0\n"}, quoted = {.train = "1,\"2\0\",0\n"};
    assert_int_equal(parse_bytes(&plain, 7, &dataset, &error), CF_E_DATA);
    assert_string_equal(error.text, "train.csv:1:4: a NUL byte");
    assert_int_equal(parse_bytes(&quoted, 9, &dataset, &error), CF_E_DATA);
    assert_string_equal(error.text, "train.csv:1:5: a NUL byte");
}

/* One more label text than the limit. */
static void too_many_class_names_are_refused(void **state)
{
    (void)state;
    cfi_dataset dataset;
    cf_error error;
    const size_t size = 10 * (CFI_CLASS_COUNT_MAX + 1);
    char *text = calloc(size + 1, 1);
    assert_non_null(text);
    for (unsigned i = 0; i <= CFI_CLASS_COUNT_MAX; i++) {
        snprintf(text + 10 * i, 11, "1,c%06u\n", i % 1000000);
    }
    struct trial trial = {.train = text};
    assert_int_equal(parse(&trial, &dataset, &error), CF_E_LIMIT);
    assert_string_equal(error.text, "train.csv:65537:3: label 'c065536': more than the limit of 65536 classes (is this "
                                    "the label's column?)");
    assert_int_equal(parse_bytes(&trial, size - 10, &dataset, &error), CF_OK);
    assert_int_equal(dataset.classes, CFI_CLASS_COUNT_MAX);
    cfi_dataset_fini(&dataset);
    free(text);
}

static void files_are_loaded_and_missing_ones_named(void **state)
{
    (void)state;
    struct test_folder folder;
    cfi_data_settings settings = {.kind = CFI_DATA_CSV, .csv_label = CFI_CSV_LABEL_FIRST};
    cfi_dataset dataset;
    cf_error error;
    int64_t shape[3], classes;
    test_folder_init(&folder);
    test_path(&folder, "train.csv", settings.csv_train);
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_E_NOT_FOUND);
    test_message(&folder, &error, "train.csv: cannot open: No such file or directory");
    test_write_text(&folder, "train.csv", "0,1,2,3\n1,4,5,6\n");
    test_path(&folder, "test.csv", settings.csv_test);
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_E_NOT_FOUND);
    test_message(&folder, &error, "test.csv: cannot open: No such file or directory");
    test_write_text(&folder, "test.csv", "1,7,8,9\n");
    assert_int_equal(cfi_dataset_load(&settings, &dataset, &error), CF_OK);
    check_floats(&dataset.train, (float[]){1, 2, 3, 4, 5, 6}, 6);
    check_floats(&dataset.test, (float[]){7, 8, 9}, 3);
    cfi_dataset_fini(&dataset);
    assert_int_equal(cfi_dataset_shape(&settings, shape, &classes, &error), CF_OK);
    assert_memory_equal(shape, ((int64_t[]){3, 1, 1}), sizeof shape);
    assert_int_equal(classes, 2);
    test_folder_fini(&folder);
}

static void every_failing_allocation_is_an_error_without_a_leak(void **state)
{
    (void)state;
    const struct trial trial = {.label = CFI_CSV_LABEL_NAME,
                                .standardise = true,
                                .train = "a,kind,b\n1,pear,2\n3,apple,4\n",
                                .test = "a,kind,b\n9,apple,10\n"};
    cf_status status = CF_E_MEMORY;
    uint64_t successes = 0;
    for (; status != CF_OK; successes++) {
        cfi_dataset dataset = {.channels = 77};
        cf_error error;
        cfi_alloc_fail_after(successes);
        status = parse(&trial, &dataset, &error);
        cfi_alloc_fail_after(UINT64_MAX);
        if (status == CF_OK) {
            cfi_dataset_fini(&dataset);
        } else {
            assert_int_equal(status, CF_E_MEMORY);
            assert_int_equal(dataset.channels, 77);
        }
    }
    assert_true(successes > 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_a_last_label_are_read_without_a_header),
        cmocka_unit_test(text_labels_become_sorted_class_names),
        cmocka_unit_test(a_header_is_found_when_no_field_of_the_first_line_is_a_number),
        cmocka_unit_test(quoted_fields_may_hold_newlines_and_numbers),
        cmocka_unit_test(standardised_columns_use_the_training_rows_alone),
        cmocka_unit_test(the_host_programs_locale_changes_nothing),
        cmocka_unit_test(every_broken_text_is_refused_with_its_place),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(too_many_class_names_are_refused),
        cmocka_unit_test(files_are_loaded_and_missing_ones_named),
        cmocka_unit_test(every_failing_allocation_is_an_error_without_a_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
