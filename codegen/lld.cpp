// lld.cpp: lld as a library; it has no C interface.
//
// The object goes in through a memfd and the result comes out of a pipe: with an output *file* lld
// installs signal handlers, with "--no-mmap-output-file -o /dev/fd/N" on a pipe it installs none. This
// thread empties the pipe while lld fills it in a thread of its own, and that thread ends with the link: lld keeps
// sections, relocations and pieces of them in arenas that are thread_local and grow with every link. Only objects that we made ourselves are linked here: a damaged
// one can end the process.
#include "codegen/lld.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <thread>

#include <lld/Common/CommonLinkerContext.h>
#include <lld/Common/Driver.h>
#include <llvm/Support/raw_ostream.h>

LLD_HAS_DRIVER(elf)

namespace {

// A mutex that a forked child can use although a thread that is not there may hold it.
struct Guard {
  std::mutex mutex;
  std::atomic<pid_t> owner{0};
  void lock() {
    const pid_t self = ::getpid();
    pid_t seen = owner.load();
    while (seen != self) {
      if (seen == -self) {
        std::this_thread::yield();
        seen = owner.load();
      } else if (owner.compare_exchange_strong(seen, -self)) {
        new (&mutex) std::mutex;
        owner.store(self);
        break;
      }
    }
    mutex.lock();
  }
  void unlock() { mutex.unlock(); }
};

Guard guard;

// Closes on the way out.
struct Descriptor {
  int fd;
  explicit Descriptor(int number = -1) : fd(number) {}
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor() { reset(); }
  void reset() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
  std::string path() const { return "/dev/fd/" + std::to_string(fd); }
};

bool write_all(int fd, const char *bytes, size_t size) {
  while (size) {
    ssize_t n = ::write(fd, bytes, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

void drain(int fd, std::string *out) {
  char piece[65536];
  for (;;) {
    ssize_t n = ::read(fd, piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    out->append(piece, static_cast<size_t>(n));
  }
}

int fail(char *error, size_t error_size, const std::string &text) {
  size_t n = std::min(text.size(), error_size - 1);
  std::memcpy(error, text.data(), n);
  error[n] = 0;
  return -1;
}

// What the linking thread is given and gives back.
struct Job {
  std::string input, output, words;
  Descriptor *write_end;
  bool ok;
};

// Position independent, no libraries, nothing left undefined, small pages.
bool run_lld(const std::string &input, const std::string &output, std::string *words) {
  const char *args[] = {"ld.lld",       "-shared",          "--no-mmap-output-file", "--no-undefined",
                        "--threads=1",  "--hash-style=gnu", "--build-id=none",       "-z",
                        "noexecstack",  "-z",               "max-page-size=4096",    "-o",
                        output.c_str(), input.c_str()};
  llvm::raw_string_ostream stream(*words);
  bool ok = lld::elf::link(args, stream, stream, /*exitEarly=*/false, /*disableOutput=*/false);
  lld::CommonLinkerContext::destroy();
  return ok;
}

void link_in_thread(Job *job) {
  {
    std::lock_guard<Guard> hold(guard);
    job->ok = run_lld(job->input, job->output, &job->words);
  }
  job->write_end->reset(); // the end of what is drained
}

} // namespace

extern "C" void hlc_llvm_lock(void) { guard.lock(); }
extern "C" void hlc_llvm_unlock(void) { guard.unlock(); }

extern "C" int hlc_link_shared(const void *object, size_t size, hlc_sink sink, void *user, char *error,
                               size_t error_size) {
  Descriptor input(::memfd_create("hl-object", MFD_CLOEXEC));
  int ends[2] = {-1, -1};
  if (input.fd < 0 || ::pipe2(ends, O_CLOEXEC) != 0)
    return fail(error, error_size, std::string("no file descriptors for linking: ") + std::strerror(errno));
  Descriptor read_end(ends[0]), write_end(ends[1]);
  if (!write_all(input.fd, static_cast<const char *>(object), size))
    return fail(error, error_size, std::string("writing the object: ") + std::strerror(errno));
  std::string bytes;
  Job job = {input.path(), write_end.path(), "", &write_end, false};
  std::thread linker;
  try {
    linker = std::thread(link_in_thread, &job);
  } catch (const std::exception &e) {
    return fail(error, error_size, std::string("no thread for linking: ") + e.what());
  }
  drain(read_end.fd, &bytes);
  linker.join();
  if (!job.ok) return fail(error, error_size, job.words.empty() ? "lld failed" : job.words);
  if (!sink(user, bytes.data(), bytes.size())) return fail(error, error_size, "out of memory");
  return 0;
}
