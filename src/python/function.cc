#include "python/function.h"

#include <exception>
#include <memory>

namespace node_asgi::python {
namespace {

constexpr char kCapsule[] = "node_asgi.function";

PyObject* Invoke(PyObject* capsule, PyObject* arguments) {
  const GilHeld gil = GilHeld::FromPython();
  auto* function = static_cast<NativeFunction*>(PyCapsule_GetPointer(capsule, kCapsule));
  if (function == nullptr) return nullptr;
  try {
    return (*function)(gil, arguments).Release();
  } catch (const std::exception& error) {
    PyErr_SetString(*PyExc_RuntimeError, error.what());
    return nullptr;
  }
}

void Destroy(PyObject* capsule) {
  delete static_cast<NativeFunction*>(PyCapsule_GetPointer(capsule, kCapsule));
}

PyMethodDef definition = {"node_asgi", &Invoke, METH_VARARGS, nullptr};

}  // namespace

Owned MakeFunction(const GilHeld&, NativeFunction function) {
  auto held = std::make_unique<NativeFunction>(std::move(function));
  const Owned capsule = Owned::Steal(PyCapsule_New(held.get(), kCapsule, &Destroy));
  if (!capsule) return Owned();
  (void)held.release();
  return Owned::Steal(PyCFunction_NewEx(&definition, capsule.get(), nullptr));
}

}  // namespace node_asgi::python
