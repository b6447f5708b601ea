/* Questions to the network as it is ("what is this digit?"), beside the training and without any promise but one: the
 * answer is that of the weights of one step. They carry the step, and wait where they are until it comes; whoever has
 * gone on already drops them, and the source puts them again. */
#include "base/alloc.h"
#include "shard/parts.h"

enum { EDGE_FORWARD = 0 };

void part_question_done(cfi_machine *machine, part_question *question)
{
    for (int i = 0; question->frames != NULL && i < machine->inbox.edges[EDGE_FORWARD].count; i++) {
        cfi_frame_unref(question->frames[i]);
    }
    cfi_free(question->frames);
    *question = (part_question){.frames = NULL};
}

void part_questions_clear(cfi_machine *machine)
{
    for (int i = 0; i < PART_QUESTIONS_MAX; i++) {
        part_question_done(machine, &machine->questions[i]);
    }
}

/* The question's place: its own, a free one, or that of one whose step is over; NULL when there is none. */
static part_question *find_place(cfi_machine *machine, const cfi_frame_header *header)
{
    part_question *place = NULL;
    for (int i = 0; i < PART_QUESTIONS_MAX; i++) {
        part_question *question = &machine->questions[i];
        if (question->frames != NULL && question->number == header->micro && question->step == (int64_t)header->step) {
            return question;
        }
        if (question->frames == NULL || question->step < machine->step) {
            place = question;
        }
    }
    if (place != NULL) {
        part_question_done(machine, place);
        place->step = (int64_t)header->step;
        place->number = header->micro;
        place->frames = cfi_calloc((size_t)machine->inbox.edges[EDGE_FORWARD].count, sizeof(cfi_frame *));
        if (place->frames == NULL) {
            part_out_of_memory(machine);
            return NULL;
        }
    }
    return place;
}

void part_take_question(cfi_machine *machine, cfi_frame *frame)
{
    const cfi_frame_header *header = &frame->header;
    if (machine->role->fits_question == NULL || part_inbox_edge(&machine->inbox, header) != EDGE_FORWARD ||
        (int64_t)header->step < machine->step || header->step > (uint64_t)(machine->head + machine->work->window) ||
        !machine->role->fits_question(machine, frame)) {
        return;
    }
    part_question *question = find_place(machine, header);
    const uint32_t place = header->source_unit - machine->inbox.edges[EDGE_FORWARD].first_unit;
    if (question != NULL && question->frames[place] == NULL) {
        question->frames[place] = cfi_frame_ref(frame);
        question->received++;
    }
}

/* All frames of a question have the same number of rows, or somebody is broken: then it is dropped. */
static bool is_even(const part_question *question, int count)
{
    for (int i = 1; i < count; i++) {
        if (question->frames[i]->header.rows != question->frames[0]->header.rows) {
            return false;
        }
    }
    return true;
}

part_question *part_whole_question(cfi_machine *machine)
{
    const int count = machine->inbox.edges[EDGE_FORWARD].count;
    for (int i = 0; i < PART_QUESTIONS_MAX; i++) {
        part_question *question = &machine->questions[i];
        if (question->frames == NULL || question->received < count || question->step != machine->step) {
            continue;
        }
        if (is_even(question, count)) {
            return question;
        }
        part_question_done(machine, question);
    }
    return NULL;
}
