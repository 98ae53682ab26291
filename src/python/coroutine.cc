#include "python/coroutine.h"

#include "python/error.h"
#include "python/interned.h"

namespace node_asgi::python {
namespace {

// The outcome of calling send() or throw() as a method: a yielded value, or StopIteration's value.
PySendResult FromMethod(const GilHeld& gil, Owned yielded, PyObject** result) {
  if (yielded) {
    *result = yielded.Release();
    return PYGEN_NEXT;
  }
  *result = nullptr;
  if (PyErr_ExceptionMatches(*PyExc_StopIteration) == 0) return PYGEN_ERROR;
  const Owned stop = TakeException(gil);
  *result = GetAttribute(gil, stop, "value").Release();
  return *result != nullptr ? PYGEN_RETURN : PYGEN_ERROR;
}

}  // namespace

PySendResult SendTo(const GilHeld& gil, Borrowed coroutine, Borrowed value, PyObject** result) {
  if (PyIter_Send != nullptr) return PyIter_Send(coroutine.get(), value.get(), result);
  return FromMethod(gil, CallMethod(gil, coroutine, Names().send, {value.get()}), result);
}

PySendResult ThrowInto(const GilHeld& gil, Borrowed coroutine, Borrowed arguments,
                       PyObject** result) {
  const Owned method = GetAttribute(gil, coroutine, Names().throw_);
  if (!method) return PYGEN_ERROR;
  return FromMethod(gil, Owned::Steal(PyObject_Call(method.get(), arguments.get(), nullptr)),
                    result);
}

void RaiseThrown(const GilHeld& gil, Borrowed arguments) {
  const Py_ssize_t count = PyTuple_Size(arguments.get());
  if (count < 1) {
    Raise(gil, *PyExc_TypeError, "throw() expected an exception, got nothing");
    return;
  }
  PyObject* first = PyTuple_GetItem(arguments.get(), 0);
  PyObject* value = count > 1 ? PyTuple_GetItem(arguments.get(), 1) : nullptr;
  if (value == PyNone()) value = nullptr;
  if (value != nullptr) {
    PyErr_SetObject(first, value);
  } else if (IsInstance(first, PyType_Type)) {
    PyErr_SetObject(first, PyNone());
  } else {
    const Owned type = Owned::Steal(PyObject_Type(first));
    PyErr_SetObject(type.get(), first);
  }
}

PyObject* FinishStep(const GilHeld& gil, PySendResult step, PyObject* result) {
  if (step == PYGEN_NEXT || step == PYGEN_ERROR) return step == PYGEN_NEXT ? result : nullptr;
  const Owned value = Owned::Steal(result);
  // Made by hand: PyErr_SetObject would unpack a tuple into the exception's arguments.
  const Owned stop = Call(gil, *PyExc_StopIteration, {value.get()});
  if (stop) PyErr_SetObject(*PyExc_StopIteration, stop.get());
  return nullptr;
}

}  // namespace node_asgi::python
