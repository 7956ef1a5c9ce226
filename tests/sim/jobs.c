/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happens later: executing, answering, a datagram's arrival, a record of the SEL. One heap for
 * all BMCs, ordered by time and then by age; the loop sleeps on it by jobs_init()'s timerfd,
 * precise to microseconds. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "flow.h"
#include "sim.h"

enum what { JOB_EXECUTE, JOB_ANSWER, JOB_DATAGRAM, JOB_RELEASE, JOB_SEL };

struct job {
    int64_t due_us;
    uint64_t order;
    enum what what;
    union {
        struct {
            struct request request;
            struct answer answer;
        } command;
        struct {
            struct bmc *bmc;
            enum way way;
            struct peer peer;
            bool stray;
            size_t length;
            uint8_t data[];
        } datagram;
        struct {
            struct bmc *bmc;
            enum way way;
            uint64_t number;
        } release;
        struct {
            struct bmc *bmc;
            uint8_t type, offset;
        } sel;
    } u;
};

static struct job **heap;
static size_t count, capacity;
static uint64_t order;
static int64_t armed_us;

static void timer_ready(struct source *source, uint32_t events)
{
    uint64_t ticks;

    (void)events;
    if (read(source->fd, &ticks, sizeof(ticks)) < 0)
        return;
    armed_us =
        0; /* the read may have taken an expiry that was armed after this event was reported */
}

static struct source timer = {-1, timer_ready};

static bool job_before(const struct job *a, const struct job *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void job_push(struct job *job)
{
    size_t i = count++;

    if (count > capacity) {
        capacity = capacity ? capacity * 2 : 1024;
        heap = realloc(heap, capacity * sizeof(struct job *));
        if (!heap)
            abort();
    }
    for (; i > 0 && job_before(job, heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = job;
}

static struct job *job_pop(void)
{
    struct job *first = heap[0], *last = heap[--count];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < count) {
        if (child + 1 < count && job_before(heap[child + 1], heap[child]))
            child++;
        if (!job_before(heap[child], last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

static struct job *job_new(enum what what, int64_t due_us, size_t size)
{
    struct job *job = malloc(size);

    if (!job)
        abort();
    job->what = what;
    job->due_us = due_us;
    job->order = order++;
    return job;
}

void job_execute(int64_t due_us, const struct request *request)
{
    struct job *job = job_new(JOB_EXECUTE, due_us, sizeof(*job));

    job->u.command.request = *request;
    job_push(job);
}

void job_answer(int64_t due_us, const struct request *request, const struct answer *answer)
{
    struct job *job = job_new(JOB_ANSWER, due_us, sizeof(*job));

    job->u.command.request = *request;
    job->u.command.answer = *answer;
    job_push(job);
}

void job_datagram(int64_t due_us, enum way way, struct bmc *bmc, const struct peer *peer,
                  bool stray, const uint8_t *data, size_t length)
{
    size_t size = offsetof(struct job, u.datagram.data) + length;
    struct job *job = job_new(JOB_DATAGRAM, due_us, size > sizeof(*job) ? size : sizeof(*job));

    job->u.datagram.bmc = bmc;
    job->u.datagram.way = way;
    job->u.datagram.peer = *peer;
    job->u.datagram.stray = stray;
    job->u.datagram.length = length;
    memcpy(job->u.datagram.data, data, length);
    job_push(job);
}

void job_release(int64_t due_us, struct bmc *bmc, enum way way, uint64_t number)
{
    struct job *job = job_new(JOB_RELEASE, due_us, sizeof(*job));

    job->u.release.bmc = bmc;
    job->u.release.way = way;
    job->u.release.number = number;
    job_push(job);
}

void job_sel(int64_t due_us, struct bmc *bmc, uint8_t type, uint8_t offset)
{
    struct job *job = job_new(JOB_SEL, due_us, sizeof(*job));

    job->u.sel.bmc = bmc;
    job->u.sel.type = type;
    job->u.sel.offset = offset;
    job_push(job);
}

static void job_pass(const struct job *job)
{
    struct bmc *bmc = job->u.datagram.bmc;

    if (job->u.datagram.way == WAY_IN)
        datagram_in(bmc, &job->u.datagram.peer, job->u.datagram.data, job->u.datagram.length);
    else
        net_send(bmc, &job->u.datagram.peer, job->u.datagram.stray, job->u.datagram.data,
                 job->u.datagram.length);
}

static void job_run(const struct job *job)
{
    switch (job->what) {
    case JOB_EXECUTE:
        request_execute(&job->u.command.request);
        break;
    case JOB_ANSWER:
        answer_send(&job->u.command.request, &job->u.command.answer);
        break;
    case JOB_DATAGRAM:
        job_pass(job);
        break;
    case JOB_RELEASE:
        order_release(job->u.release.bmc, job->u.release.way, job->u.release.number);
        break;
    case JOB_SEL:
        sel_add(job->u.sel.bmc, job->u.sel.type, job->u.sel.offset);
        break;
    }
}

/* Runs what is due and arms the timer for the next. */
void jobs_run(void)
{
    struct itimerspec spec = {0};

    while (count && heap[0]->due_us <= sim.now_us) {
        struct job *job = job_pop();

        job_run(job);
        free(job);
    }
    if (count && heap[0]->due_us != armed_us) {
        armed_us = heap[0]->due_us;
        spec.it_value.tv_sec = armed_us / 1000000;
        spec.it_value.tv_nsec = armed_us % 1000000 * 1000;
        timerfd_settime(timer.fd, TFD_TIMER_ABSTIME, &spec, NULL);
    }
}

int jobs_init(int epoll)
{
    timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    return timer.fd < 0 ? -1 : source_add(epoll, &timer, EPOLLIN);
}

void jobs_free(void)
{
    while (count)
        free(job_pop());
    free(heap);
}
