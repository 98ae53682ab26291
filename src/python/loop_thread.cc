#include "python/loop_thread.h"

#include <pthread.h>

#include <cstring>
#include <utility>

#include "python/call.h"
#include "python/error.h"
#include "python/function.h"
#include "python/interned.h"
#include "python/library.h"

namespace node_asgi::python {
namespace {

// Deeply recursive Python code needs what an interpreter's main thread usually has, and more.
constexpr size_t kStackSize = 32 * 1024 * 1024;

Owned None() { return Owned::Borrow(PyNone()); }

}  // namespace

LoopThread::LoopThread(InterpreterConfig config, Callbacks callbacks)
    : config_(std::move(config)), callbacks_(std::move(callbacks)), mailbox_(waker_) {}

bool LoopThread::Start(bridge::Failure* failure) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackSize);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const int error = pthread_create(
      &thread, &attributes,
      [](void* self) -> void* {
#ifdef __linux__
        pthread_setname_np(pthread_self(), "python");
#endif
        static_cast<LoopThread*>(self)->Run();
        return nullptr;
      },
      this);
  pthread_attr_destroy(&attributes);
  if (error == 0) return true;
  *failure = {"ERR_PYTHON_START",
              std::string("the Python thread could not be started: ") + std::strerror(error)};
  return false;
}

void LoopThread::Run() {
  bridge::Failure failure;
  if (!StartInterpreter(config_, &failure)) {
    callbacks_.on_started(&failure);
    return;
  }
  {
    const GilHeld gil = GilHeld::FromPython();
    Owned run;
    if (Prepare(gil, &run)) {
      // Returns only when loop.py gives up; see there what it survives.
      const Owned fd = Owned::Steal(PyLong_FromLongLong(waker_.fd()));
      const Owned loop_name = Text(gil, config_.loop);
      const Owned started = MakeFunction(gil, [this](const GilHeld& held, Borrowed arguments) {
        loop_ = Owned::Borrow(PyTuple_GetItem(arguments.get(), 0));
        create_future_ = GetAttribute(held, loop_, Names().create_future);
        call_soon_ = GetAttribute(held, loop_, Names().call_soon);
        call_later_ = GetAttribute(held, loop_, Names().call_later);
        get_task_factory_ = GetAttribute(held, loop_, Names().get_task_factory);
        create_task_ = GetAttribute(held, loop_, "create_task");
        tasks_are_eager_ =
            PyDict_GetItemWithError(task_keywords_.get(), Names().eager_start) != nullptr;
        if (PyErr_Occurred() != nullptr || !watchdog_.Start(held)) return Owned();
        callbacks_.on_started(nullptr);
        return None();
      });
      const Owned notice = MakeFunction(gil, [this](const GilHeld& held, Borrowed arguments) {
        const std::string level = TextOf(held, PyTuple_GetItem(arguments.get(), 0));
        callbacks_.on_notice(
            level, Describe(held, PyTuple_GetItem(arguments.get(), 1), "ERR_PYTHON_UNHANDLED"));
        return None();
      });
      Call(gil, run,
           {fd.get(), drain_function_.get(), started.get(), notice.get(), loop_name.get()});
    }
    failure = TakeFailure(gil, "ERR_PYTHON_LOOP");
  }
  PyEval_SaveThread();
  FlushNow();
  callbacks_.on_started(&failure);
}

bool LoopThread::Prepare(const GilHeld& gil, Owned* run) {
  drain_function_ = MakeFunction(gil, [this](const GilHeld& held, Borrowed) {
    waker_.Clear();
    Drain(held);
    return None();
  });
  spin_function_ = MakeFunction(gil, [this](const GilHeld& held, Borrowed) {
    Spin(held);
    return None();
  });
  flush_function_ = MakeFunction(gil, [this](const GilHeld&, Borrowed) {
    flush_scheduled_ = false;
    FlushNow();
    return None();
  });
  const Owned module = Owned::Steal(PyImport_ImportModule("node_asgi.loop"));
  if (!module) return false;
  *run = GetAttribute(gil, module, "run");
  task_type_ = GetAttribute(gil, module, "Task");
  task_keywords_ = GetAttribute(gil, module, "TASK_KEYWORDS");
  return *run && task_type_ && task_keywords_ && callbacks_.prepare(gil);
}

