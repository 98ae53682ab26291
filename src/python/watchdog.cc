#include "python/watchdog.h"

#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>

#include "python/call.h"
#include "python/function.h"

namespace node_asgi::python {
namespace {

// As faulthandler reads them: frames of threads that may not run meanwhile.
std::string ReadStacks() {
  if (_Py_DumpTracebackThreads == nullptr) return {};
  std::FILE* file = std::tmpfile();
  if (file == nullptr) return {};
  const char* problem = _Py_DumpTracebackThreads(fileno(file), nullptr, nullptr);
  std::string text = problem == nullptr ? "" : problem;
  lseek(fileno(file), 0, SEEK_SET);
  char piece[4096];
  for (ssize_t size = 0; (size = read(fileno(file), piece, sizeof(piece))) > 0;)
    text.append(piece, static_cast<size_t>(size));
  std::fclose(file);
  return text;
}

}  // namespace

bool Watchdog::Start(const GilHeld& gil) {
  const Owned fd = Owned::Steal(PyLong_FromLongLong(waker_.fd()));
  const Owned answer = MakeFunction(gil, [this](const GilHeld& held, Borrowed) {
    waker_.Clear();
    while (mailbox_.Drain([&](std::function<void(const GilHeld&)> question) { question(held); })) {
    }
    return Owned::Borrow(PyNone());
  });
  if (!fd || !answer || !CallFunction(gil, "node_asgi.watchdog", "start", {fd.get(), answer.get()}))
    return false;
  started_ = true;
  return true;
}

void Watchdog::Ask(std::function<void(const GilHeld&)> question) {
  mailbox_.Post(std::move(question));
}

std::string Watchdog::DumpStacks(std::chrono::milliseconds patience) {
  if (!started_) return {};
  struct Answer {
    std::mutex mutex;
    std::condition_variable given;
    bool is_given = false;
    std::string text;
  };
  // Shared: an answer may come when nobody waits for it any more.
  const auto answer = std::make_shared<Answer>();
  Ask([answer](const GilHeld& gil) {
    const Owned text = CallFunction(gil, "node_asgi.watchdog", "stacks");
    if (!text) PyErr_Clear();
    std::lock_guard lock(answer->mutex);
    answer->text = TextOf(gil, text);
    answer->is_given = true;
    answer->given.notify_all();
  });
  std::unique_lock lock(answer->mutex);
  if (answer->given.wait_for(lock, patience, [&] { return answer->is_given; })) return answer->text;
  return "Some thread has held Python's lock for " + std::to_string(patience.count()) + " ms.\n\n" +
         ReadStacks();
}

}  // namespace node_asgi::python
