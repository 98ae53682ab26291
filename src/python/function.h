// A Python callable made from a C++ function, for the control plane.
// Thread: the Python thread. Owner: the Python object owns the C++ function.
#ifndef NODE_ASGI_PYTHON_FUNCTION_H_
#define NODE_ASGI_PYTHON_FUNCTION_H_

#include <functional>

#include "python/gil.h"
#include "python/ref.h"

namespace node_asgi::python {

// `arguments` is the tuple of positional arguments. An empty result means that a Python error is
// set.
using NativeFunction = std::function<Owned(const GilHeld&, Borrowed arguments)>;

Owned MakeFunction(const GilHeld& gil, NativeFunction function);

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_FUNCTION_H_
