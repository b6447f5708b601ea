#include "engine/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/digest.h"
#include "engine/engine.h"
#include "engine/run.h"
#include "learn/schedule.h"
#include "store/checkpoint.h"

enum {
    METRICS_EVERY = 100,       /* steps between metrics lines within an epoch */
    CLOCK_EVERY_MAX = 1024     /* steps between two looks at the clock, at most */
};
#define EVENT_INTERVAL_NS 50000000u   /* at most 20 step events a second */
#define FLUSH_INTERVAL_NS 1000000000u
#define CLOCK_FINE_NS 2000000u        /* looks at the clock are to be 2 to 10 ms apart */
#define CLOCK_COARSE_NS 10000000u

typedef struct trainer {
    const cfi_train_job *job;
    const cfi_training_settings *training;
    cfi_engine *engine;
    const cfi_tensor *tensors;
    int tensor_count, parameter_count;
    cfi_batches batches;
    int64_t *indices;          /* (batch) of the current step, or of an evaluation */
    int64_t *next_indices;     /* (batch) of step next_step, asked for while the one before is computed */
    int64_t next_step, next_rows;
    int64_t step_count;        /* where this call stops */
    cfi_progress progress;
    cfi_run run;
    bool has_run, run_open, cancelled;
    int64_t checkpoint_step;   /* of the newest durable checkpoint; -1 = none */
    int64_t evaluated_step;    /* that the four figures below belong to; -1 = none */
    double validation_loss, validation_accuracy, test_loss, test_accuracy; /* NaN where there is no such set */
    float rate;
    /* Time, for people only. */
    uint64_t segment_start_ns, last_look_ns, last_event_ns, last_flush_ns;
    int64_t clock_every, until_clock;
    int64_t session_samples;   /* at the start of this call, as session_seconds */
    double session_seconds;
    char text[CF_ERROR_TEXT_SIZE + 64];
} trainer;

/* ---- Events ---- */

static double speed(const trainer *t)
{
    const double seconds = t->progress.seconds - t->session_seconds;
    return seconds > 0 ? (double)(t->progress.samples - t->session_samples) / seconds : (double)NAN;
}

static int64_t current_epoch(const trainer *t)
{
    const int64_t last_step = t->progress.step > 0 ? t->progress.step - 1 : 0;
    return last_step / t->batches.steps_per_epoch + 1;
}

static double mean_loss(const trainer *t)
{
    return t->progress.epoch_samples > 0 ? t->progress.epoch_loss_sum / (double)t->progress.epoch_samples
                                         : (double)NAN;
}

static double mean_accuracy(const trainer *t)
{
    return t->progress.epoch_samples > 0 ? (double)t->progress.epoch_correct / (double)t->progress.epoch_samples
                                         : (double)NAN;
}

static void tell(trainer *t, cf_event_kind kind, const char *text)
{
    const cf_train_options *options = &t->job->options;
    if (options->on_event == NULL) {
        return;
    }
    const double samples_left = (double)(t->step_count - t->progress.step) * (double)t->training->batch;
    const cf_event event = {
        .kind = kind,
        .step = t->progress.step, .step_count = t->step_count,
        .epoch = current_epoch(t), .epoch_count = t->training->epochs,
        .samples = t->progress.samples,
        .loss = mean_loss(t), .accuracy = mean_accuracy(t),
        .validation_loss = t->validation_loss, .validation_accuracy = t->validation_accuracy,
        .test_loss = t->test_loss, .test_accuracy = t->test_accuracy,
        .rate = (double)t->rate,
        .samples_per_second = speed(t), .seconds_left = samples_left / speed(t),
        .text = text,
    };
    if (options->on_event(options->user, &event) != 0 && kind != CF_EVENT_END) {
        t->cancelled = true;
    }
}

/* ---- The clock: it runs while steps are made and stands still for everything else ---- */

static void start_clock(trainer *t)
{
    t->segment_start_ns = t->last_look_ns = cfi_clock_ns();
    t->until_clock = t->clock_every;
}

