#include "python/error.h"

#include "python/call.h"

namespace node_asgi::python {

Owned TakeException(const GilHeld&) {
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  if (type == nullptr) return Owned();
  PyErr_NormalizeException(&type, &value, &traceback);
  const Owned owned_type = Owned::Steal(type);
  const Owned owned_traceback = Owned::Steal(traceback);
  Owned exception = Owned::Steal(value);
  if (exception && owned_traceback)
    PyException_SetTraceback(exception.get(), owned_traceback.get());
  return exception;
}

bridge::Failure Describe(const GilHeld& gil, Borrowed exception, std::string_view code) {
  bridge::Failure failure;
  failure.code = code;
  // describe() answers (type, message, traceback, details); it catches what the exception's own
  // methods raise.
  const Owned described = CallFunction(gil, "node_asgi.errors", "describe", {exception.get()});
  if (described && PyTuple_Size(described.get()) == 4) {
    failure.python_type = TextOf(gil, PyTuple_GetItem(described.get(), 0));
    failure.message = TextOf(gil, PyTuple_GetItem(described.get(), 1));
    failure.traceback = TextOf(gil, PyTuple_GetItem(described.get(), 2));
    failure.details = TextOf(gil, PyTuple_GetItem(described.get(), 3));
    return failure;
  }
  PyErr_Clear();
  const Owned type = Owned::Steal(PyObject_Type(exception.get()));
  failure.python_type = TextOf(gil, GetAttribute(gil, type, "__name__"));
  failure.message = failure.python_type + " (its description could not be made)";
  PyErr_Clear();
  return failure;
}

bridge::Failure TakeFailure(const GilHeld& gil, std::string_view code) {
  const Owned exception = TakeException(gil);
  if (exception) return Describe(gil, exception, code);
  return {std::string(code), "Python reported an error without an exception"};
}

std::nullptr_t Raise(const GilHeld&, PyObject* exception_class, const std::string& message) {
  // A message may quote bytes of an app, which need not be UTF-8, and may hold NUL.
  const Owned text = Owned::Steal(PyUnicode_DecodeUTF8(
      message.data(), static_cast<Py_ssize_t>(message.size()), "backslashreplace"));
  if (text) PyErr_SetObject(exception_class, text.get());
  return nullptr;
}

}  // namespace node_asgi::python
