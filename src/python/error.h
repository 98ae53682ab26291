// Between Python exceptions and plain Failure values.
// Thread: the Python thread.
#ifndef NODE_ASGI_PYTHON_ERROR_H_
#define NODE_ASGI_PYTHON_ERROR_H_

#include <string>
#include <string_view>

#include "bridge/failure.h"
#include "python/gil.h"
#include "python/ref.h"

namespace node_asgi::python {

// Takes the exception that is set, out of the interpreter. Empty when none is.
Owned TakeException(const GilHeld& gil);

// Describes an exception. Never raises: a broken __str__ is described as such (checklist X-23).
bridge::Failure Describe(const GilHeld& gil, Borrowed exception, std::string_view code);

// TakeException and Describe in one.
bridge::Failure TakeFailure(const GilHeld& gil, std::string_view code);

// Raises TypeError, ValueError, RuntimeError or another class with the given text; returns null for
// `return`.
std::nullptr_t Raise(const GilHeld& gil, PyObject* exception_class, const std::string& message);

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_ERROR_H_
