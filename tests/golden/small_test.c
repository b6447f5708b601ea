/* The examples whose data are in the repository. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "golden/golden.h"

static void xor_trains_to_the_committed_bits(void **state)
{
    (void)state;
    golden_check(&(golden_example){"xor", "examples/xor/xor.yaml", 60});
}

static void spirals_train_to_the_committed_bits(void **state)
{
    (void)state;
    golden_check(&(golden_example){"csv-spirals", "examples/csv/spirals.yaml", 60});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xor_trains_to_the_committed_bits),
        cmocka_unit_test(spirals_train_to_the_committed_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
