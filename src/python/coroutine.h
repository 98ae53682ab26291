// Driving coroutines and iterators from C++, and what native coroutine objects have in common.
// Thread: the Python thread.
#ifndef NODE_ASGI_PYTHON_COROUTINE_H_
#define NODE_ASGI_PYTHON_COROUTINE_H_

#include "python/call.h"

namespace node_asgi::python {

// Sends a value into a coroutine or iterator. kNext: *result was yielded; kReturn: *result was
// returned; kError: a Python error is set. *result is a new reference.
PySendResult SendTo(const GilHeld& gil, Borrowed coroutine, Borrowed value, PyObject** result);

// Throws into a coroutine or iterator: arguments are those of its throw() method.
PySendResult ThrowInto(const GilHeld& gil, Borrowed coroutine, Borrowed arguments,
                       PyObject** result);

// Raises the exception described by throw()'s arguments: (type[, value[, traceback]]) or
// (exception,).
void RaiseThrown(const GilHeld& gil, Borrowed arguments);

// For methods `send`, `throw` and tp_iternext: turns a step into a yielded value or
// StopIteration(value).
PyObject* FinishStep(const GilHeld& gil, PySendResult step, PyObject* result);

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_COROUTINE_H_
