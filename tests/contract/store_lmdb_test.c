/* The contract of stores, kept by LMDB. */
#include "store_contract.h"

int main(void)
{
    const store_subject subject = {.name = "lmdb", .is_lasting = true, .is_exclusive = true, .full_size = 4 << 20,
                                   .full_cure = "raise", .value_max = (size_t)8 << 20};
    return store_contract_run(&subject);
}