void LoopThread::Drain(const GilHeld& gil) {
  draining_ = true;
  const bool more = mailbox_.Drain([&](LoopItem item) {
    if (item.call) {
      item.call->run(gil);
    } else {
      callbacks_.on_event(gil, std::move(item.exchange), std::move(item.event));
    }
  });
  if (more && !Call(gil, call_soon_, {drain_function_.get()}))
    PyErr_WriteUnraisable(call_soon_.get());
  draining_ = factory_known_ = false;
  // After the first steps of the tasks that were made just now, which call_soon() has queued
  // before.
  if (more || spin_ <= 0 || spin_scheduled_) return;
  spin_scheduled_ = static_cast<bool>(Call(gil, call_soon_, {spin_function_.get()}));
  if (!spin_scheduled_) PyErr_WriteUnraisable(call_soon_.get());
}

void LoopThread::Spin(const GilHeld& gil) {
  spin_scheduled_ = false;
  PyThreadState* const state = PyEval_SaveThread();
  const bool found = mailbox_.Spin(std::chrono::microseconds(spin_));
  PyEval_RestoreThread(state);
  if (found) Drain(gil);
}

Owned LoopThread::CreateFuture(const GilHeld& gil) { return Call(gil, create_future_); }

void LoopThread::WakeFuture(const GilHeld& gil, Borrowed future) {
  const Owned done = CallMethod(gil, future, Names().done);
  if (done && PyObject_IsTrue(done.get()) == 0)
    CallMethod(gil, future, Names().set_result, {PyNone()});
  if (PyErr_Occurred() != nullptr) PyErr_WriteUnraisable(future.get());
}

Owned LoopThread::CreateTask(const GilHeld& gil, Borrowed coroutine) {
  if (!factory_known_) {
    const Owned factory = Call(gil, get_task_factory_);
    if (!factory) return Owned();
    has_factory_ = factory.get() != PyNone();
    factory_known_ = draining_ && !tasks_are_eager_;
  }
  if (has_factory_) return Call(gil, create_task_, {coroutine.get()});
  const Owned arguments = Owned::Steal(PyTuple_New(1));
  if (!arguments) return Owned();
  PyTuple_SetItem(arguments.get(), 0, Owned::Borrow(coroutine).Release());
  return Owned::Steal(PyObject_Call(task_type_.get(), arguments.get(), task_keywords_.get()));
}

Owned LoopThread::CallLater(const GilHeld& gil, double seconds, Borrowed function) {
  const Owned delay = Owned::Steal(PyFloat_FromDouble(seconds));
  return delay ? Call(gil, call_later_, {delay.get(), function.get()}) : Owned();
}

void LoopThread::Submit(const GilHeld& gil, Owned coroutine,
                        std::function<void(const GilHeld&, Owned result)> done) {
  // Called once with (result, None) or (None, exception).
  const Owned finished = MakeFunction(gil, [done](const GilHeld& held, Borrowed arguments) {
    const Borrowed error = PyTuple_GetItem(arguments.get(), 1);
    if (error.get() == PyNone()) {
      done(held, Owned::Borrow(PyTuple_GetItem(arguments.get(), 0)));
    } else {
      const Owned type = Owned::Steal(PyObject_Type(error.get()));
      PyErr_SetObject(type.get(), error.get());
      done(held, Owned());
      PyErr_Clear();
    }
    return None();
  });
  if (coroutine && CallFunction(gil, "node_asgi.loop", "submit", {coroutine.get(), finished.get()}))
    return;
  done(gil, Owned());
  PyErr_Clear();
}

void LoopThread::FlushLater(const GilHeld& gil, const std::shared_ptr<bridge::ResponseSink>& sink) {
  if (flush_scheduled_ && to_flush_.back() == sink) return;
  bool watch = false;
  {
    std::lock_guard lock(flush_mutex_);
    to_flush_.push_back(sink);
    watch = !std::exchange(flush_watched_, true);
  }
  if (watch) callbacks_.on_flush_pending();
  if (flush_scheduled_) return;
  flush_scheduled_ = true;
  if (!Call(gil, call_soon_, {flush_function_.get()})) {
    PyErr_WriteUnraisable(call_soon_.get());
    flush_scheduled_ = false;
    FlushNow();
  }
}

void LoopThread::FlushNow() {
  std::lock_guard lock(flush_mutex_);
  for (const auto& sink : to_flush_) sink->Flush();
  to_flush_.clear();
  ++flushes_;
}

bool LoopThread::FlushIfStale() {
  constexpr int kQuietWatches = 40;
  std::lock_guard lock(flush_mutex_);
  const bool moved = std::exchange(flushes_at_last_watch_, flushes_) != flushes_;
  if (!moved) {
    for (const auto& sink : to_flush_) sink->Flush();
  }
  quiet_watches_ = moved || !to_flush_.empty() ? 0 : quiet_watches_ + 1;
  if (quiet_watches_ < kQuietWatches) return true;
  quiet_watches_ = 0;
  flush_watched_ = false;
  return false;
}

}  // namespace node_asgi::python
