#include "api/handles.h"
#include "base/alloc.h"

size_t cf_problems_count(const cf_problems *problems)
{
    return problems != NULL ? problems->list.count : 0;
}

cf_problem cf_problems_get(const cf_problems *problems, size_t index)
{
    if (index >= cf_problems_count(problems)) {
        return (cf_problem){"", 0, 0, "", ""};
    }
    const cfi_problem *problem = &problems->list.items[index];
    return (cf_problem){problem->file, problem->mark.line, problem->mark.column, problem->path, problem->text};
}

void cf_problems_free(cf_problems *problems)
{
    if (problems != NULL) {
        cfi_problems_fini(&problems->list);
        cfi_free(problems);
    }
}
