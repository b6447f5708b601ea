#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "numerics/tables.h"

#if defined(__x86_64__)
#define HAS_X86 1
#else
#define HAS_X86 0
#endif

const cfi_kernels *const *cfi_kernels_usable(int *count_out)
{
#if HAS_X86
    static const cfi_kernels *const all[] = {&cfi_kernels_avx512, &cfi_kernels_avx2, &cfi_kernels_scalar};
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    const int skipped = avx512 ? 0 : avx2 ? 1 : 2;
    *count_out = 3 - skipped;
    return all + skipped;
#elif defined(__aarch64__)
    static const cfi_kernels *const all[] = {&cfi_kernels_neon, &cfi_kernels_scalar};
    *count_out = 2;
    return all;
#else
    static const cfi_kernels *const all[] = {&cfi_kernels_scalar};
    *count_out = 1;
    return all;
#endif
}

cf_status cfi_kernels_choose(const cfi_kernels **kernels_out, cf_error *error)
{
    int count;
    const cfi_kernels *const *usable = cfi_kernels_usable(&count);
    const char *wish = getenv("CUTTLEFISH_KERNELS");
    if (wish == NULL || wish[0] == '\0') {
        *kernels_out = usable[0];
        return CF_OK;
    }
    char names[64] = "";
    for (int i = 0; i < count; i++) {
        if (strcmp(usable[i]->name, wish) == 0) {
            *kernels_out = usable[i];
            return CF_OK;
        }
        const size_t length = strlen(names);
        cfi_copy_name(names + length, sizeof names - length, i == 0 ? "" : ", ");
        const size_t with_comma = strlen(names);
        cfi_copy_name(names + with_comma, sizeof names - with_comma, usable[i]->name);
    }
    return cfi_fail(error, CF_E_USAGE, "CUTTLEFISH_KERNELS=%s: unknown, or not for this processor (usable: %s)", wish,
                    names);
}
