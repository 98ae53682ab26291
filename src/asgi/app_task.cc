#include "asgi/app_task.h"

#include <string>
#include <utility>

#include "bridge/trace.h"
#include "python/coroutine.h"
#include "python/error.h"
#include "python/interned.h"
#include "python/native_type.h"

namespace node_asgi::asgi {

using namespace python;  // NOLINT(build/namespaces): the C API table reads as ordinary C API

namespace {

struct AppTask {
  AppTask(AppTaskOwner& by, Owned application, Owned in, Owned from, Owned to)
      : owner(&by),
        app(std::move(application)),
        scope(std::move(in)),
        receive(std::move(from)),
        send(std::move(to)) {
    owner->RefOwner();
  }
  AppTask(const AppTask&) = delete;
  AppTask& operator=(const AppTask&) = delete;
  ~AppTask() { owner->UnrefOwner(); }

  AppTaskOwner* owner;
  Owned app;
  Owned scope;
  Owned receive;
  Owned send;
  Owned inner;  // the app's coroutine; null before the first step and after the last
  bool ended = false;
};
using AppTaskType = NativeType<AppTask>;

PyObject* coroutine_type = nullptr;
PyObject* cancelled_error = nullptr;

PySendResult End(const GilHeld& gil, AppTask& task, Owned result, Owned exception, PyObject** out) {
  task.ended = true;
  task.inner.Reset();
  task.app.Reset();
  task.scope.Reset();
  task.receive.Reset();
  task.send.Reset();
  const bool cancelled =
      exception && PyErr_GivenExceptionMatches(exception.get(), cancelled_error) != 0;
  const Owned kept = cancelled ? Owned::Borrow(exception) : Owned();
  task.owner->OnAppEnded(gil, std::move(result), std::move(exception));
  if (PyErr_Occurred() != nullptr) PyErr_WriteUnraisable(nullptr);
  if (cancelled) {
    // The Task must learn that it was cancelled.
    const Owned type = Owned::Steal(PyObject_Type(kept.get()));
    PyErr_SetObject(type.get(), kept.get());
    return PYGEN_ERROR;
  }
  *out = Owned::Borrow(PyNone()).Release();
  return PYGEN_RETURN;
}

// Calls the app; null with a Python error set when it raised or returned nothing that can be
// awaited.
Owned CallApp(const GilHeld& gil, AppTask& task) {
  Owned returned = Call(gil, task.app, {task.scope.get(), task.receive.get(), task.send.get()});
  if (!returned || PyObject_IsInstance(returned.get(), coroutine_type) == 1) return returned;
  Owned iterator = CallMethod(gil, returned, Names().await_);
  if (iterator) return iterator;
  PyErr_Clear();
  const Owned type = Owned::Steal(PyObject_Type(returned.get()));
  Raise(gil, *PyExc_TypeError,
        "expected the app to return an awaitable from app(scope, receive, send), got " +
            TextOf(gil, GetAttribute(gil, type, "__name__")));
  return Owned();
}

PySendResult After(const GilHeld& gil, AppTask& task, PySendResult step, PyObject** result) {
  switch (step) {
    case PYGEN_NEXT:
      task.owner->OnAppSuspended(gil);
      return step;
    case PYGEN_RETURN:
      return End(gil, task, Owned::Steal(std::exchange(*result, nullptr)), Owned(), result);
    case PYGEN_ERROR:
      break;
  }
  return End(gil, task, Owned(), TakeException(gil), result);
}

PySendResult AppTaskSend(PyObject* self, PyObject* value, PyObject** result) {
  const GilHeld gil = GilHeld::FromPython();
  AppTask& task = AppTaskType::Of(self);
  *result = nullptr;
  if (task.ended) {
    Raise(gil, *PyExc_RuntimeError, "cannot reuse a finished app coroutine");
    return PYGEN_ERROR;
  }
  if (!task.inner) {
    bridge::Trace(bridge::Stage::kRuns);
    task.inner = CallApp(gil, task);
    if (!task.inner) return End(gil, task, Owned(), TakeException(gil), result);
    value = PyNone();
  }
  const Owned inner = Owned::Borrow(task.inner);
  return After(gil, task, SendTo(gil, inner, value, result), result);
}

PyObject* AppTaskSendMethod(PyObject* self, PyObject* value) {
  PyObject* result = nullptr;
  const PySendResult step = AppTaskSend(self, value, &result);
  return FinishStep(GilHeld::FromPython(), step, result);
}

PyObject* AppTaskNext(PyObject* self) { return AppTaskSendMethod(self, PyNone()); }

PyObject* AppTaskThrow(PyObject* self, PyObject* arguments) {
  const GilHeld gil = GilHeld::FromPython();
  AppTask& task = AppTaskType::Of(self);
  PyObject* result = nullptr;
  PySendResult step = PYGEN_ERROR;
  if (task.inner) {
    const Owned inner = Owned::Borrow(task.inner);
    step = ThrowInto(gil, inner, arguments, &result);
  } else {
    RaiseThrown(gil, arguments);  // cancelled before the first step: the app is never called
    if (task.ended) return nullptr;
  }
  // Two statements: After() writes the result that FinishStep() reads.
  const PySendResult after = After(gil, task, step, &result);
  return FinishStep(gil, after, result);
}

PyObject* AppTaskClose(PyObject* self, PyObject*) {
  const GilHeld gil = GilHeld::FromPython();
  AppTask& task = AppTaskType::Of(self);
  if (!task.ended && task.inner) {
    const Owned inner = std::move(task.inner);
    if (!CallMethod(gil, inner, Names().close)) return nullptr;
  }
  task.ended = true;
  return Owned::Borrow(PyNone()).Release();
}

PyObject* Self(PyObject* self) {
  Py_IncRef(self);
  return self;
}

PyObject* SelfMethod(PyObject* self, PyObject*) { return Self(self); }

// Debuggers, asyncio's repr and anyio ask a task's coroutine for cr_frame, cr_running, __qualname__
// …: the app's own coroutine answers.
PyObject* AppTaskGetAttribute(PyObject* self, PyObject* name) {
  PyObject* found = PyObject_GenericGetAttr(self, name);
  const AppTask& task = AppTaskType::Of(self);
  if (found != nullptr || !task.inner) return found;
  PyErr_Clear();
  return PyObject_GetAttr(task.inner.get(), name);
}

PyMethodDef methods[] = {
    {"send", &AppTaskSendMethod, METH_O, nullptr},
    {"throw", &AppTaskThrow, METH_VARARGS, nullptr},
    {"close", &AppTaskClose, METH_NOARGS, nullptr},
    {"__await__", &SelfMethod, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

template <class Function>
PyType_Slot Slot(int number, Function function) {
  return {number, reinterpret_cast<void*>(function)};
}

}  // namespace

bool DefineAppTask(const GilHeld& gil) {
  const Owned loop = Owned::Steal(PyImport_ImportModule("node_asgi.loop"));
  if (!loop) return false;
  coroutine_type = GetAttribute(gil, loop, "CoroutineType").Release();
  cancelled_error = GetAttribute(gil, loop, "CancelledError").Release();
  if (coroutine_type == nullptr || cancelled_error == nullptr) return false;
  const PyType_Slot await = Slot(Py_am_await, &Self);
  const PyType_Slot iterate = Slot(Py_tp_iter, &Self);
  const PyType_Slot next = Slot(Py_tp_iternext, &AppTaskNext);
  const PyType_Slot attribute = Slot(Py_tp_getattro, &AppTaskGetAttribute);
  const PyType_Slot method_table = {Py_tp_methods, methods};
  constexpr char kName[] = "node_asgi.AppTask";
  if (PyIter_Send == nullptr) {
    return AppTaskType::Define(gil, kName, {await, iterate, next, attribute, method_table});
  }
  return AppTaskType::Define(
      gil, kName, {await, iterate, next, attribute, method_table, Slot(Py_am_send, &AppTaskSend)});
}

Owned MakeAppTask(const GilHeld& gil, AppTaskOwner& owner, Borrowed app, Owned scope, Owned receive,
                  Owned send) {
  return AppTaskType::New(gil, owner, Owned::Borrow(app), std::move(scope), std::move(receive),
                          std::move(send));
}

}  // namespace node_asgi::asgi
