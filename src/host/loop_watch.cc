#include "host/loop_watch.h"

#include <string>

#include "host/application.h"
#include "host/runtime.h"
#include "python/call.h"
#include "python/watchdog.h"

namespace node_asgi::host {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPeriod{50};
constexpr milliseconds kBlocked{100};
// One warning tells enough: code that blocks does so again and again.
constexpr milliseconds kBetweenWarnings{1000};

}  // namespace

void LoopWatch::Wake() {
  if (on_) return;
  on_ = true;
  uint64_t round = 0;
  {
    std::lock_guard lock(mutex_);
    round = ++round_;
    called_ = false;
  }
  runtime_.deadlines().Repeat(kPeriod, [this, round] { return Tick(round); });
}

bool LoopWatch::Tick(uint64_t round) {
  std::unique_lock lock(mutex_);
  if (round != round_) return false;
  if (!called_) {
    called_ = true;
    warned_ = false;
    since_ = Clock::now();
    lock.unlock();
    Call();
  } else if (!warned_ && Clock::now() - since_ >= kBlocked) {
    warned_ = true;
    const Clock::time_point since = since_;
    lock.unlock();
    Warn(since);
  }
  return true;
}

void LoopWatch::Call() {
  runtime_.Call(
      [this](const python::GilHeld&) {
        on_ = false;
        for (const Application* application : runtime_.applications)
          on_ = on_ || application->in_flight() > 0;
        std::lock_guard lock(mutex_);
        called_ = false;
        if (!on_) ++round_;
      },
      [](const bridge::Failure&) {});
}

void LoopWatch::Warn(Clock::time_point since) {
  runtime_.loop().watchdog().Ask([this, since](const python::GilHeld& gil) {
    const python::Owned found = python::CallFunction(gil, "node_asgi.watchdog", "blocked");
    if (!found) python::PyErr_Clear();
    std::string what;
    {
      std::lock_guard lock(mutex_);
      const std::chrono::duration<double, std::milli> blocked = Clock::now() - since;
      // Answered meanwhile: what held the lock has gone, and with it its stack.
      const bool gone = !called_ || since != since_ || !found || found.get() == python::PyNone();
      if (Clock::now() - last_warning_ < kBetweenWarnings) return;
      last_warning_ = Clock::now();
      const std::string request =
          gone ? "" : python::TextOf(gil, python::PyTuple_GetItem(found.get(), 0));
      const std::string stack =
          gone ? "" : python::TextOf(gil, python::PyTuple_GetItem(found.get(), 1));
      what = "the event loop has been blocked for " +
             std::to_string(static_cast<int>(blocked.count())) + " ms";
      if (!request.empty()) what += " by " + request;
      what += gone ? ", by code that held Python's lock" : ":\n" + stack;
    }
    // The list changes on the Python thread only, and with the GIL, which is here.
    Application* only = nullptr;
    size_t busy = 0;
    for (Application* application : runtime_.applications) {
      if (application->in_flight() == 0) continue;
      only = application;
      ++busy;
    }
    bridge::Failure failure{"ERR_PYTHON_LOOP_BLOCKED", std::move(what)};
    if (busy == 1) {
      only->Report("warning", std::move(failure));
    } else {
      runtime_.Notice("warning", std::move(failure));
    }
  });
}

}  // namespace node_asgi::host