static void stop_clock(trainer *t)
{
    const uint64_t now = cfi_clock_ns();
    t->progress.seconds += (double)(now - t->segment_start_ns) * 1e-9;
    t->segment_start_ns = now;
}

/* Step events and metrics flushes that are due. Reading the clock must not cost tiny networks anything: the number of
 * steps until the next look adapts to their speed. */
static cf_status look_at_clock(trainer *t, cf_error *error)
{
    stop_clock(t);
    const uint64_t now = t->segment_start_ns, since = now - t->last_look_ns;
    if (since < CLOCK_FINE_NS && t->clock_every < CLOCK_EVERY_MAX) {
        t->clock_every *= 2;
    } else if (since > CLOCK_COARSE_NS && t->clock_every > 1) {
        t->clock_every /= 2;
    }
    if (t->has_run && now - t->last_flush_ns >= FLUSH_INTERVAL_NS) {
        t->last_flush_ns = now;
        CFI_TRY(cfi_run_flush_metrics(&t->run, error));
    }
    if (now - t->last_event_ns >= EVENT_INTERVAL_NS || t->progress.step == t->step_count) {
        t->last_event_ns = now;
        tell(t, CF_EVENT_STEP, "");
    }
    start_clock(t);
    return CF_OK;
}

/* ---- Evaluation ---- */

/* Mean loss and share of right answers over `samples`, in batches of the training's size; NaN when it is empty.
 * validation: the samples are those that the split took out of the training set. */
static cf_status evaluate_set(trainer *t, const cfi_samples *samples, int64_t count, bool validation, double *loss_out,
                              double *accuracy_out, cf_error *error)
{
    double loss_sum = 0;
    int64_t correct = 0;
    for (int64_t begin = 0; begin < count; begin += t->batches.batch) {
        const int64_t rows = count - begin < t->batches.batch ? count - begin : t->batches.batch;
        double batch_loss;
        int64_t batch_correct;
        for (int64_t i = 0; i < rows; i++) {
            t->indices[i] = validation ? cfi_batches_validation(&t->batches, begin + i) : begin + i;
        }
        CFI_TRY(cfi_engine_evaluate(t->engine, samples, t->indices, rows, &batch_loss, &batch_correct, NULL, error));
        loss_sum += batch_loss;
        correct += batch_correct;
    }
    *loss_out = count > 0 ? loss_sum / (double)count : (double)NAN;
    *accuracy_out = count > 0 ? (double)correct / (double)count : (double)NAN;
    return CF_OK;
}

static cf_status evaluate(trainer *t, cf_error *error)
{
    const cfi_dataset *dataset = t->job->dataset;
    if (t->evaluated_step == t->progress.step) {
        return CF_OK;
    }
    CFI_TRY(evaluate_set(t, &dataset->train, t->batches.validation_count, true, &t->validation_loss,
                         &t->validation_accuracy, error));
    CFI_TRY(evaluate_set(t, &dataset->test, dataset->test.count, false, &t->test_loss, &t->test_accuracy, error));
    t->evaluated_step = t->progress.step;
    return CF_OK;
}

/* ---- Early stopping ---- */

static bool is_epoch_end(const trainer *t)
{
    return t->progress.step > 0 && t->progress.step % t->batches.steps_per_epoch == 0;
}

/* Kept whether or not the file asks for early stopping, so that a resumed run may change its patience. */
static void note_validation(trainer *t)
{
    if (t->batches.validation_count == 0) {
        return;
    }
    if (t->validation_loss < t->progress.best_validation_loss - t->training->min_delta) {
        t->progress.best_validation_loss = t->validation_loss;
        t->progress.epochs_without_gain = 0;
    } else {
        t->progress.epochs_without_gain++;
    }
}

static bool is_out_of_patience(const trainer *t)
{
    return t->training->patience > 0 && is_epoch_end(t) && t->progress.epochs_without_gain >= t->training->patience;
}

