#include "base/alloc.h"
#include "shard/parts.h"

cf_status part_inbox_init(part_inbox *inbox, int64_t step_count, cf_error *error)
{
    inbox->steps = cfi_calloc((size_t)step_count, sizeof *inbox->steps);
    inbox->step_count = step_count;
    return inbox->steps != NULL ? CF_OK : cfi_fail_memory(error, "the inbox");
}

static void group_free(part_inbox *inbox, part_group *group)
{
    for (int i = 0; i < inbox->edges[group->edge].count; i++) {
        inbox->frames -= group->frames[i] != NULL;
        cfi_frame_unref(group->frames[i]);
    }
    cfi_free(group->frames);
    cfi_free(group->hashes);
    cfi_free(group);
}

static part_group *group_new(const part_inbox *inbox, int edge, int64_t step, uint32_t micro)
{
    part_group *group = cfi_calloc(1, sizeof *group);
    if (group == NULL) {
        return NULL;
    }
    group->edge = edge;
    group->step = step;
    group->micro = micro;
    group->frames = cfi_calloc((size_t)inbox->edges[edge].count, sizeof(cfi_frame *));
    group->hashes = cfi_calloc((size_t)inbox->edges[edge].count, sizeof *group->hashes);
    if (group->frames == NULL || group->hashes == NULL) {
        cfi_free(group->frames);
        cfi_free(group->hashes);
        cfi_free(group);
        return NULL;
    }
    return group;
}

/* Frees the groups of one list whose step is below `below`. */
static void list_forget(part_inbox *inbox, part_group **list, int64_t below)
{
    while (*list != NULL) {
        part_group *group = *list;
        if (group->step < below) {
            *list = group->next;
            group_free(inbox, group);
        } else {
            list = &group->next;
        }
    }
}

void part_inbox_forget(part_inbox *inbox, int64_t below)
{
    for (int64_t i = 0; i < inbox->step_count; i++) {
        list_forget(inbox, &inbox->steps[i], below);
    }
}

void part_inbox_clear(part_inbox *inbox)
{
    if (inbox->steps != NULL) {
        part_inbox_forget(inbox, INT64_MAX);
    }
}

void part_inbox_fini(part_inbox *inbox)
{
    part_inbox_clear(inbox);
    cfi_free(inbox->steps);
    inbox->steps = NULL;
}

void part_inbox_add_edge(part_inbox *inbox, cfi_frame_kind kind, int first_unit, int count)
{
    inbox->edges[inbox->edge_count++] = (part_edge){(uint8_t)kind, (uint32_t)first_unit, count};
}

int part_inbox_edge(const part_inbox *inbox, const cfi_frame_header *header)
{
    for (int i = 0; i < inbox->edge_count; i++) {
        const part_edge *edge = &inbox->edges[i];
        if (edge->kind == header->kind && header->source_unit >= edge->first_unit &&
            header->source_unit - edge->first_unit < (uint32_t)edge->count) {
            return i;
        }
    }
    return -1;
}

part_group *part_inbox_find(const part_inbox *inbox, int edge, int64_t step, int64_t micro)
{
    part_group *group = inbox->steps[step % inbox->step_count];
    while (group != NULL && (group->step != step || group->edge != edge || group->micro != micro)) {
        group = group->next;
    }
    return group;
}

part_taken part_inbox_add(part_inbox *inbox, int edge, cfi_frame *frame)
{
    const cfi_frame_header *header = &frame->header;
    const int64_t step = (int64_t)header->step;
    part_group *group = part_inbox_find(inbox, edge, step, header->micro);
    if (group == NULL) {
        group = group_new(inbox, edge, step, header->micro);
        if (group == NULL) {
            return PART_NO_MEMORY;
        }
        part_group **list = &inbox->steps[step % inbox->step_count];
        group->next = *list;
        *list = group;
    }
    const uint32_t place = header->source_unit - inbox->edges[edge].first_unit;
    if (group->hashes[place] != 0) { /* a hash of 0 is as good as never */
        return group->hashes[place] == frame->payload_hash ? PART_DUPLICATE : PART_DIVERGED;
    }
    if (group->frames[place] == NULL) {
        inbox->frames++;
    }
    cfi_frame_unref(group->frames[place]);
    group->hashes[place] = frame->payload_hash;
    group->frames[place] = cfi_frame_ref(frame);
    group->received++;
    return PART_TAKEN;
}

cfi_frame *const *part_inbox_whole(const part_inbox *inbox, int edge, int64_t step, int64_t micro)
{
    const part_group *group = part_inbox_find(inbox, edge, step, micro);
    return group != NULL && !group->is_used && group->received >= inbox->edges[edge].count ? group->frames : NULL;
}

void part_inbox_use(part_inbox *inbox, int edge, int64_t step, int64_t micro)
{
    part_group *group = part_inbox_find(inbox, edge, step, micro);
    for (int i = 0; group != NULL && i < inbox->edges[edge].count; i++) {
        inbox->frames -= group->frames[i] != NULL;
        cfi_frame_unref(group->frames[i]);
        group->frames[i] = NULL;
    }
    if (group != NULL) {
        group->is_used = true;
    }
}
