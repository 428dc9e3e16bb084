# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled form of serve/udp.py's drain: many datagrams per system call, no Python object per hit but its key.

Same contract, same memory layout (sinks/region.py), tested by the same tests. It decides nothing.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.ref cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from blocker import events
from blocker.sinks import region as layout

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <sys/socket.h>
    #include <netinet/in.h>
    #include <sys/uio.h>
    static void publish(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
    static uint64_t observed(uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
    static void reply_from_here(struct msghdr *head) {
        /* IPv4: the interface is for the routes to find, and only the local address is ours to say (ip(7)). */
        struct cmsghdr *note = CMSG_FIRSTHDR(head);
        if (note && note->cmsg_level == IPPROTO_IP && note->cmsg_type == IP_PKTINFO)
            ((struct in_pktinfo *)CMSG_DATA(note))->ipi_ifindex = 0;
    }
    """
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        void *msg_name
        uint32_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    int recvmmsg(int, mmsghdr *, unsigned int, int, void *)
    int sendmmsg(int, mmsghdr *, unsigned int, int)
    int MSG_DONTWAIT
    void publish(uint64_t *, uint64_t)
    uint64_t observed(uint64_t *)
    void reply_from_here(msghdr *)

cdef enum:
    BATCH = 64  # as in serve/udp.py
    ROOM = 4096  # octets per datagram
    NAME = 28  # octets of a struct sockaddr_in6
    CONTROL = 64  # octets: one packet-info note
    ENDINGS = 8

cdef struct Slot:
    uint8_t received[ROOM]
    uint8_t answered[ROOM]
    uint8_t name[NAME + 4]
    uint8_t control[CONTROL]
    iovec into
    iovec out_of


cdef class Drain:
    """A UDP socket that clients ask on; see serve/udp.py."""

    cdef int fd, address_at, address_size, local
    cdef Slot *slots
    cdef mmsghdr incoming[BATCH]
    cdef mmsghdr outgoing[BATCH]
    cdef uint8_t[::1] memory
    cdef uint8_t *base
    cdef uint64_t *words
    cdef uint64_t *histograms
    cdef int cells_at, cell_size, journal_at, histogram_words, buckets
    cdef uint64_t journal_size
    cdef int head_word, tail_word, dropped_word, errors_word, fast_word, received_word, sent_word, unsearched_word
    cdef int attempt, search  # journal flags
    cdef double bounds[32]

    def __cinit__(self, int fd, bint v6, bint local, memory):
        cdef int at
        cdef size_t counters = layout.COUNTERS_AT, histograms = layout.HISTOGRAMS_AT
        self.slots = <Slot *>calloc(BATCH, sizeof(Slot))
        if self.slots == NULL:
            raise MemoryError
        self.fd = fd
        self.local = local
        self.address_at = 8 if v6 else 4  # of the address in a struct sockaddr_in6, sockaddr_in
        self.address_size = 16 if v6 else 4
        self.memory = memory
        self.base = &self.memory[0]
        self.words = <uint64_t *>(self.base + counters)
        self.histograms = <uint64_t *>(self.base + histograms)
        self.cells_at, self.cell_size = layout.CELLS_AT, layout.CELL_SIZE
        self.journal_at, self.journal_size = layout.JOURNAL_AT, layout.JOURNAL_SIZE
        self.histogram_words, self.buckets = layout.HISTOGRAM_WORDS, len(layout.BUCKETS)
        for at in range(self.buckets):
            self.bounds[at] = layout.BUCKETS[at]
        self.head_word, self.tail_word = layout.Word.HEAD, layout.Word.TAIL
        self.dropped_word, self.errors_word = layout.Word.DROPPED, layout.Word.SEND_ERRORS
        self.fast_word, self.unsearched_word = layout.Word.FAST_ANSWERS, layout.Word.UNSEARCHED
        self.attempt, self.search = events.ATTEMPT, events.SEARCH
        self.received_word, self.sent_word = layout.Word.RECEIVED_BYTES, layout.Word.SENT_BYTES
        memset(self.incoming, 0, sizeof(self.incoming))
        memset(self.outgoing, 0, sizeof(self.outgoing))
        for at in range(BATCH):
            self.slots[at].into.iov_base = self.slots[at].received
            self.slots[at].into.iov_len = ROOM
            self.incoming[at].msg_hdr.msg_iov = &self.slots[at].into
            self.incoming[at].msg_hdr.msg_iovlen = 1
            self.incoming[at].msg_hdr.msg_name = self.slots[at].name
            self.outgoing[at].msg_hdr.msg_iov = &self.slots[at].out_of
            self.outgoing[at].msg_hdr.msg_iovlen = 1

    def __dealloc__(self):
        free(self.slots)

    def receive(self, dict tables, double now):
        """Take what has arrived, answer what `tables` know; return the number taken and the misses."""
        cdef int at, count, size, answers = 0
        cdef int64_t second = <int64_t>now
        cdef uint64_t octets = 0
        cdef int given_of[ENDINGS]
        cdef Slot *slot
        cdef msghdr *head
        cdef uint8_t *address
        cdef uint8_t *former = NULL
        cdef PyObject *table = NULL
        cdef PyObject *given
        cdef timespec clock
        cdef double wall = 0.0
        cdef list misses = []
        cdef bytes owner, key
        memset(given_of, 0, sizeof(given_of))
        for at in range(BATCH):
            head = &self.incoming[at].msg_hdr
            head.msg_namelen = NAME
            if self.local:
                head.msg_control = self.slots[at].control
                head.msg_controllen = CONTROL
        count = recvmmsg(self.fd, self.incoming, BATCH, MSG_DONTWAIT, NULL)
        if count <= 0:
            return 0, misses
        for at in range(count):
            slot = &self.slots[at]
            size = self.incoming[at].msg_len
            octets += size
            address = slot.name + self.address_at
            if former == NULL or memcmp(former, address, self.address_size):
                owner = PyBytes_FromStringAndSize(<char *>address, self.address_size)
                table = PyDict_GetItem(tables, owner)
                former = address
            given = NULL
            if table != NULL and size > 2:
                key = PyBytes_FromStringAndSize(<char *>slot.received + 2, size - 2)
                given = PyDict_GetItem(<object>table, key)
            if given == NULL or <int64_t>(<object>PyTuple_GET_ITEM(<object>given, 1)) <= second:
                misses.append(self._miss(at, size))
                continue
            if wall == 0.0:
                clock_gettime(CLOCK_REALTIME, &clock)
                wall = clock.tv_sec + clock.tv_nsec * 1e-9
            self._answer(at, answers, <tuple>given, second, wall, given_of)
            answers += 1
        self.words[self.received_word] += octets
        if answers:
            clock_gettime(CLOCK_MONOTONIC, &clock)
            self._count(given_of, clock.tv_sec + clock.tv_nsec * 1e-9 - now, answers)
            self._send(answers)
        return count, misses

    def send(self, list replies):
        """Send answers, each to where its query came from."""
        cdef int filled = 0
        cdef bytes answer, name, control
        cdef msghdr *head
        for answer, (name, control) in replies:
            head = &self.outgoing[filled].msg_hdr
            self.slots[filled].out_of.iov_base = PyBytes_AS_STRING(answer)
            self.slots[filled].out_of.iov_len = PyBytes_GET_SIZE(answer)
            head.msg_name = PyBytes_AS_STRING(name)
            head.msg_namelen = PyBytes_GET_SIZE(name)
            head.msg_control = PyBytes_AS_STRING(control) if control else NULL
            head.msg_controllen = PyBytes_GET_SIZE(control)
            filled += 1
            if filled == BATCH:
                self._send(filled)
                filled = 0
        if filled:
            self._send(filled)

    cdef tuple _miss(self, int at, int size):
        cdef Slot *slot = &self.slots[at]
        cdef msghdr *head = &self.incoming[at].msg_hdr
        cdef bytes control = b""
        if self.local and head.msg_controllen:
            reply_from_here(head)
            control = PyBytes_FromStringAndSize(<char *>slot.control, head.msg_controllen)
        return (
            PyBytes_FromStringAndSize(<char *>slot.received, size),
            PyBytes_FromStringAndSize(<char *>slot.name + self.address_at, self.address_size),
            (PyBytes_FromStringAndSize(<char *>slot.name, head.msg_namelen), control),
        )

    cdef int _answer(self, int at, int to, tuple given, int64_t second, double wall, int *given_of) except -1:
        """Put the answer to datagram `at` into outgoing slot `to`, count it and journal it."""
        cdef Slot *slot = &self.slots[to]
        cdef msghdr *heard = &self.incoming[at].msg_hdr
        cdef msghdr *head = &self.outgoing[to].msg_hdr
        cdef bytes answer = <bytes>PyTuple_GET_ITEM(given, 0)
        cdef int64_t age = second - <int64_t>(<object>PyTuple_GET_ITEM(given, 2))
        cdef tuple offsets = <tuple>PyTuple_GET_ITEM(given, 3)
        cdef int cell = <object>PyTuple_GET_ITEM(given, 4)
        cdef int ending = <object>PyTuple_GET_ITEM(given, 5)
        cdef int flags = <object>PyTuple_GET_ITEM(given, 6)
        cdef int size = PyBytes_GET_SIZE(answer)
        cdef int number
        cdef uint8_t *ttl
        cdef int64_t left
        memcpy(slot.answered, self.slots[at].received, 2)
        memcpy(slot.answered + 2, PyBytes_AS_STRING(answer), size)
        if age > 0:
            for number in range(PyTuple_GET_SIZE(offsets)):
                ttl = slot.answered + 2 + <int>(<object>PyTuple_GET_ITEM(offsets, number))
                left = (<int64_t>ttl[0] << 24 | ttl[1] << 16 | ttl[2] << 8 | ttl[3]) - age
                if left < 0:
                    left = 0
                ttl[0], ttl[1], ttl[2], ttl[3] = left >> 24 & 255, left >> 16 & 255, left >> 8 & 255, left & 255
        slot.out_of.iov_base = slot.answered
        slot.out_of.iov_len = size + 2
        head.msg_name = heard.msg_name
        head.msg_namelen = heard.msg_namelen
        head.msg_control = NULL
        head.msg_controllen = 0
        if self.local and heard.msg_controllen:
            reply_from_here(heard)
            head.msg_control = heard.msg_control
            head.msg_controllen = heard.msg_controllen
        (<uint64_t *>(self.base + self.cells_at + cell * self.cell_size))[0] += 1
        given_of[ending] += 1
        if flags:
            self._journal(flags, wall, self.slots[at].name + self.address_at, <bytes>PyTuple_GET_ITEM(given, 7))
        return 0

    cdef void _journal(self, int flags, double wall, uint8_t *address, bytes tail):
        """Append one record, as Region.journal does."""
        cdef uint64_t *words = self.words
        cdef uint64_t head = words[self.head_word]
        cdef uint64_t length = 32 + PyBytes_GET_SIZE(tail)
        cdef uint64_t size = (length + 7) & ~<uint64_t>7
        cdef uint64_t at = head % self.journal_size
        cdef uint64_t skipped = self.journal_size - at if at + size > self.journal_size else 0
        cdef uint8_t *record
        cdef uint64_t room = self.journal_size if flags & self.attempt else self.journal_size >> 1
        if head + skipped + size - observed(&words[self.tail_word]) > room:
            if flags == self.search:
                words[self.unsearched_word] += size
            else:
                words[self.dropped_word] += 1
            return
        if skipped:
            (<uint32_t *>(self.base + self.journal_at + at))[0] = 0
            head += skipped
            at = 0
        record = self.base + self.journal_at + at
        (<uint32_t *>record)[0] = <uint32_t>length
        (<uint16_t *>(record + 4))[0] = <uint16_t>flags
        (<uint16_t *>(record + 6))[0] = <uint16_t>self.address_size
        (<double *>(record + 8))[0] = wall
        memset(record + 16, 0, 16)
        memcpy(record + 16, address, self.address_size)
        memcpy(record + 32, PyBytes_AS_STRING(tail), PyBytes_GET_SIZE(tail))
        publish(&words[self.head_word], head + size)

    cdef void _count(self, int *given_of, double duration, int answers):
        """Count the durations of one batch: all of it waited as long."""
        cdef int ending, bucket = 0
        cdef uint64_t *histogram
        while bucket < self.buckets and self.bounds[bucket] < duration:
            bucket += 1
        for ending in range(ENDINGS):
            if given_of[ending]:
                histogram = self.histograms + ending * self.histogram_words
                histogram[bucket] += given_of[ending]
                histogram[self.histogram_words - 1] += <uint64_t>(duration * 1e9 * given_of[ending])
        self.words[self.fast_word] += answers

    cdef void _send(self, int count):
        cdef int done = 0, sent, at
        cdef uint64_t octets = 0
        while done < count:
            sent = sendmmsg(self.fd, &self.outgoing[done], count - done, MSG_DONTWAIT)
            if sent > 0:
                for at in range(done, done + sent):
                    octets += self.slots[at].out_of.iov_len
                done += sent
            elif errno != EINTR:
                self.words[self.errors_word] += 1  # this one is lost; the next may have a better way
                done += 1
        self.words[self.sent_word] += octets