/* ---- Metrics ---- */

static cf_status add_step_metrics(trainer *t, float loss, cf_error *error)
{
    cfi_line line;
    line.length = 0;
    line.overflow = false;
    cfi_line_integer(&line, "step", t->progress.step);
    cfi_line_real(&line, "loss", (double)loss);
    cfi_line_real(&line, "rate", (double)t->rate);
    cfi_line_end(&line);
    return t->has_run ? cfi_run_add_metrics(&t->run, &line, error) : CF_OK;
}

static cf_status add_epoch_metrics(trainer *t, cf_error *error)
{
    cfi_line line = {.length = 0};
    cfi_line_integer(&line, "epoch", current_epoch(t));
    cfi_line_integer(&line, "step", t->progress.step);
    cfi_line_integer(&line, "samples", t->progress.samples);
    cfi_line_real(&line, "loss", mean_loss(t));
    cfi_line_real(&line, "accuracy", mean_accuracy(t));
    cfi_line_real(&line, "validation_loss", t->validation_loss);
    cfi_line_real(&line, "validation_accuracy", t->validation_accuracy);
    cfi_line_real(&line, "test_loss", t->test_loss);
    cfi_line_real(&line, "test_accuracy", t->test_accuracy);
    cfi_line_real(&line, "rate", (double)t->rate);
    cfi_line_real(&line, "samples_per_second", speed(t));
    cfi_line_real(&line, "seconds", t->progress.seconds);
    cfi_line_end(&line);
    return t->has_run ? cfi_run_add_metrics(&t->run, &line, error) : CF_OK;
}

/* ---- The loop ---- */

/* The samples of `step` into t->indices. Those of the step after are drawn too, to be in the cache by then. */
static int64_t take_indices(trainer *t, int64_t step)
{
    if (t->next_step != step) {
        t->next_rows = cfi_batches_step(&t->batches, step, t->next_indices);
    }
    const int64_t rows = t->next_rows;
    int64_t *const taken = t->next_indices;
    t->next_indices = t->indices;
    t->indices = taken;
    t->next_step = step + 1;
    t->next_rows = cfi_batches_step(&t->batches, t->next_step, t->next_indices);
    cfi_engine_prefetch(t->engine, t->next_indices, t->next_rows);
    return rows;
}

/* One optimizer step and its bookkeeping; allocates nothing. */
static cf_status make_step(trainer *t, cfi_step_result *result, cf_error *error)
{
    cfi_progress *progress = &t->progress;
    const int64_t step = progress->step;
    if (step % t->batches.steps_per_epoch == 0) {
        progress->epoch_loss_sum = 0;
        progress->epoch_correct = progress->epoch_samples = 0;
    }
    const int64_t rows = take_indices(t, step);
    t->rate = cfi_schedule_rate(t->training, t->batches.steps_per_epoch, step);
    CFI_TRY(cfi_engine_step(t->engine, step, t->indices, rows, t->rate, result, error));
    progress->step++;
    progress->samples += rows;
    progress->epoch_samples += rows;
    progress->epoch_correct += result->correct;
    progress->epoch_loss_sum += (double)result->loss * (double)rows;
    if (progress->step % t->training->chain_every == 0) {
        progress->chain = cfi_hash_join(progress->chain, cfi_engine_state_hash(t->engine));
    }
    return CF_OK;
}

static cf_status write_checkpoint(trainer *t, cf_error *error)
{
    if (!t->has_run || t->checkpoint_step == t->progress.step) {
        return CF_OK;
    }
    CFI_TRY(cfi_run_flush_metrics(&t->run, error));
    CFI_TRY(cfi_checkpoint_write(t->run.folder, t->tensors, t->tensor_count, t->parameter_count, &t->progress,
                                 t->training->checkpoints_kept, error));
    t->checkpoint_step = t->progress.step;
    tell(t, CF_EVENT_CHECKPOINT, "");
    return CF_OK;
}

