/* The MNIST examples; skipped (exit code 77) where the data are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "golden/golden.h"

#define SKIPPED 77

static const golden_example mlp = {"mnist-mlp", "examples/mnist/mlp.yaml", 60};
static const golden_example wide = {"mnist-mlp-512", "examples/mnist/mlp-512.yaml", 12};
static const golden_example nielsen = {"mnist-nielsen", "examples/mnist/nielsen.yaml", 60};
static const golden_example lenet = {"mnist-lenet", "examples/mnist/lenet.yaml", 12};

static void mlp_trains_to_the_committed_bits(void **state)
{
    (void)state;
    golden_check(&mlp);
}

static void mlp_512_trains_to_the_committed_bits(void **state)
{
    (void)state;
    golden_check(&wide);
}

static void nielsen_trains_to_the_committed_bits(void **state)
{
    (void)state;
    golden_check(&nielsen);
}

static void lenet_trains_to_the_committed_bits(void **state)
{
    (void)state;
    golden_check(&lenet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mlp_trains_to_the_committed_bits),
        cmocka_unit_test(mlp_512_trains_to_the_committed_bits),
        cmocka_unit_test(nielsen_trains_to_the_committed_bits),
        cmocka_unit_test(lenet_trains_to_the_committed_bits),
    };
    cf_error error = {CF_OK, ""};
    setenv("CUTTLEFISH_DATA", CF_SOURCE_DIR "/data/mnist", 0); /* where `data get` puts it from the source folder */
    if (golden_find_data(&mlp, &error) == CF_E_NOT_FOUND) {
        printf("SKIPPED: %s\n", error.text);
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
