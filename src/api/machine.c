/* What is not about one network: the version, texts, this machine. */
#include "api/handles.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "config/config.h"
#include "numerics/kernels.h"

#define TEXT_OF(number) #number
#define VERSION(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *cf_version(void)
{
    return VERSION(CF_VERSION_MAJOR, CF_VERSION_MINOR, CF_VERSION_PATCH);
}

void cf_string_free(char *text)
{
    cfi_free(text);
}

cf_status cfi_threads_check(int threads, cf_error *error)
{
    if (threads < 0 || threads > CFI_THREAD_COUNT_MAX) {
        return cfi_fail(error, CF_E_USAGE, "threads: %d is not from 1 to %d, or 0 for the default", threads,
                        CFI_THREAD_COUNT_MAX);
    }
    return CF_OK;
}

cf_status cf_kernels_name(const char **name_out, cf_error *error)
{
    const cfi_kernels *kernels = NULL;
    CFI_TRY(cfi_kernels_choose(&kernels, error));
    *name_out = kernels->name;
    return CF_OK;
}

cf_status cf_configuration_document(char **text_out, cf_error *error)
{
    return cfi_config_document(text_out, error);
}