static cf_status end_epoch(trainer *t, cf_error *error)
{
    CFI_TRY(evaluate(t, error));
    note_validation(t);
    t->progress.stopped_early = is_out_of_patience(t);
    CFI_TRY(add_epoch_metrics(t, error));
    tell(t, CF_EVENT_EVALUATION, "");
    return CF_OK;
}

static bool is_checkpoint_due(const trainer *t)
{
    const int64_t every = t->training->checkpoint_every;
    return every > 0 ? t->progress.step % every == 0 : is_epoch_end(t);
}

/* What follows a step. The order is fixed, so that a checkpoint holds all that belongs to its step. */
static cf_status after_step(trainer *t, const cfi_step_result *result, cf_error *error)
{
    if (t->progress.step % METRICS_EVERY == 0) {
        CFI_TRY(add_step_metrics(t, result->loss, error));
    }
    if (--t->until_clock <= 0 || t->progress.step == t->step_count) {
        CFI_TRY(look_at_clock(t, error));
    }
    if (is_epoch_end(t) || is_checkpoint_due(t)) {
        stop_clock(t);
        if (is_epoch_end(t)) {
            CFI_TRY(end_epoch(t, error));
        }
        if (is_checkpoint_due(t)) {
            CFI_TRY(write_checkpoint(t, error));
        }
        start_clock(t);
    }
    return CF_OK;
}

static cf_status run_loop(trainer *t, cf_error *error)
{
    cfi_step_result result;
    start_clock(t);
    while (t->progress.step < t->step_count && !t->cancelled && !is_out_of_patience(t)) {
        CFI_TRY(make_step(t, &result, error));
        CFI_TRY(after_step(t, &result, error));
    }
    return CF_OK;
}

/* ---- Start ---- */

static cf_status check_job(const cfi_train_job *job, cf_error *error)
{
    const cfi_settings *settings = job->settings;
    if (settings->training.patience > 0 && settings->data.validation == 0) {
        return cfi_fail(error, CF_E_CONFIG, "training.patience: early stopping watches the validation loss, and "
                                            "data.validation is 0; set samples aside there, or set patience to 0");
    }
    if (job->options.no_run_folder && job->options.resume) {
        return cfi_fail(error, CF_E_USAGE, "resuming needs the run folder");
    }
    if (job->options.threads < 0 || job->options.threads > CFI_THREAD_COUNT_MAX) {
        return cfi_fail(error, CF_E_USAGE, "threads: %d is not from 0 to %d", job->options.threads,
                        CFI_THREAD_COUNT_MAX);
    }
    return CF_OK;
}

static cf_status find_step_count(trainer *t, cf_error *error)
{
    const int64_t per_epoch = t->batches.steps_per_epoch;
    if (per_epoch < 1 || t->training->epochs > INT64_MAX / per_epoch) {
        return cfi_fail(error, CF_E_LIMIT, "training.epochs: %" PRId64 " epochs of %" PRId64 " steps are too many",
                        t->training->epochs, per_epoch);
    }
    t->step_count = t->job->options.steps >= 0 ? t->job->options.steps : t->training->epochs * per_epoch;
    return CF_OK;
}

static void init_trainer(trainer *t, const cfi_train_job *job)
{
    t->job = job;
    t->training = &job->settings->training;
    t->has_run = !job->options.no_run_folder;
    t->progress.best_validation_loss = (double)INFINITY;
    t->checkpoint_step = t->evaluated_step = -1;
    t->validation_loss = t->validation_accuracy = t->test_loss = t->test_accuracy = (double)NAN;
    t->clock_every = 1;
}

