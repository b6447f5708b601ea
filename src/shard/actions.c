#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "shard/parts.h"

static void action_fini(cfi_action *action)
{
    cfi_frame_unref(action->frame);
    cfi_free(action->bytes);
}

void cfi_actions_clear(cfi_actions *actions)
{
    for (int i = 0; i < actions->count; i++) {
        action_fini(&actions->items[i]);
    }
    actions->count = 0;
    actions->is_short = false;
}

void cfi_actions_fini(cfi_actions *actions)
{
    cfi_actions_clear(actions);
    cfi_free(actions->items);
    *actions = (cfi_actions){NULL, 0, 0, false};
}

cfi_action *part_add_action(cfi_machine *machine, cfi_action_kind kind)
{
    cfi_actions *actions = machine->actions;
    if (actions->count == actions->capacity) {
        const int capacity = actions->capacity * 2 + 8;
        cfi_action *items = cfi_realloc(actions->items, (size_t)capacity, sizeof *items);
        if (items == NULL) {
            actions->is_short = true;
            return NULL;
        }
        actions->items = items;
        actions->capacity = capacity;
    }
    cfi_action *action = &actions->items[actions->count++];
    memset(action, 0, sizeof *action);
    action->kind = kind;
    return action;
}

void part_send(cfi_machine *machine, cfi_frame *frame, const uint32_t *targets, int count)
{
    cfi_action *action = count > 0 ? part_add_action(machine, CFI_ACTION_SEND) : NULL;
    if (action != NULL) {
        action->frame = cfi_frame_ref(frame);
        action->targets = targets;
        action->target_count = count;
    }
}

/* `targets` would move when the array of actions grows, so one target is read from the action itself. */
void part_send_to(cfi_machine *machine, cfi_frame *frame, uint32_t target)
{
    cfi_action *action = part_add_action(machine, CFI_ACTION_SEND);
    if (action != NULL) {
        action->frame = cfi_frame_ref(frame);
        action->target = target;
        action->is_single = true;
        action->target_count = 1;
    }
}

void part_note(cfi_machine *machine, const char *format, ...)
{
    va_list arguments;
    cfi_action *action = part_add_action(machine, CFI_ACTION_NOTE);
    if (action != NULL) {
        va_start(arguments, format);
        vsnprintf(action->text, sizeof action->text, format, arguments);
        va_end(arguments);
    }
}

static void fail(cfi_machine *machine, bool is_replaced, const char *format, va_list arguments)
{
    vsnprintf(machine->failure, sizeof machine->failure, format, arguments);
    machine->phase = PART_FAILED;
    cfi_action *action = part_add_action(machine, CFI_ACTION_FAIL);
    if (action != NULL) {
        action->is_replaced = is_replaced;
        snprintf(action->text, sizeof action->text, "%s", machine->failure);
    }
}

void part_fail(cfi_machine *machine, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail(machine, false, format, arguments);
    va_end(arguments);
}

void part_end_replaced(cfi_machine *machine, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail(machine, true, format, arguments);
    va_end(arguments);
}

void part_out_of_memory(cfi_machine *machine)
{
    machine->actions->is_short = true;
}
