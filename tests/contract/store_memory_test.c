/* The contract of stores, kept by the one in memory: it forgets, and nobody else can reach it. */
#include "store_contract.h"

int main(void)
{
    const store_subject subject = {.name = "memory", .full_size = 4 << 20, .full_cure = "raise",
                                   .value_max = (size_t)8 << 20};
    return store_contract_run(&subject);
}