static cf_status make_engine(trainer *t, cf_error *error)
{
    const cfi_train_job *job = t->job;
    const cfi_engine_options options = {
        .graph = job->graph, .training = t->training, .dataset = job->dataset, .seed = job->settings->seed,
        .batch_max = t->training->batch, .threads = job->options.threads,
    };
    CFI_TRY(cfi_batches_init(&t->batches, job->settings->seed, job->dataset->train.count,
                             job->settings->data.validation, t->training->batch, t->training->drop_last, error));
    CFI_TRY(find_step_count(t, error));
    t->indices = cfi_calloc((size_t)t->training->batch, sizeof *t->indices);
    t->next_indices = cfi_calloc((size_t)t->training->batch, sizeof *t->next_indices);
    t->next_step = -1;
    if (t->indices == NULL || t->next_indices == NULL) {
        return cfi_fail_memory(error, "the batch's sample indices");
    }
    CFI_TRY(cfi_engine_new(&options, &t->engine, error));
    t->tensors = cfi_engine_tensors(t->engine, &t->tensor_count, &t->parameter_count);
    return CF_OK;
}

/* Reads the newest whole checkpoint, if there is one, and refuses that of another training. */
static cf_status restore(trainer *t, cf_error *error)
{
    char note[CF_ERROR_TEXT_SIZE];
    cfi_progress progress;
    const cf_status status = cfi_checkpoint_read(t->run.folder, t->tensors, t->tensor_count, t->parameter_count,
                                                 &progress, note, error);
    if (status == CF_E_NOT_FOUND) {
        snprintf(t->text, sizeof t->text, "%s", note[0] == '\0' ? "" : "started anew: ");
        snprintf(t->text + strlen(t->text), sizeof t->text - strlen(t->text), "%s", note);
        return cfi_run_cut_metrics(&t->run, 0, error);
    }
    if (status == CF_E_SHAPE) {
        cfi_error_prefix(error, "%s: cannot resume, the network is another one", t->run.folder);
    }
    CFI_TRY(status);
    if (strcmp(progress.config_digest, t->progress.config_digest) != 0) {
        return cfi_fail(error, CF_E_CONFIG,
                        "%s: cannot resume: the network, its training settings, its data or its seed differ from what "
                        "this run was started with (see its network.yaml); restore them, or train without --resume",
                        t->run.folder);
    }
    t->progress = progress;
    t->checkpoint_step = progress.step;
    cfi_engine_weights_changed(t->engine);
    snprintf(t->text, sizeof t->text, "resumed at step %" PRId64 "%s%s", progress.step, note[0] == '\0' ? "" : "; ",
             note);
    return cfi_run_cut_metrics(&t->run, progress.step, error);
}

static cf_status open_run(trainer *t, cf_error *error)
{
    const cfi_train_job *job = t->job;
    if (!t->has_run) {
        return CF_OK;
    }
    CFI_TRY(cfi_config_digest(job->settings, job->graph, job->dataset, t->progress.config_digest, error));
    CFI_TRY(cfi_run_open(&t->run, job->settings->name, job->options.run_folder, job->options.resume != 0, error));
    t->run_open = true;
    if (t->run.continued) {
        CFI_TRY(restore(t, error));
    }
    return cfi_run_describe(&t->run, job->settings->name, job->settings->resolved_yaml, error);
}

/* ---- End ---- */

static void fill_figures(const trainer *t, cf_train_result *result)
{
    const bool evaluated = t->evaluated_step == t->progress.step;
    if (evaluated && t->job->dataset->test.count > 0) {
        result->loss = t->test_loss;
        result->accuracy = t->test_accuracy;
    } else if (evaluated && t->batches.validation_count > 0) {
        result->loss = t->validation_loss;
        result->accuracy = t->validation_accuracy;
    } else {
        result->loss = mean_loss(t);
        result->accuracy = mean_accuracy(t);
    }
}

