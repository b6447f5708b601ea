#include "node/io.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum { STACK_SIZE = 128 << 10 };

/* A ring of jobs: done ones from `first`, then the rest that still has to be written. */
struct cfi_io {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void (*wake)(void *user);
    void *user;
    bool is_ending;
    int capacity, first, done, due;
    cfi_io_job *jobs;
};

static void write_job(cfi_io_job *job)
{
    cf_error error = {0};
    job->status = cfi_volume_write(job->volume, job->step, job->incarnation, job->bytes, job->size, &error);
    snprintf(job->text, sizeof job->text, "%.255s", error.text);
    cfi_free(job->bytes);
    job->bytes = NULL;
}

static void *run(void *argument)
{
    cfi_io *io = argument;
    pthread_mutex_lock(&io->lock);
    for (;;) {
        while (io->due == 0 && !io->is_ending) {
            pthread_cond_wait(&io->changed, &io->lock);
        }
        if (io->due == 0) {
            break;
        }
        cfi_io_job *job = &io->jobs[(io->first + io->done) % io->capacity];
        pthread_mutex_unlock(&io->lock);
        write_job(job);
        pthread_mutex_lock(&io->lock);
        io->due--;
        io->done++;
        pthread_cond_broadcast(&io->changed);
        io->wake(io->user);
    }
    pthread_mutex_unlock(&io->lock);
    return NULL;
}

static int start_thread(cfi_io *io)
{
    pthread_attr_t attributes;
    int code = pthread_attr_init(&attributes);
    if (code != 0) {
        return code;
    }
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    code = pthread_create(&io->thread, &attributes, run, io);
    pthread_attr_destroy(&attributes);
    return code;
}

cf_status cfi_io_new(int capacity, void (*wake)(void *user), void *user, cfi_io **io_out, cf_error *error)
{
    cfi_io *io = cfi_calloc(1, sizeof *io);
    cfi_io_job *jobs = cfi_calloc((size_t)capacity, sizeof *jobs);
    if (io == NULL || jobs == NULL) {
        cfi_free(io);
        cfi_free(jobs);
        return cfi_fail_memory(error, "the writing thread");
    }
    *io = (cfi_io){.wake = wake, .user = user, .capacity = capacity, .jobs = jobs};
    pthread_mutex_init(&io->lock, NULL);
    pthread_cond_init(&io->changed, NULL);
    const int code = start_thread(io);
    if (code != 0) {
        pthread_cond_destroy(&io->changed);
        pthread_mutex_destroy(&io->lock);
        cfi_free(jobs);
        cfi_free(io);
        return cfi_fail_errno(error, CF_E_MEMORY, code, "the writing thread");
    }
    *io_out = io;
    return CF_OK;
}

cf_status cfi_io_add(cfi_io *io, const cfi_io_job *job, cf_error *error)
{
    pthread_mutex_lock(&io->lock);
    const int used = io->done + io->due;
    const bool has_room = used < io->capacity;
    if (has_room) {
        io->jobs[(io->first + used) % io->capacity] = *job;
        io->due++;
        pthread_cond_broadcast(&io->changed);
    }
    pthread_mutex_unlock(&io->lock);
    return has_room ? CF_OK : cfi_fail(error, CF_E_LIMIT, "%d states wait for the disk already", used);
}

bool cfi_io_take_done(cfi_io *io, cfi_io_job *job_out)
{
    pthread_mutex_lock(&io->lock);
    const bool is_there = io->done > 0;
    if (is_there) {
        *job_out = io->jobs[io->first];
        io->first = (io->first + 1) % io->capacity;
        io->done--;
    }
    pthread_mutex_unlock(&io->lock);
    return is_there;
}

void cfi_io_wait(cfi_io *io)
{
    pthread_mutex_lock(&io->lock);
    while (io->due > 0) {
        pthread_cond_wait(&io->changed, &io->lock);
    }
    pthread_mutex_unlock(&io->lock);
}

void cfi_io_free(cfi_io *io)
{
    if (io == NULL) {
        return;
    }
    pthread_mutex_lock(&io->lock);
    io->is_ending = true;
    pthread_cond_broadcast(&io->changed);
    pthread_mutex_unlock(&io->lock);
    pthread_join(io->thread, NULL);
    pthread_cond_destroy(&io->changed);
    pthread_mutex_destroy(&io->lock);
    cfi_free(io->jobs);
    cfi_free(io);
}
