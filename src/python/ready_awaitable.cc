#include "python/ready_awaitable.h"

#include <cstddef>
#include <string>
#include <utility>

#include "python/coroutine.h"
#include "python/error.h"
#include "python/interned.h"
#include "python/native_type.h"

namespace node_asgi::python {
namespace {

class SourceRef {
 public:
  explicit SourceRef(AwaitSource& source) : source_(&source) { source_->RefSource(); }
  SourceRef(const SourceRef&) = delete;
  SourceRef& operator=(const SourceRef&) = delete;
  ~SourceRef() { source_->UnrefSource(); }
  AwaitSource* operator->() const { return source_; }
  AwaitSource& operator*() const { return *source_; }

 private:
  AwaitSource* source_;
};

struct Awaitable {
  Awaitable(AwaitSource& from, int which, Owned with)
      : source(from), operation(which), argument(std::move(with)) {}
  SourceRef source;
  int operation;
  AwaitSource::Entry entry = AwaitSource::Entry::kFirst;
  bool finished = false;
  Owned argument;
  Owned waiting;  // the iterator of the Future this waits for
};
using AwaitableType = NativeType<Awaitable>;

using VectorcallFunction = PyObject* (*)(PyObject*, PyObject* const*, size_t, PyObject*);

struct Operation {
  Operation(VectorcallFunction call, AwaitSource& from, int which, int takes)
      : vectorcall(call), source(from), operation(which), arity(takes) {}
  VectorcallFunction vectorcall;
  SourceRef source;
  int operation;
  int arity;
};
using OperationType = NativeType<Operation>;

PySendResult AwaitableSend(PyObject* self, PyObject* value, PyObject** result) {
  const GilHeld gil = GilHeld::FromPython();
  Awaitable& awaitable = AwaitableType::Of(self);
  *result = nullptr;
  if (awaitable.finished) {
    Raise(gil, *PyExc_RuntimeError, "cannot await the same receive() or send() twice");
    return PYGEN_ERROR;
  }
  for (;;) {
    if (awaitable.waiting) {
      const PySendResult step = SendTo(gil, awaitable.waiting, value, result);
      if (step == PYGEN_NEXT) return step;
      awaitable.waiting.Reset();
      if (step == PYGEN_ERROR) {
        awaitable.finished = true;
        return step;
      }
      Owned::Steal(std::exchange(*result, nullptr)).Reset();
      value = PyNone();
    }
    Owned out;
    const Owned argument = std::move(awaitable.argument);
    const AwaitSource::Entry entry = std::exchange(awaitable.entry, AwaitSource::Entry::kResumed);
    switch (awaitable.source->Advance(gil, awaitable.operation, entry, argument, &out)) {
      case AwaitSource::Step::kReady:
        awaitable.finished = true;
        *result = out.Release();
        return PYGEN_RETURN;
      case AwaitSource::Step::kError:
        awaitable.finished = true;
        return PYGEN_ERROR;
      case AwaitSource::Step::kWait:
        awaitable.waiting = CallMethod(gil, out, Names().await_);
        if (!awaitable.waiting) return PYGEN_ERROR;
    }
  }
}

PyObject* AwaitableSendMethod(PyObject* self, PyObject* value) {
  PyObject* result = nullptr;
  const PySendResult step = AwaitableSend(self, value, &result);
  return FinishStep(GilHeld::FromPython(), step, result);
}

PyObject* AwaitableNext(PyObject* self) { return AwaitableSendMethod(self, PyNone()); }

PyObject* AwaitableThrow(PyObject* self, PyObject* arguments) {
  const GilHeld gil = GilHeld::FromPython();
  Awaitable& awaitable = AwaitableType::Of(self);
  if (!awaitable.waiting) {
    awaitable.finished = true;
    RaiseThrown(gil, arguments);
    return nullptr;
  }
  PyObject* result = nullptr;
  const Owned waiting = Owned::Borrow(awaitable.waiting);
  const PySendResult step = ThrowInto(gil, waiting, arguments, &result);
  if (step == PYGEN_NEXT) return result;
  awaitable.waiting.Reset();
  if (step == PYGEN_ERROR) {
    awaitable.finished = true;
    return nullptr;
  }
  // The Future swallowed the exception and ended: go on as after a wake-up.
  Owned::Steal(result).Reset();
  return AwaitableNext(self);
}

PyObject* AwaitableClose(PyObject* self, PyObject*) {
  Awaitable& awaitable = AwaitableType::Of(self);
  awaitable.finished = true;
  awaitable.waiting.Reset();
  awaitable.argument.Reset();
  Py_IncRef(PyNone());
  return PyNone();
}

PyObject* Self(PyObject* self) {
  Py_IncRef(self);
  return self;
}

PyObject* SelfMethod(PyObject* self, PyObject*) { return Self(self); }

// inspect.getcoroutinestate(), which anyio calls for the tasks of a cancelled scope, reads cr_*
// attributes.
PyObject* AwaitableGetAttribute(PyObject* self, PyObject* name) {
  const GilHeld gil = GilHeld::FromPython();
  const std::string text = TextOf(gil, name);
  if (text == "cr_running") return PyBool_FromLong(0);
  if (text == "cr_suspended") return PyBool_FromLong(AwaitableType::Of(self).waiting ? 1 : 0);
  if (text == "cr_frame" || text == "cr_await" || text == "cr_code") return Self(PyNone());
  return PyObject_GenericGetAttr(self, name);
}

PyObject* OperationVectorcall(PyObject* self, PyObject* const* arguments, size_t flagged_count,
                              PyObject* keywords) {
  const GilHeld gil = GilHeld::FromPython();
  const Operation& operation = OperationType::Of(self);
  // The top bit says that the caller lends the slot before the arguments.
  const size_t count = flagged_count & (SIZE_MAX >> 1);
  const size_t named = keywords != nullptr ? static_cast<size_t>(PyTuple_Size(keywords)) : 0;
  // send(message=…) is allowed as it is by an ordinary `async def send(message)`.
  if (count + named != static_cast<size_t>(operation.arity)) {
    return Raise(gil, *PyExc_TypeError,
                 "expected " + std::to_string(operation.arity) + " argument(s), got " +
                     std::to_string(count + named));
  }
  Owned argument = operation.arity == 1 ? Owned::Borrow(arguments[0]) : Owned();
  return AwaitableType::New(gil, *operation.source, operation.operation, std::move(argument))
      .Release();
}

// For CPython 3.8, whose type specs cannot declare vectorcall.
PyObject* OperationCall(PyObject* self, PyObject* arguments, PyObject*) {
  PyObject* first = PyTuple_Size(arguments) > 0 ? PyTuple_GetItem(arguments, 0) : nullptr;
  return OperationVectorcall(self, &first, static_cast<size_t>(PyTuple_Size(arguments)), nullptr);
}

PyMethodDef awaitable_methods[] = {
    {"send", &AwaitableSendMethod, METH_O, nullptr},
    {"throw", &AwaitableThrow, METH_VARARGS, nullptr},
    {"close", &AwaitableClose, METH_NOARGS, nullptr},
    {"__await__", &SelfMethod, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef operation_members[2] = {};

template <class Function>
void* Slot(Function function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

bool DefineAwaitables(const GilHeld& gil) {
  const bool has_send_slot = PyIter_Send != nullptr;
  const PyType_Slot common[] = {
      {Py_am_await, Slot(&Self)},
      {Py_tp_iter, Slot(&Self)},
      {Py_tp_iternext, Slot(&AwaitableNext)},
      {Py_tp_methods, awaitable_methods},
      {Py_tp_getattro, Slot(&AwaitableGetAttribute)},
      {Py_am_send, Slot(&AwaitableSend)},
  };
  const bool defined =
      has_send_slot
          ? AwaitableType::Define(
                gil, "node_asgi.Awaitable",
                {common[0], common[1], common[2], common[3], common[4], common[5]})
          : AwaitableType::Define(gil, "node_asgi.Awaitable",
                                  {common[0], common[1], common[2], common[3], common[4]});
  if (!defined) return false;

  const size_t head = OperationType::HeadSize(gil);
  operation_members[0] = {"__vectorcalloffset__", Py_T_PYSSIZET,
                          static_cast<Py_ssize_t>(head + offsetof(Operation, vectorcall)),
                          Py_READONLY, nullptr};
  return PyObject_VectorcallDict != nullptr
             ? OperationType::Define(
                   gil, "node_asgi.Operation",
                   {{Py_tp_call, Slot(&OperationCall)}, {Py_tp_members, operation_members}},
                   Py_TPFLAGS_HAVE_VECTORCALL)
             : OperationType::Define(gil, "node_asgi.Operation",
                                     {{Py_tp_call, Slot(&OperationCall)}});
}

Owned MakeOperation(const GilHeld& gil, AwaitSource& source, int operation, int arity) {
  return OperationType::New(gil, &OperationVectorcall, source, operation, arity);
}

}  // namespace node_asgi::python