static void fill_result(const trainer *t, cf_train_result *result)
{
    const cfi_progress *progress = &t->progress;
    cfi_hash chain = progress->chain;
    memset(result, 0, sizeof *result);
    if (progress->step == 0 || progress->step % t->training->chain_every != 0) {
        chain = cfi_hash_join(chain, cfi_engine_state_hash(t->engine));
    }
    cfi_hash_text(chain, result->chain);
    cfi_hash_text(cfi_engine_weights_hash(t->engine), result->weights);
    (void)cfi_copy_path(result->run_folder, t->run.folder);
    result->steps = progress->step;
    result->epochs = progress->step / t->batches.steps_per_epoch;
    result->samples = progress->samples;
    fill_figures(t, result);
    result->seconds = progress->seconds;
    result->samples_per_second = progress->seconds > 0 ? (double)progress->samples / progress->seconds : 0;
    snprintf(result->kernels, sizeof result->kernels, "%s", cfi_engine_kernels(t->engine));
    result->threads = cfi_engine_threads(t->engine);
}

static cf_status write_result(const trainer *t, const cf_train_result *result, cf_error *error)
{
    cfi_line line = {.length = 0};
    cfi_line_text(&line, "name", t->job->settings->name);
    cfi_line_integer(&line, "steps", result->steps);
    cfi_line_integer(&line, "epochs", result->epochs);
    cfi_line_integer(&line, "samples", result->samples);
    cfi_line_real(&line, "loss", result->loss);
    cfi_line_real(&line, "accuracy", result->accuracy);
    cfi_line_text(&line, "chain", result->chain);
    cfi_line_text(&line, "weights", result->weights);
    cfi_line_real(&line, "seconds", result->seconds);
    cfi_line_real(&line, "samples_per_second", result->samples_per_second);
    cfi_line_text(&line, "kernels", result->kernels);
    cfi_line_integer(&line, "threads", result->threads);
    cfi_line_end(&line);
    return cfi_run_write_result(&t->run, &line, error);
}

/* Last checkpoint, figures, result. */
static cf_status finish(trainer *t, bool cancelled, cf_train_result *result_out, cf_error *error)
{
    cf_train_result result;
    CFI_TRY(write_checkpoint(t, error));
    if (!cancelled) {
        CFI_TRY(evaluate(t, error));
    }
    fill_result(t, &result);
    if (t->has_run) {
        CFI_TRY(write_result(t, &result, error));
    }
    t->text[0] = '\0';
    if (is_out_of_patience(t)) {
        snprintf(t->text, sizeof t->text, "stopped early: no better validation loss for %" PRId64 " epochs",
                 t->progress.epochs_without_gain);
    }
    tell(t, CF_EVENT_END, t->text);
    *result_out = result;
    return CF_OK;
}

static cf_status train(trainer *t, cf_train_result *result_out, cf_error *error)
{
    CFI_TRY(make_engine(t, error));
    CFI_TRY(open_run(t, error));
    t->session_samples = t->progress.samples;
    t->session_seconds = t->progress.seconds;
    tell(t, CF_EVENT_START, t->text);
    const cf_status status = run_loop(t, error);
    if (status != CF_OK) {
        /* The metrics as far as it came; the first failure is the one to tell. */
        const cf_status flushed = t->has_run ? cfi_run_flush_metrics(&t->run, NULL) : CF_OK;
        (void)flushed;
        return status;
    }
    const bool cancelled = t->cancelled; /* what the last events ask for comes too late */
    CFI_TRY(finish(t, cancelled, result_out, error));
    return cancelled ? cfi_fail(error, CF_E_CANCELLED, "cancelled after step %" PRId64 "%s", t->progress.step,
                                t->has_run ? "; --resume goes on from there" : "")
                     : CF_OK;
}

cf_status cfi_train(const cfi_train_job *job, cf_train_result *result_out, cf_error *error)
{
    CFI_TRY(check_job(job, error));
    trainer *t = cfi_calloc(1, sizeof *t);
    if (t == NULL) {
        return cfi_fail_memory(error, "training");
    }
    init_trainer(t, job);
    const cf_status status = train(t, result_out, error);
    if (t->run_open) {
        cfi_run_close(&t->run);
    }
    cfi_engine_free(t->engine);
    cfi_free(t->indices);
    cfi_free(t->next_indices);
    cfi_free(t);
    return status;
}
